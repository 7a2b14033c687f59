"""The content of a block: payments in order, the coinbase that follows from them, what they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timecoin.ledger.archived import Archived, fresh_payloads
from timecoin.ledger.attendance import closing_signers, reward_outputs
from timecoin.ledger.blocktx import BlockTx, Changes, changes, in_block_order
from timecoin.ledger.coinbase import coinbase
from timecoin.ledger.errors import FeesOutOfRange
from timecoin.ledger.evidence import convicted
from timecoin.ledger.params import Parameters
from timecoin.ledger.rules import check_size
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Commit
from timecoin.primitives.signing import SignatureBackend
from timecoin.primitives.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Content:
    """What a block holds and, for the epoch up to and with it, what has run up.

    ``fees`` and ``paid`` (by this block's coinbase) in base units; ``jailed`` and ``signers`` are
    masternode ids.
    """

    transactions: tuple[Transaction, ...]
    changes: Changes
    fees: int
    paid: int
    archived: Archived
    jailed: tuple[bytes, ...]
    signers: tuple[bytes, ...]


def lay_out(
    params: Parameters,
    state: LedgerState,
    closing: bool,
    txs: Sequence[BlockTx],
    last_commit: Commit,
    evidence: Sequence[bytes],
    backend: SignatureBackend,
) -> Content:
    """Return the content of the block after ``state``'s tip; raises the broken rule's ``BlockInvalid``."""
    check_size(params, closing, txs)
    jailed = state.epoch_jailed + convicted(params, state, evidence)
    ordered = in_block_order(txs)
    fees = _fees(params, state, ordered)
    signers = closing_signers(state, last_commit)
    outputs = reward_outputs(params, state, fees, signers) if closing else ()
    height = state.height + 1
    first = coinbase(state.chain_id, height, outputs)
    changed = changes(height, first, ordered)
    fresh = fresh_payloads(state.chain_id, height, state.registry, ordered, backend)
    return Content(
        transactions=(first, *[item.tx for item in ordered]),
        changes=changed,
        fees=fees,
        paid=sum([output.value for output in outputs]),
        archived=state.archived.after(fresh, changed),
        jailed=jailed,
        signers=signers,
    )


def _fees(params: Parameters, state: LedgerState, txs: Sequence[BlockTx]) -> int:
    fees = state.epoch_fees + sum([item.fee for item in txs])
    if not 0 <= fees <= params.max_money:
        raise FeesOutOfRange(str(fees))
    return fees
