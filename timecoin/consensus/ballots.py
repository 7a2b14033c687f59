"""The prevotes and precommits of one height, counted (arXiv:1807.04938; protocol.md 6).

A signer's power counts once towards a round, and once towards *each* block that it voted for: quorums are
sets of signed messages, so a quorum that one honest node has seen must be a quorum for everybody it is shown
to, whatever its double voters told others first. By their first vote alone two honest nodes could disagree
for good about who voted for what.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, TypeVar

from timecoin.consensus.votes import NIL, Precommit, Prevote
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.hashes import Hash

V = TypeVar("V", Prevote, Precommit)

ROUNDS_AHEAD = 4
"""Votes of one signer are kept for this many rounds after the current one; later they are sent again."""


class Added(Enum):
    """What became of a message."""

    NEW = "new"
    KNOWN = "known"
    CONFLICT = "conflict"
    """A second, different one: kept, and proof that its signer broke the protocol."""
    REFUSED = "refused"


class Tally(Generic[V]):
    """All votes of one kind in one round.

    Of each signer the first vote is kept and the first that contradicts it; any later one only as part of a
    whole quorum (``certified``), so that nobody can fill memory.
    """

    def __init__(self, members: PowerSet) -> None:
        self._members = members
        self._first: dict[int, V] = {}
        self._second: dict[int, V] = {}
        self._by_block: dict[Hash, dict[int, V]] = {}
        self._power: dict[Hash, int] = {}
        self.mask = 0
        self.power = 0
        self.quorums: list[Hash] = []

    def add(self, vote: V, *, certified: bool = False) -> Added:
        """Count a verified vote of a member."""
        first = self._first.get(vote.signer)
        if first is None:
            self._count_signer(vote)
            self._count_block(vote)
            return Added.NEW
        return self._add_contradiction(vote, certified)

    def _add_contradiction(self, vote: V, certified: bool) -> Added:
        if self.holds(vote):
            return Added.KNOWN
        second = self._second.get(vote.signer)
        if second is not None and not certified:
            return Added.REFUSED
        self._second.setdefault(vote.signer, vote)
        self._count_block(vote)
        return Added.CONFLICT if second is None else Added.NEW

    def _count_signer(self, vote: V) -> None:
        self._first[vote.signer] = vote
        self.mask |= 1 << vote.signer
        self.power += self._members.members[vote.signer].power

    def _count_block(self, vote: V) -> None:
        votes = self._by_block.setdefault(vote.block_hash, {})
        if vote.signer in votes:
            return
        votes[vote.signer] = vote
        power = self._power.get(vote.block_hash, 0) + self._members.members[vote.signer].power
        self._power[vote.block_hash] = power
        if self._members.is_quorum(power) and vote.block_hash not in self.quorums:
            self.quorums.append(vote.block_hash)

    def first(self, signer: int) -> V | None:
        """The first vote of a signer."""
        return self._first.get(signer)

    def second(self, signer: int) -> V | None:
        """The first vote of a signer that contradicts its first."""
        return self._second.get(signer)

    def holds(self, vote: V) -> bool:
        """Whether this very vote (its body, whatever the signature) is kept."""
        counted = self._by_block.get(vote.block_hash, {})
        kept = (self._first.get(vote.signer), self._second.get(vote.signer), counted.get(vote.signer))
        return any(other is not None and other.statement == vote.statement for other in kept)

    def power_for(self, block_hash: Hash) -> int:
        """Power of all who voted for a block, or for ``NIL``."""
        return self._power.get(block_hash, 0)

    def mask_for(self, block_hash: Hash) -> int:
        """Mask of all who voted for a block, or for ``NIL``."""
        return sum([1 << signer for signer in self._by_block.get(block_hash, ())])

    def has_quorum(self, block_hash: Hash) -> bool:
        """Whether a quorum voted for this block, or for ``NIL``."""
        return block_hash in self.quorums

    @property
    def has_quorum_of_any(self) -> bool:
        """Whether a quorum voted, for whatever."""
        return self._members.is_quorum(self.power)

    def by_block(self) -> tuple[tuple[Hash, int], ...]:
        """Power by block, highest first."""
        return tuple(sorted(self._power.items(), key=lambda item: (-item[1], item[0])))

    def votes_for(self, block_hash: Hash) -> tuple[V, ...]:
        """All votes for a block in signer order."""
        return tuple([vote for _, vote in sorted(self._by_block.get(block_hash, {}).items())])

    def missing_from(self, mask: int) -> tuple[V, ...]:
        """The first votes of all signers that are not in ``mask``, in signer order."""
        return tuple([vote for signer, vote in sorted(self._first.items()) if not mask >> signer & 1])


class Ballots:
    """Tallies by round and kind.

    ``locks`` and ``decisions`` list the (round, block) that quorums of prevotes and of precommits named, in
    the order in which they came about; ``heard_mask`` is the mask of all signers heard of at this height.
    """

    def __init__(self, members: PowerSet) -> None:
        self._members = members
        self._nothing: Tally[Prevote] = Tally(members)
        self._no_commits: Tally[Precommit] = Tally(members)
        self._prevotes: dict[int, Tally[Prevote]] = {}
        self._precommits: dict[int, Tally[Precommit]] = {}
        self._rounds: dict[int, int] = {}
        self._latest = 0
        self._ahead: dict[int, set[int]] = {}
        self.heard_mask = 0
        self.locks: list[tuple[int, Hash]] = []
        self.decisions: list[tuple[int, Hash]] = []

    def prevotes(self, round_: int) -> Tally[Prevote]:
        """The prevotes of a round."""
        return self._prevotes.get(round_, self._nothing)

    def precommits(self, round_: int) -> Tally[Precommit]:
        """The precommits of a round."""
        return self._precommits.get(round_, self._no_commits)

    def holds(self, vote: Prevote | Precommit) -> bool:
        """Whether this very vote is kept."""
        if isinstance(vote, Prevote):
            return self.prevotes(vote.round).holds(vote)
        return self.precommits(vote.round).holds(vote)

    def has_second(self, vote: Prevote | Precommit) -> bool:
        """Whether this vote's signer is known to have voted twice in its round."""
        tally = self.prevotes(vote.round) if isinstance(vote, Prevote) else self.precommits(vote.round)
        return tally.second(vote.signer) is not None

    def has_room(self, signer: int, round_: int, current: int) -> bool:
        """Whether a vote of ``round_`` may be kept: all past rounds, and ``ROUNDS_AHEAD`` to come."""
        if round_ <= current:
            return True
        ahead = [held for held in self._ahead.get(signer, ()) if held > current]
        return round_ in ahead or len(ahead) < ROUNDS_AHEAD

    def tells_more(self, signer: int, round_: int, current: int) -> bool:
        """Whether hearing of a signer in a round ahead, even without room, helps to see where others are."""
        return round_ > max(current, self._rounds.get(signer, -1))

    def add(self, vote: Prevote | Precommit, current: int, *, certified: bool = False) -> Added:
        """Count a verified vote of a member, seen while in round ``current``."""
        self.heard(vote.signer, vote.round)
        if not self.has_room(vote.signer, vote.round, current):
            return Added.REFUSED
        if vote.round > current:
            held = [round_ for round_ in self._ahead.get(vote.signer, ()) if round_ > current]
            self._ahead[vote.signer] = {*held, vote.round}
        if isinstance(vote, Prevote):
            prevotes = self._prevotes.setdefault(vote.round, Tally(self._members))
            return _add(prevotes, vote, certified, self.locks)
        precommits = self._precommits.setdefault(vote.round, Tally(self._members))
        return _add(precommits, vote, certified, self.decisions)

    def heard(self, signer: int, round_: int) -> None:
        """A member showed that it reached ``round_``."""
        self.heard_mask |= 1 << signer
        self._rounds[signer] = max(round_, self._rounds.get(signer, 0))
        self._latest = max(round_, self._latest)

    def round_of(self, signer: int) -> int | None:
        """The highest round in which a member was heard of, None when it was not at this height."""
        return self._rounds.get(signer)

    def reached(self, current: int) -> int:
        """The highest round that members of more than a third of the power have reached, at least
        ``current``.

        So one honest node at least is there or beyond. The paper asks for messages of one and the same round;
        taking later ones too lets a node follow that finds its peers in different rounds, and gives the
        faulty nothing.
        """
        if self._latest <= current:
            return current
        ahead = [(round_, signer) for signer, round_ in self._rounds.items() if round_ > current]
        power = 0
        for round_, signer in sorted(ahead, reverse=True):
            power += self._members.members[signer].power
            if self._members.exceeds_third(power):
                return round_
        return current


def _add(tally: Tally[V], vote: V, certified: bool, quorums: list[tuple[int, Hash]]) -> Added:
    before = tally.has_quorum(vote.block_hash)
    added = tally.add(vote, certified=certified)
    if not before and vote.block_hash != NIL and tally.has_quorum(vote.block_hash):
        quorums.append((vote.round, vote.block_hash))
    return added
