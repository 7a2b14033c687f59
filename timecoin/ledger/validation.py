"""Whether a transaction is valid by itself and against the coins that it spends (protocol.md section 2).

Validity is a function of the UTXO set and of the opening state, never of the block that will archive the
transaction, so these results hold for a whole epoch. Signatures are turned into checks here and verified
in batches elsewhere (:mod:`timecoin.ledger.witness`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from timecoin.ledger import errors
from timecoin.ledger.coins import Coin
from timecoin.ledger.params import Parameters
from timecoin.ledger.witness import signature_checks, verify_transaction
from timecoin.primitives.script import Kind, classify
from timecoin.primitives.transaction import (
    FINAL_SEQUENCE,
    NULL_OUTPOINT,
    OutPoint,
    Transaction,
    TxInput,
    TxOutput,
)

__all__ = [
    "LOCK_TIME_THRESHOLD",
    "CollateralLocks",
    "check_inputs",
    "check_transaction",
    "is_final",
    "minimum_fee",
    "signature_checks",
    "verify_transaction",
]

LOCK_TIME_THRESHOLD = 500_000_000
"""nLockTime values below are heights, others Unix times (Bitcoin)."""


class CollateralLocks(Protocol):
    """The part of a registry that says which collateral is locked."""

    def locked(self, outpoint: OutPoint, epoch: int) -> bool:
        """Whether ``outpoint`` is locked collateral while ``epoch`` is open."""
        ...


def check_transaction(params: Parameters, tx: Transaction) -> None:
    """Check all that needs no other state; raises the rule's :class:`~timecoin.ledger.errors.TxInvalid`.

    O(inputs + outputs); a 1-in/2-out payment takes about 3 µs.
    """
    if tx.version != 1 and tx.version != 2:
        raise errors.BadTxVersion(str(tx.version))
    if not tx.inputs:
        raise errors.NoInputs()
    if not tx.outputs:
        raise errors.NoOutputs()
    if tx.size > params.max_tx_bytes:
        raise errors.TxTooLarge(f"{tx.size} > {params.max_tx_bytes} bytes")
    _check_outpoints(tx.inputs)
    _check_outputs(params, tx.outputs)


def _check_outpoints(inputs: Sequence[TxInput]) -> None:
    seen = {txin.outpoint for txin in inputs}
    if NULL_OUTPOINT in seen:
        raise errors.LooseCoinbase() if len(inputs) == 1 else errors.NullInput()
    if len(seen) != len(inputs):
        raise errors.DuplicateInputs()
    for txin in inputs:
        if txin.script_sig:
            raise errors.ScriptSigNotEmpty()


def _check_outputs(params: Parameters, outputs: Sequence[TxOutput]) -> None:
    total = 0
    data_outputs = 0
    dust, max_money = params.dust, params.max_money
    for value, script in outputs:
        if value < 0:
            raise errors.OutputNegative(str(value))
        if value > max_money:
            raise errors.OutputTooLarge(str(value))
        kind = classify(script)
        if kind is Kind.OP_RETURN:
            data_outputs += 1
            if value:
                raise errors.OpReturnValue(str(value))
        elif kind is Kind.INVALID:
            raise errors.BadOutputScript(script[:40].hex())
        elif value < dust:
            raise errors.Dust(f"{value} < {dust}")
        total += value
    if data_outputs > 1:
        raise errors.MultipleOpReturn(str(data_outputs))
    if total > max_money:
        raise errors.OutputSumTooLarge(str(total))


def minimum_fee(params: Parameters, tx: Transaction) -> int:
    """Return the least fee of ``tx`` in base units: ``min_fee_rate`` × ceil(weight / 4)."""
    return params.min_fee_rate * tx.vsize


def check_inputs(
    params: Parameters, registry: CollateralLocks, epoch: int, tx: Transaction, coins: Sequence[Coin]
) -> int:
    """Check amounts and collateral locks and return the fee in base units.

    ``coins`` are those of ``tx.inputs``, in their order; ``registry`` and ``epoch`` are the open epoch's.
    Raises the rule's :class:`~timecoin.ledger.errors.TxInvalid`.
    """
    if len(coins) != len(tx.inputs):
        raise errors.MissingInputs(f"{len(coins)} coins for {len(tx.inputs)} inputs")
    locked = registry.locked
    for txin in tx.inputs:
        if locked(txin.outpoint, epoch):
            raise errors.CollateralLocked()
    return _fee(params, tx, coins)


def _fee(params: Parameters, tx: Transaction, coins: Sequence[Coin]) -> int:
    paid = sum([coin.value for coin in coins])
    if paid > params.max_money:
        raise errors.InputsOutOfRange(str(paid))
    fee = paid - sum([output.value for output in tx.outputs])
    if fee < 0:
        raise errors.OutputsExceedInputs(str(fee))
    least = minimum_fee(params, tx)
    if fee < least:
        raise errors.FeeTooLow(f"{fee} < {least}")
    return fee


def is_final(tx: Transaction, height: int, last_closing_slot: int) -> bool:
    """Whether nLockTime lets a masternode vote for ``tx``; no rule for blocks (protocol.md section 2).

    ``height`` is the own decided tip's, ``last_closing_slot`` in Unix seconds.
    """
    limit = height if tx.lock_time < LOCK_TIME_THRESHOLD else last_closing_slot
    return tx.lock_time <= limit or all(txin.sequence == FINAL_SEQUENCE for txin in tx.inputs)
