"""From the decision of one height to the beginning of the next (protocol.md R11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from timecoin.consensus import effects as fx
from timecoin.consensus import steps
from timecoin.consensus.commits import merge_commits
from timecoin.consensus.context import Context
from timecoin.consensus.current_height import CurrentHeight
from timecoin.consensus.decided import DecidedInvalid
from timecoin.consensus.jobs import JudgeDecided
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import Precommit
from timecoin.ledger.assembly import Assembled
from timecoin.primitives.block import Block, Commit
from timecoin.primitives.hashes import Hash


class Deciding:
    """The height at hand, ``current``, and the block that ends it, whoever decided it.

    It is decided here or adopted from a peer, made durable by the owner, applied in slices, and then the next height is
    the ``current`` one. ``previous`` is the machine of the one before: late precommits join its commit, which the next
    block carries. ``committing`` is what was decided and is not applied yet. ``halt`` is told of proofs of R12.
    """

    def __init__(
        self, context: Context, last_commit: Commit, halt: Callable[[str, tuple[bytes, ...]], None]
    ) -> None:
        self.current = CurrentHeight(context, last_commit)
        self.previous: Height | None = None
        self.committing: tuple[Assembled, Commit] | None = None
        self._context = context
        self._halt = halt
        self._applying: Iterator[None] | None = None
        self._adopting: JudgeDecided | None = None

    @property
    def busy(self) -> bool:
        """The block is being applied."""
        return self._applying is not None

    @property
    def syncing(self) -> bool:
        """A block is being judged, stored or applied."""
        return self._adopting is not None or self.committing is not None or self.busy

    # Blocks of peers

    def adopt(self, block: Block, commit: Commit, *, checked: bool) -> bool:
        """See ``Participant.adopt``."""
        context = self._context
        if self.syncing or block.header.height != self.current.number:
            return False
        self._adopting = JudgeDecided(
            context.params, context.ledger, block, commit, context.source.coin_reader(), checked
        )
        context.emit(fx.RunJob(self._adopting))
        return True

    def job_done(self, job: fx.Job, outcome: Assembled | Exception) -> None:
        """A job came back."""
        if job is self._adopting:
            self._judged(self._adopting, outcome)
        else:
            self.current.job_done(job, outcome)

    def _judged(self, job: JudgeDecided, outcome: Assembled | Exception) -> None:
        self._adopting = None
        if isinstance(outcome, Exception):
            decided = isinstance(outcome, DecidedInvalid)
            self._context.emit(fx.BadBlock(job.block.header.height, str(outcome), decided))
        elif self.committing is None and job.block.header.height == self.current.number:
            self.current.decided = (outcome, job.commit)

    # Applying

    def commit_if_decided(self, final_ms: Mapping[Hash, int]) -> None:
        """Ask for the decided block to be made durable, with the times to finality of its transactions, by txid."""
        if self.current.decided is None or self.committing is not None or self._context.halted:
            return
        self.committing = assembled, commit = self.current.decided
        times = tuple([final_ms.get(tx.txid) for tx in assembled.block.transactions])
        self._context.emit(fx.CommitBlock(assembled, commit, times))

    def committed(self) -> None:
        """It is durable and the source shows it: begin to apply it."""
        context = self._context
        assert self.committing is not None
        assembled, _ = self.committing
        context.window.ledger = assembled.state
        self._applying = context.finality.apply(
            assembled.block.transactions,
            closing=assembled.block.header.closing,
            members=context.members,
            signer=context.signer,
            now=context.now,
        )

    def step(self) -> tuple[Block, Commit] | None:
        """One slice; the block and its commit once it is applied. Then ``next_height`` is due."""
        assert self._applying is not None
        try:
            next(self._applying)
        except StopIteration:
            assert self.committing is not None
            (assembled, commit), self.committing, self._applying = self.committing, None, None
            return assembled.block, commit
        return None

    def next_height(self, block: Block, commit: Commit) -> None:
        """The height of an applied block is over; others may have been shown other precommits of the one before than I:
        theirs stand in the commit that the block carries.
        """
        context, previous = self._context, self.previous
        if previous is not None and block.last_commit.height == previous.height:
            previous.committed(block.last_commit, context.now)
            self._heed(previous)
        self.previous = self.current.end(commit)
        context.docket.settle(context.ledger)
        self.current = CurrentHeight(context, self._best_commit(commit))

    def _best_commit(self, commit: Commit) -> Commit:
        previous = self.previous
        if previous is None or previous.decision is None:
            return commit
        return merge_commits(commit, previous.commit(*previous.decision))

    # The height before

    def late_precommit(self, precommit: Precommit) -> None:
        """A precommit of another height than the current one."""
        previous = self.previous
        if previous is None or precommit.height != previous.height:
            return
        if previous.precommit(precommit, self._context.now) and previous.decision is not None:
            self.current.last_commit = self._best_commit(self.current.last_commit)
        self._heed(previous)

    def _heed(self, previous: Height) -> None:
        """What late votes of the height before prove."""
        for effect in previous.take_effects():
            if isinstance(effect, steps.Broken):
                self._halt("two blocks were decided at one height", tuple(c.encode() for c in effect.commits))
            elif isinstance(effect, steps.Equivocation):
                self._context.offence(effect)
