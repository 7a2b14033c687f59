"""The finaliser and the extractor of BIP 174."""

from __future__ import annotations

from collections.abc import Mapping

from timecoin.ledger.coins import UNARCHIVED, Coin
from timecoin.ledger.errors import TxInvalid
from timecoin.ledger.witness import verify_transaction
from timecoin.primitives.sighash import Bip143
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction
from timecoin.wallet.psbt import Psbt, PsbtInput
from timecoin.wallet.psbt_errors import NotComplete, PsbtRefused
from timecoin.wallet.psbt_spending import Spending, signature_holds, spending, stated_coin


def finalise(psbt: Psbt, backend: SignatureBackend) -> Psbt:
    """Give every input its witness whose signatures suffice and hold; the others stay as they are.

    What the witness makes needless is dropped from the input: coins and pairs that are not understood stay.
    """
    hasher = Bip143(psbt.tx)
    for index, known in enumerate(psbt.inputs):
        if not known.is_final:
            try:
                psbt = psbt.with_input(index, _final(known, witness(psbt, index, hasher, backend)))
            except PsbtRefused:
                continue
    return psbt


def witness(psbt: Psbt, index: int, hasher: Bip143, backend: SignatureBackend) -> tuple[bytes, ...]:
    """The witness of input ``index``; ``NotComplete`` while signatures are missing, ``PsbtRefused``."""
    need = spending(psbt, index, proven=False)
    by_key = valid_signatures(
        psbt.inputs[index], need, hasher.digest(index, need.script_code, need.coin.value), backend
    )
    signatures = list(by_key.values()) if need.key_hash is not None else counting(need, by_key)
    if len(signatures) < need.required:
        raise NotComplete(index, f"{len(signatures)} of {need.required} signatures")
    if need.key_hash is not None:
        return signatures[0], next(iter(by_key))
    return b"", *signatures[: need.required], need.script_code


def counting(need: Spending, by_key: Mapping[bytes, bytes]) -> list[bytes]:
    """The signatures in the order of a multisig's keys; a key that stands there twice counts twice."""
    return [by_key[key] for key in need.keys if key in by_key]


def valid_signatures(known: PsbtInput, need: Spending, digest: bytes, backend: SignatureBackend) -> dict[bytes, bytes]:
    """The partial signatures that count and hold, by key."""
    return {
        key: item
        for key, item in known.partial_signatures.items()
        if need.wants(key) and signature_holds(key, digest, item, backend)
    }


def _final(known: PsbtInput, items: tuple[bytes, ...]) -> PsbtInput:
    return PsbtInput(known.non_witness_utxo, known.witness_utxo, final_witness=items, other=known.other)


def extract(psbt: Psbt) -> Transaction:
    """The signed transaction; ``NotComplete`` unless every input is final.

    Witnesses are taken as they are: see :func:`is_valid`.
    """
    spent = []
    for index, (bare, known) in enumerate(zip(psbt.tx.inputs, psbt.inputs, strict=True)):
        if not known.is_final:
            raise NotComplete(index, "not final")
        spent.append(bare._replace(script_sig=known.final_script_sig or b"", witness=known.final_witness or ()))
    return Transaction(psbt.tx.version, tuple(spent), psbt.tx.outputs, psbt.tx.lock_time)


def is_valid(psbt: Psbt, backend: SignatureBackend) -> bool:
    """Whether every input is final with a witness that the ledger takes for the coin that the PSBT names."""
    try:
        tx = extract(psbt)
        named = [stated_coin(psbt, index) for index in range(len(psbt.inputs))]
        coins = [Coin(UNARCHIVED, coin.value, coin.script) for coin in named if coin is not None]
        verify_transaction(backend, tx, coins)
    except (PsbtRefused, TxInvalid):
        return False
    return bool(tx.inputs) and not any(each.script_sig for each in tx.inputs)
