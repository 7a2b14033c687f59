"""Building a block: what is free to choose goes in, all that follows from it comes out (protocol.md 2, 6, 7).

Proposers build with it and everybody else verifies by building the same block again
(:mod:`timecoin.ledger.verify`), so each rule stands in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.closing import next_opening
from timecoin.ledger.coins import CoinDelta, elements
from timecoin.ledger.content import Content, lay_out
from timecoin.ledger.errors import DuplicateTransaction
from timecoin.ledger.opening import Opening
from timecoin.ledger.params import Parameters
from timecoin.ledger.rotation import step
from timecoin.ledger.rules import check_slot
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Block, Commit, Header, evidence_hash
from timecoin.primitives.hashes import Hash
from timecoin.primitives.merkle import DuplicateLeaves, merkle_root
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.primitives.transaction import Transaction

__all__ = ["BLOCK_VERSION", "Assembled", "BlockTx", "assemble", "merkle_roots"]

BLOCK_VERSION = 1
"""The only header version."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A block, the state after it, and what it changes in the UTXO set."""

    block: Block
    state: LedgerState
    delta: CoinDelta


def assemble(
    params: Parameters,
    state: LedgerState,
    *,
    closing: bool,
    slot_time: int,
    proposer_index: int,
    round: int,
    txs: Sequence[BlockTx],
    last_commit: Commit,
    evidence: Sequence[bytes] = (),
    backend: SignatureBackend | None = None,
) -> Assembled:
    """Build the block after ``state``'s tip from valid ``txs`` (in any order) and a checked ``last_commit``.

    ``slot_time`` is in Unix seconds. ``backend`` judges the signatures of registry payloads; all backends
    judge alike. Raises the rule's :class:`~timecoin.ledger.errors.BlockInvalid` when no valid block can
    be built from these. Pure, and made for a thread.
    """
    check_slot(params, state, closing, slot_time)
    judge = backend or get_backend()
    content = lay_out(params, state, closing, txs, last_commit, evidence, judge)
    priorities, _ = step(state.current, state.priorities)
    opening = state.opening
    if closing:
        opening = next_opening(params, state, content, slot_time, priorities)
    muhash = state.muhash.update(
        elements(content.changes.made.items()), elements(content.changes.gone.items())
    )
    tx_root, wtx_root = merkle_roots(content.transactions)
    header = Header(
        version=BLOCK_VERSION,
        previous=state.block_hash,
        tx_root=tx_root,
        slot_time=slot_time,
        tx_count=len(content.transactions),
        chain_id=state.chain_id,
        height=state.height + 1,
        epoch=state.epoch,
        closing=closing,
        wtx_root=wtx_root,
        last_commit_hash=last_commit.hash,
        evidence_hash=evidence_hash(evidence),
        set_hash=state.current.set_hash,
        next_set_hash=state.following.set_hash,
        state_hash=opening.state_hash,
        utxo_commitment=muhash.digest(),
        proposer_index=proposer_index,
        round=round,
    )
    block = Block(header, content.transactions, last_commit, tuple(evidence))
    after = _after(state, header, opening, priorities, muhash, content)
    return Assembled(block, after, content.changes.delta)


def _after(
    state: LedgerState,
    header: Header,
    opening: Opening,
    priorities: tuple[int, ...],
    muhash: MuHash,
    content: Content,
) -> LedgerState:
    if header.closing:
        return LedgerState(header, opening, state.current, opening.priorities, muhash)
    return LedgerState(
        header=header,
        opening=opening,
        previous_set=state.previous_set,
        priorities=priorities,
        muhash=muhash,
        epoch_fees=content.fees,
        archived=content.archived,
        epoch_jailed=content.jailed,
        closing_signers=content.signers,
    )


def merkle_roots(transactions: Sequence[Transaction]) -> tuple[Hash, Hash]:
    """Return the txid and the wtxid root over ``transactions``, coinbase included.

    Raises ``DuplicateTransaction`` when two leaves are equal.
    """
    try:
        return (
            merkle_root([tx.txid for tx in transactions]),
            merkle_root([tx.wtxid for tx in transactions]),
        )
    except DuplicateLeaves as error:
        raise DuplicateTransaction(str(error)) from error
