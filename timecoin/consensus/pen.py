"""Drafts of what a node signs for one height, and the guard that it never signs two of a kind for a round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from timecoin.consensus.proposal import Content, Proposal, ProposalHead
from timecoin.consensus.steps import Message
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.primitives.hashes import Hash


class Contradiction(AssertionError):
    """A second message of one kind was about to be signed for one round. Better to stop than to sign it."""


class Pen:
    """Writes drafts for one signer (None: a follower) at one height, and knows all that this signer ever
    signed there.

    ``silent``: nothing is written any more, because a message turned up that is not known here (protocol.md
    4).
    """

    def __init__(self, chain_id: Hash, epoch: int, set_hash: Hash, signer: int | None, height: int) -> None:
        self.signer = signer
        self.silent = signer is None
        self._prefix = (chain_id, epoch, set_hash, signer or 0, height)
        self._signed: dict[tuple[type[Message], int], bytes] = {}

    def recall(self, messages: Iterable[Message]) -> int | None:
        """Take up what I signed before a restart; the last round of it."""
        mine = [message for message in messages if message.signer == self.signer]
        self._signed |= {(type(message), message.round): message.body() for message in mine}
        return max([message.round for message in mine], default=None)

    def recall_proposals(self, bodies: Mapping[int, bytes]) -> None:
        """My proposals of earlier rounds, by their signed bodies alone."""
        self._signed |= {(Proposal, round_): body for round_, body in bodies.items()}

    def has_signed(self, kind: type[Message], round_: int) -> bool:
        """Whether a message of this kind was written for this round."""
        return (kind, round_) in self._signed

    def wrote(self, message: Message) -> bool:
        """Whether this message is mine and known here."""
        known = self._signed.get((type(message), message.round))
        return message.signer == self.signer and known == message.body()

    def proposal(self, round_: int, content: Content, valid_round: int) -> Proposal | None:
        """A draft that proposes ``content`` (``MalformedProposal`` when it belongs elsewhere); None when
        silent.
        """
        header = content.header
        head = ProposalHead(*self._prefix, round_, valid_round, header.closing, header.hash)
        draft = Proposal(head, content)
        draft.check_shape()
        return draft if self._write(draft) else None

    def prevote(self, round_: int, block_hash: Hash, *, fresh: bool) -> Prevote | None:
        """A draft of a prevote; None when silent."""
        draft = Prevote(*self._prefix, round_, block_hash, fresh=fresh)
        return draft if self._write(draft) else None

    def precommit(self, round_: int, block_hash: Hash) -> Precommit | None:
        """A draft of a precommit; None when silent."""
        draft = Precommit(*self._prefix, round_, block_hash)
        return draft if self._write(draft) else None

    def _write(self, draft: Message) -> bool:
        if self.silent:
            return False
        place = (type(draft), draft.round)
        if place in self._signed:
            raise Contradiction(f"a second {type(draft).__name__} for round {draft.round}")
        self._signed[place] = draft.body()
        return True
