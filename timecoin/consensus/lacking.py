"""What a peer that told its round and votes lacks of a height, so that nothing is lost for good (protocol.md
8).
"""

from __future__ import annotations

from timecoin.consensus.proposal import NO_ROUND
from timecoin.consensus.steps import Message, Step
from timecoin.consensus.tendermint import Height


def lacking(height: Height, round_: int, step: int, prevotes: int, precommits: int) -> list[Message]:
    """The messages to send to a peer at ``round_`` and ``step`` that holds these votes (masks) of its round.

    Of its own round what it misses; of mine, if it is behind, everything that makes it follow; and the
    precommits of a decision.
    """
    found: list[Message] = []
    if round_ <= height.round:
        found.extend(_of_round(height, round_, step, prevotes, precommits))
    if round_ < height.round:
        found.extend(_of_round(height, height.round, Step.NEW, 0, 0))
    if height.valid_hash is not None and height.valid_round not in (NO_ROUND, round_, height.round):
        found.extend(height.prevotes_for(height.valid_round, height.valid_hash))
    if height.decision is not None and height.decision[0] != round_:
        found.extend(height.ballots.precommits(height.decision[0]).missing_from(0))
    return found


def _of_round(height: Height, round_: int, step: int, prevotes: int, precommits: int) -> list[Message]:
    found: list[Message] = []
    proposal = height.proposals.of_round(round_)
    if proposal is not None and step <= Step.PROPOSE:
        found.append(proposal)
    found.extend(height.ballots.prevotes(round_).missing_from(prevotes))
    found.extend(height.ballots.precommits(round_).missing_from(precommits))
    return found
