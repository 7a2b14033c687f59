"""What an input of a PSBT spends and what it takes to spend it, believed only as far as it is proven.

A previous transaction proves its amounts, because the unsigned transaction names it by its hash; a bare
``witness_utxo`` proves nothing (BIP 174, section Signer).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from timecoin.ledger.der import bare_signature
from timecoin.ledger.errors import TxInvalid
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import Kind, classify, p2wpkh_script_code, parse_multisig
from timecoin.primitives.sighash import SIGHASH_ALL
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import TxOutput, split_outpoint
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_errors import MissingCoin, PsbtRefused


class Spending(NamedTuple):
    """A coin, and ``required`` signatures over ``script_code``.

    Who signs: ``keys`` of a multisig, or the one key that hashes to ``key_hash``.
    """

    coin: TxOutput
    script_code: bytes
    required: int
    keys: tuple[bytes, ...]
    key_hash: bytes | None

    def wants(self, key: bytes) -> bool:
        """Whether a signature by ``key`` counts."""
        return key in self.keys if self.key_hash is None else hash160(key) == self.key_hash


class Keys:
    """Public keys of somebody who may sign; made once, so that a thousand keys and inputs cost a thousand steps."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._by_hash = {hash160(key): key for key in keys}
        self._keys = frozenset(self._by_hash.values())

    def wanted(self, need: Spending) -> tuple[bytes, ...]:
        """Those whose signatures count, in the order of the script."""
        if need.key_hash is None:
            return tuple([key for key in dict.fromkeys(need.keys) if key in self._keys])
        found = self._by_hash.get(need.key_hash)
        return () if found is None else (found,)


def signature_holds(key: bytes, digest: bytes, item: bytes, backend: SignatureBackend) -> bool:
    """Whether a witness item (DER and hash type) is a signature of ``digest`` by ``key``, by the ledger's rules."""
    try:
        return backend.verify(key, digest, bare_signature(item))
    except TxInvalid:
        return False


def proven_coin(psbt: Psbt, index: int) -> TxOutput:
    """The output that input ``index`` spends, out of the previous transaction itself.

    Raises :class:`~timecoin.wallet.psbt_errors.MissingCoin` without that, and ``PsbtRefused`` when the PSBT
    contradicts itself.
    """
    known = psbt.inputs[index]
    txid, n = split_outpoint(psbt.tx.inputs[index].outpoint)
    previous = known.non_witness_utxo
    if previous is None:
        raise MissingCoin(index, "the previous transaction (non_witness_utxo), which proves the amount, is missing")
    if previous.txid != txid or n >= len(previous.outputs):
        raise PsbtRefused(index, "the previous transaction (non_witness_utxo) is another one")
    coin = previous.outputs[n]
    if known.witness_utxo is not None and known.witness_utxo != coin:
        raise PsbtRefused(index, "witness_utxo is not what the previous transaction says")
    return coin


def stated_coin(psbt: Psbt, index: int) -> TxOutput | None:
    """The output that input ``index`` is said to spend, proven or not; None when nothing is said.

    Raises ``PsbtRefused`` when the PSBT contradicts itself.
    """
    if psbt.inputs[index].non_witness_utxo is not None:
        return proven_coin(psbt, index)
    return psbt.inputs[index].witness_utxo


def fee(psbt: Psbt) -> int | None:
    """Inputs less outputs in base units (negative when there is too little); None while a coin is unknown."""
    coins = [stated_coin(psbt, index) for index in range(len(psbt.inputs))]
    values = [coin.value for coin in coins if coin is not None]
    return sum(values) - sum(each.value for each in psbt.tx.outputs) if len(values) == len(coins) else None


def spending(psbt: Psbt, index: int, *, proven: bool = True) -> Spending:
    """What input ``index`` needs, all rules of BIP 174 for signers applied.

    ``proven``: the amount has to be proven, as before any signature. Raises ``PsbtRefused``.
    """
    known = psbt.inputs[index]
    if known.sighash is not None and known.sighash != SIGHASH_ALL:
        raise PsbtRefused(index, f"hash type {known.sighash:#x} is asked for, the ledger knows SIGHASH_ALL only")
    coin = proven_coin(psbt, index) if proven else stated_coin(psbt, index)
    if coin is None:
        raise MissingCoin(index, "it is not said which coin is spent")
    if known.redeem_script is not None:
        raise PsbtRefused(index, "there is a redeem script, but the ledger has no P2SH")
    return need_of(index, coin, known.witness_script)


def need_of(index: int, coin: TxOutput, witness_script: bytes | None) -> Spending:
    """What it takes to spend ``coin`` as input ``index``, with the witness script that is known for it, if any.

    Raises ``PsbtRefused`` when the scripts do not fit or are not of this ledger.
    """
    kind = classify(coin.script)
    if kind is Kind.P2WPKH:
        return _by_key(index, coin, witness_script)
    if kind is Kind.P2WSH:
        return _by_script(index, coin, witness_script)
    raise PsbtRefused(index, "the coin's script is not one of this ledger")


def _by_key(index: int, coin: TxOutput, witness_script: bytes | None) -> Spending:
    if witness_script is not None:
        raise PsbtRefused(index, "there is a witness script, but the coin belongs to a key")
    program = coin.script[2:]
    return Spending(coin, p2wpkh_script_code(program), 1, (), program)


def _by_script(index: int, coin: TxOutput, witness_script: bytes | None) -> Spending:
    if witness_script is None:
        raise PsbtRefused(index, "the witness script is missing")
    if sha256(witness_script) != coin.script[2:]:
        raise PsbtRefused(index, "the witness script is not the coin's")
    parsed = parse_multisig(witness_script)
    if parsed is None:
        raise PsbtRefused(index, "the witness script is no multisig of this ledger")
    required, keys = parsed
    return Spending(coin, witness_script, required, keys, None)
