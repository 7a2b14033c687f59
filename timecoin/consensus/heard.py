"""What the members of a set have said at one height: which messages belong there, what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from timecoin.consensus.ballots import Added, Ballots
from timecoin.consensus.proposal import MalformedProposal, Proposal, ProposalHead
from timecoin.consensus.proposals import ROUNDS_AHEAD, Proposals
from timecoin.consensus.steps import Equivocation, Message
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.hashes import Hash


class Heard:
    """The verified messages of one height. ``current`` is always the round in which the listener is."""

    def __init__(
        self,
        chain_id: Hash,
        epoch: int,
        height: int,
        members: PowerSet,
        proposer_of: Callable[[int], int],
    ) -> None:
        self.ballots = Ballots(members)
        self.proposals = Proposals()
        self._place = (chain_id, epoch, members.set_hash, height)
        self._members = members
        self._proposer_of = proposer_of
        self._proposers: dict[int, int] = {}

    def proposer(self, round_: int) -> int:
        """Signer index of a round's proposer, computed once."""
        if round_ not in self._proposers:
            self._proposers[round_] = self._proposer_of(round_)
        return self._proposers[round_]

    def belongs(self, message: Message | ProposalHead) -> bool:
        """Whether a message is of this network, epoch, set and height, by a member."""
        head = message.head if isinstance(message, Proposal) else message
        place = (head.chain_id, head.epoch, head.set_hash, head.height)
        return place == self._place and 0 <= head.signer < len(self._members)

    def is_acceptable(self, proposal: Proposal, current: int) -> bool:
        """Whether a proposal belongs here, is by its round's proposer, and its rounds fit each other."""
        # The proposer of a round takes as many steps to compute: never for a round that somebody made up.
        if not self.belongs(proposal) or proposal.round > current + ROUNDS_AHEAD:
            return False
        try:
            proposal.check_shape()
        except MalformedProposal:
            return False
        return proposal.signer == self.proposer(proposal.round)

    def needs(self, head: ProposalHead | Prevote | Precommit, current: int, needed: Collection[Hash]) -> bool:
        """Whether a message is worth verifying. ``needed``: the blocks that are wanted whoever brings them.
        """
        if not self.belongs(head):
            return False
        if isinstance(head, ProposalHead):
            return self._needs_proposal(head, current, needed)
        if self.ballots.holds(head) or self.ballots.has_second(head):
            return False
        ahead = self.ballots.tells_more(head.signer, head.round, current)
        return ahead or self.ballots.has_room(head.signer, head.round, current)

    def _needs_proposal(self, head: ProposalHead, current: int, needed: Collection[Hash]) -> bool:
        if head.round > current + ROUNDS_AHEAD or head.signer != self.proposer(head.round):
            return False
        known = self.proposals.heads(head.round)
        if len(known) < 2 and all(other.body() != head.body() for other in known):
            return True
        return self.proposals.carrying(head.block_hash) is None and head.block_hash in needed

    def holds(self, message: Message) -> bool:
        """Whether this very message, by its signed body, is kept."""
        if not self.belongs(message):
            return False
        if isinstance(message, Proposal):
            return self.proposals.holds(message)
        return self.ballots.holds(message)

    def keep(self, message: Message, current: int, *, wanted: bool) -> Added:
        """Keep a message that belongs here; ``wanted`` ones beyond what any signer may fill."""
        if isinstance(message, Proposal):
            self.ballots.heard(message.signer, message.round)
            return self.proposals.add(message, wanted=wanted)
        return self.ballots.add(message, current, certified=wanted)

    def equivocation(self, message: Message) -> Equivocation:
        """The proof against the signer of a message whose keeping found a conflict."""
        if isinstance(message, Proposal):
            return Equivocation(*self.proposals.heads(message.round))
        tally = self.ballots.prevotes if isinstance(message, Prevote) else self.ballots.precommits
        first = tally(message.round).first(message.signer)
        assert first is not None
        return Equivocation(first, message)

    def is_quorum(self, round_: int, block_hash: Hash, votes: Iterable[Prevote | Precommit]) -> bool:
        """Whether ``votes`` are a quorum's, all for one block in one round."""
        votes = tuple(votes)
        mask = sum({1 << vote.signer for vote in votes})
        if any((vote.round, vote.block_hash) != (round_, block_hash) for vote in votes):
            return False
        return self._members.is_quorum(self._members.power_of(mask))
