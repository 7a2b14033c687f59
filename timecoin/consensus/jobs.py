"""Bulk work of the participant as pure jobs: building a block, judging a proposal, judging a decided
block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from timecoin.consensus.decided import DecidedInvalid, ForgedBlock, check_decided
from timecoin.consensus.proposal import Content
from timecoin.ledger.assembly import Assembled, assemble
from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.coins import Coin
from timecoin.ledger.errors import BlockInvalid, TxInvalid
from timecoin.ledger.params import Parameters
from timecoin.ledger.state import LedgerState
from timecoin.ledger.verify import (
    block_signature_checks,
    resolve,
    verify_block,
    verify_proposal,
)
from timecoin.primitives.block import Block, Commit
from timecoin.primitives.signing import SignatureBackend, check_all
from timecoin.primitives.transaction import Transaction


class CoinLookup(Protocol):
    """The chain at the tip as a job reads it, in its own thread; the job closes it."""

    def __call__(self, outpoint: bytes) -> Coin | None:
        """The coin at an unspent outpoint."""
        ...

    def archived_in(self, txid: bytes, epoch: int) -> int | None:
        """The height of the block of ``epoch`` that holds ``txid``, None when no block of that epoch does."""
        ...

    def close(self) -> None:
        """No more is looked up."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AssembleBlock:
    """Build my proposal for one round."""

    params: Parameters
    state: LedgerState
    closing: bool
    slot_time: int
    proposer_index: int
    round: int
    txs: tuple[BlockTx, ...]
    last_commit: Commit
    evidence: tuple[bytes, ...] = ()

    def run(self, backend: SignatureBackend) -> Assembled:
        """The block, the state after it and the coins that it moves."""
        return assemble(
            self.params,
            self.state,
            closing=self.closing,
            slot_time=self.slot_time,
            proposer_index=self.proposer_index,
            round=self.round,
            txs=self.txs,
            last_commit=self.last_commit,
            evidence=self.evidence,
            backend=backend,
        )


@dataclass(frozen=True, slots=True, eq=False)
class JudgeProposal:
    """Verify a proposal all of whose bodies are here. ``known`` were verified before; ``foreign`` are
    verified now.
    """

    params: Parameters
    state: LedgerState
    content: Content
    known: tuple[BlockTx, ...]
    foreign: tuple[Transaction, ...]
    lookup: CoinLookup

    def run(self, backend: SignatureBackend) -> Assembled:
        """The block as everybody applies it; raises ``BlockInvalid``."""
        content = self.content
        with closing(self.lookup):
            return verify_proposal(
                self.params,
                self.state,
                content.header,
                (*self.known, *_resolve_foreign(self, backend)),
                content.last_commit,
                content.evidence,
                backend,
                self.lookup.archived_in,
            )


def _resolve_foreign(job: JudgeProposal, backend: SignatureBackend) -> Sequence[BlockTx]:
    if not job.foreign:
        return ()
    made = {tx.outpoint(n): (tx, n) for known in job.known for tx in (known.tx,) for n in range(len(tx.outputs))}

    def lookup(outpoint: bytes) -> Coin | None:
        source = made.get(outpoint)
        if source is None:
            return job.lookup(outpoint)
        output = source[0].outputs[source[1]]
        return Coin(2 * (job.state.height + 1), output.value, output.script)

    return _checked(job.params, job.state, job.foreign, lookup, backend)


def _checked(
    params: Parameters,
    state: LedgerState,
    transactions: Sequence[Transaction],
    lookup: Callable[[bytes], Coin | None],
    backend: SignatureBackend,
) -> list[BlockTx]:
    try:
        txs = resolve(params, state, transactions, lookup)
        if not check_all(backend, block_signature_checks(txs)):
            raise ForgedBlock("a signature does not verify")
    except TxInvalid as error:
        raise ForgedBlock(str(error)) from error
    return txs


@dataclass(frozen=True, slots=True, eq=False)
class JudgeDecided:
    """Verify a decided block that came by block sync: its commit and that it is the commit's block (unless
    ``checked`` before), then every transaction and the header.
    """

    params: Parameters
    state: LedgerState
    block: Block
    commit: Commit
    lookup: CoinLookup
    checked: bool = False

    def run(self, backend: SignatureBackend) -> Assembled:
        """The block as everybody applies it; raises ``ForgedBlock`` or ``BadCommit`` when no quorum decided it, and
        ``DecidedInvalid`` when one did but it breaks a rule.
        """
        state = self.state
        with closing(self.lookup):
            if not self.checked:
                if self.block.header.height != state.height + 1:
                    raise ForgedBlock("another height")
                check_decided(state.chain_id, self.block, self.commit, state.current, backend)
            try:
                txs = _checked(self.params, state, self.block.transactions[1:], self.lookup, backend)
                return verify_block(self.params, state, self.block, txs, backend, self.lookup.archived_in)
            except BlockInvalid as error:
                raise DecidedInvalid(str(error)) from error
