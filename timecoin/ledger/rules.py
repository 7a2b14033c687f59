"""What a block may be: kind, slot and size (protocol.md R7 and R8), for builders and verifiers alike."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.errors import BadSlotTime, BlockTooLarge, EmptyInterim, TooManyTransactions
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState


def check_slot(params: Parameters, state: LedgerState, closing: bool, slot_time: int) -> None:
    """Raise ``BadSlotTime`` unless ``slot_time`` (Unix seconds) fits the kind of block.

    A closing block takes a multiple of ``epoch_seconds`` after the last closing slot; an interim one
    repeats that. Whether a slot lies in the future is for the voter's clock, never for validity.
    """
    last = state.last_closing_slot
    if closing and (slot_time <= last or slot_time % params.epoch_seconds):
        raise BadSlotTime(f"{slot_time} is no slot after {last}")
    if not closing and slot_time != last:
        raise BadSlotTime(f"{slot_time} instead of {last}")


def check_size(params: Parameters, closing: bool, txs: Sequence[BlockTx]) -> None:
    """Raise ``EmptyInterim``, ``TooManyTransactions`` or ``BlockTooLarge`` for the payments of a block.

    ``max_block_bytes`` and ``max_block_txs`` count the payments with their witnesses, and not the
    coinbase: so a proposer can tell what fits before it knows whom the block pays.
    """
    if not closing and not txs:
        raise EmptyInterim()
    if len(txs) > params.max_block_txs:
        raise TooManyTransactions(f"{len(txs)}, at most {params.max_block_txs}")
    size = sum([len(item.tx.raw) for item in txs])
    if size > params.max_block_bytes:
        raise BlockTooLarge(f"{size} bytes, at most {params.max_block_bytes}")
