"""Payments for tests of the pool and of finality: well-formed, but nobody verifies their signatures."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.coins import Coin
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import FINAL_SEQUENCE, Transaction, TxInput, TxOutput, make_outpoint

#: The generator of secp256k1, compressed: a key on the curve.
KEY = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
#: Strict DER for r = s = 1, and SIGHASH_ALL.
SIGNATURE = bytes.fromhex("3006020101020101" + "01")
SCRIPT = p2wpkh(hash160(KEY))
VALUE = 100_000_000
FEE = 100_000


def genesis_outpoint(number: int) -> bytes:
    return make_outpoint(sha256(b"coin %d" % number), 0)


def genesis_coin() -> Coin:
    return Coin(1, VALUE, SCRIPT)


def spend(
    outpoints: Sequence[bytes],
    *,
    outputs: int = 2,
    value: int = VALUE,
    fee: int = FEE,
    salt: int = 0,
    lock_time: int = 0,
) -> Transaction:
    """Spend ``outpoints`` of ``value`` each to equal outputs; ``salt`` makes rivals differ."""
    share = (value * len(outpoints) - fee - salt) // outputs
    sequence = FINAL_SEQUENCE if not lock_time else 0
    return Transaction(
        2,
        tuple(TxInput(outpoint, b"", sequence, (SIGNATURE, KEY)) for outpoint in outpoints),
        tuple(TxOutput(share, SCRIPT) for _ in range(outputs)),
        lock_time,
    )
