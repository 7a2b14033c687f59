"""Which scripts a transaction touches: those of the outputs that it makes, and those of the coins that it spends.

The latter need no look at any coin: every spendable output is P2WPKH or P2WSH (protocol.md 2), and its witness ends
with the key or the script of which it is the hash.
"""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import p2wpkh, p2wsh
from timecoin.primitives.transaction import Transaction

_OP_RETURN = 0x6A
_KEY_ITEMS = 2


def touched(tx: Transaction) -> tuple[bytes, ...]:
    """The scripts, each once, of what is spent first; nothing of a coinbase's input, no ``OP_RETURN``."""
    found = {spent_script(txin.witness): None for txin in tx.inputs if txin.witness}
    for output in tx.outputs:
        if output.script[0] != _OP_RETURN:
            found[output.script] = None
    return tuple(found)


def spent_script(witness: Sequence[bytes]) -> bytes:
    """The script of the coin that a valid ``witness`` of at least one item spends (BIP 141)."""
    last = witness[-1]
    # That of a multisig script has an empty item and at least one signature before the script.
    return p2wpkh(hash160(last)) if len(witness) == _KEY_ITEMS else p2wsh(sha256(last))
