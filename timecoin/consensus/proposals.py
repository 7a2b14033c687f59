"""The proposals of one height: by round, and by the block that they carry."""

from __future__ import annotations

from collections.abc import Collection

from timecoin.consensus.ballots import Added
from timecoin.consensus.proposal import Proposal, ProposalHead
from timecoin.primitives.hashes import Hash

ROUNDS_AHEAD = 2
"""Proposals are large: they are kept for this many rounds after the current one."""

ROUNDS_BEHIND = 1
"""And for so many before it, unless their block is still needed."""


class Proposals:
    """Keeps, of each round, the first proposal (the one that is voted on) and the second (proof of double
    proposing).

    Equal contents are held in memory once, so that re-proposals cost nothing.
    """

    def __init__(self) -> None:
        self._heads: dict[int, list[ProposalHead]] = {}
        self._first: dict[int, Proposal] = {}
        self._carriers: dict[Hash, Proposal] = {}

    def of_round(self, round_: int) -> Proposal | None:
        """The proposal of a round: the first that came."""
        return self._first.get(round_)

    def carrying(self, block_hash: Hash) -> Proposal | None:
        """A proposal, of any round, of this block."""
        return self._carriers.get(block_hash)

    def heads(self, round_: int) -> tuple[ProposalHead, ...]:
        """The signed heads known of a round: two prove double proposing."""
        return tuple(self._heads.get(round_, ()))

    def carried(self) -> tuple[Proposal, ...]:
        """One proposal of each block that is kept, in the order in which they came."""
        return tuple(self._carriers.values())

    def holds(self, proposal: Proposal) -> bool:
        """Whether this proposal's head is known and its block kept."""
        return self._knows(proposal) and proposal.block_hash in self._carriers

    def _knows(self, proposal: Proposal) -> bool:
        return any(head.body() == proposal.body() for head in self.heads(proposal.round))

    def add(self, proposal: Proposal, *, wanted: bool) -> Added:
        """Keep a verified proposal of the round's proposer; beyond the second only a ``wanted`` block is
        taken.
        """
        if self.holds(proposal):
            return Added.KNOWN
        heads = self._heads.setdefault(proposal.round, [])
        known = self._knows(proposal)
        if not wanted and (known or len(heads) == 2):
            return Added.REFUSED
        carrier = self._carriers.setdefault(proposal.block_hash, proposal)
        if known or len(heads) == 2:
            return Added.NEW
        heads.append(proposal.head)
        if len(heads) == 2:
            return Added.CONFLICT
        self._first[proposal.round] = proposal.sharing(carrier.content)
        return Added.NEW

    def prune(self, current: int, needed: Collection[Hash]) -> None:
        """Forget proposals of rounds long past, and blocks that neither these nor ``needed`` name. Heads
        stay.
        """
        for round_ in [round_ for round_ in self._first if round_ < current - ROUNDS_BEHIND]:
            del self._first[round_]
        keep = {proposal.block_hash for proposal in self._first.values()} | set(needed)
        for block_hash in [block_hash for block_hash in self._carriers if block_hash not in keep]:
            if self._carriers[block_hash].round < current - ROUNDS_BEHIND:
                del self._carriers[block_hash]
