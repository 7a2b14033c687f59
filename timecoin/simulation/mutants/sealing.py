"""Mutants of R9, the seal, and of what stays across an interim decision (R11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from timecoin.consensus import steps
from timecoin.consensus.context import Context
from timecoin.consensus.current_height import CurrentHeight
from timecoin.consensus.finality import Finality
from timecoin.consensus.locks import Locks
from timecoin.consensus.participant import Participant
from timecoin.consensus.voter import Voter
from timecoin.primitives.block import Block, Commit
from timecoin.simulation.mutants.mutant import Hunt, Kind, Swap, mutant, original

SMALL_BLOCKS = {"interim_txs": 3}


@mutant(
    "no_seal",
    Kind.SAFETY,
    "nobody seals: acks go on until the closing block is decided",
    ("final_archived", "accusable"),
    Hunt(8, ("late_acks",)),
)
def _no_seal() -> Iterator[Swap]:
    def seal(self: Voter) -> None:
        # That the epoch's end has come is still known to proposers; it is neither told nor heeded.
        self.sealed = True

    def ack(self: Voter, entry: Any) -> bool:
        sealed, self.sealed = self.sealed, False
        try:
            return bool(original_ack(self, entry))
        finally:
            self.sealed = sealed

    original_ack = original(Voter, "ack")
    yield Swap(Voter, "seal", seal)
    yield Swap(Voter, "ack", ack)


def _lift(context: Context) -> None:
    """Unsealed until the next fresh closing proposal is looked at; what could not be acked since then is."""
    voter = context.finality.voter
    if voter.sealed:
        voter.sealed = False
        _lifted.add(voter)
        voter.run(list(context.finality.pool))


class _Lifted:
    """Voters whose seal was lifted: the clock alone does not seal them again."""

    def __init__(self) -> None:
        self._marks: list[Voter] = []

    def add(self, voter: Voter) -> None:
        self._marks = [*self._marks[-200:], voter]

    def __contains__(self, voter: Voter) -> bool:
        return any(each is voter for each in self._marks)


_lifted = _Lifted()


def _seal_if_due(self: Participant) -> None:
    if self.finality.voter not in _lifted:
        original_seal_if_due(self)


original_seal_if_due = original(Participant, "_seal_if_due")


@mutant(
    "seal_lifted_each_round",
    Kind.SAFETY,
    "each new round lifts the seal until its proposal is looked at",
    ("contradiction", "final_archived", "accusable"),
    Hunt(8, ("lone_lock",)),
)
def _seal_lifted_each_round() -> Iterator[Swap]:
    def carry_out(self: CurrentHeight, effect: steps.Effect) -> None:
        original_carry_out(self, effect)
        if isinstance(effect, steps.EnteredRound) and effect.round > 0:
            _lift(self._context)

    original_carry_out = original(CurrentHeight, "_carry_out")
    yield Swap(CurrentHeight, "_carry_out", carry_out)
    yield Swap(Participant, "_seal_if_due", _seal_if_due)


@mutant(
    "seal_lifted_at_interim",
    Kind.SAFETY,
    "the decision of an interim block lifts the seal",
    ("contradiction", "final_archived", "accusable"),
    Hunt(8, ("decided_interim",), overrides=SMALL_BLOCKS),
)
def _seal_lifted_at_interim() -> Iterator[Swap]:
    def applied(self: Participant, block: Block, commit: Commit) -> None:
        original_applied(self, block, commit)
        if not block.header.closing:
            _lift(self._context)

    original_applied = original(Participant, "_applied")
    yield Swap(Participant, "_applied", applied)
    yield Swap(Participant, "_seal_if_due", _seal_if_due)


@mutant(
    "locks_dropped_at_interim",
    Kind.SAFETY,
    "the decision of an interim block drops all vote locks",
    ("contradiction", "rivals_final", "false_alarm"),
    Hunt(6, ("split_votes",), overrides=SMALL_BLOCKS),
)
def _locks_dropped_at_interim() -> Iterator[Swap]:
    def finish(self: Finality, closing: bool, now: int) -> Iterator[None]:
        yield from original_finish(self, closing, now)
        if not closing:
            self.voter.locks = Locks(self.epoch)
            self.voter.run(list(self.pool))

    original_finish = original(Finality, "_finish")
    yield Swap(Finality, "_finish", finish)


@mutant(
    "acked_wiped_at_interim",
    Kind.SAFETY,
    "the decision of an interim block wipes the set of what was acked",
    ("final_archived", "accusable"),
    Hunt(8, ("decided_interim",), overrides=SMALL_BLOCKS),
)
def _acked_wiped_at_interim() -> Iterator[Swap]:
    def finish(self: Finality, closing: bool, now: int) -> Iterator[None]:
        yield from original_finish(self, closing, now)
        if not closing:
            self.voter.acked.clear()

    original_finish = original(Finality, "_finish")
    yield Swap(Finality, "_finish", finish)
