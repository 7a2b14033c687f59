"""What a peer at the same height lacks, and how a height stands (protocol.md 8, *nothing is lost for good*).

A peer tells its round, its step and the masks of votes that it holds of that round. It is sent what it lacks
of its own round, so that it can end it, and from a node further on the votes of that node's round, so that it
can follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from timecoin.consensus.proposal import Proposal
from timecoin.consensus.steps import Step, Want
from timecoin.consensus.tendermint import Height
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.primitives.hashes import Hash


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody is at a height: masks are over signer indexes, of the votes held of ``round``."""

    round: int
    step: Step
    has_proposal: bool
    prevotes: int
    precommits: int


@dataclass(frozen=True, slots=True)
class Pol:
    """A quorum of prevotes for one block in one round, to be given to ``Height.pol``."""

    round: int
    block_hash: Hash
    prevotes: tuple[Prevote, ...]


Sendable: TypeAlias = Proposal | Pol | Prevote | Precommit


def standing(height: Height) -> Standing:
    """My own standing."""
    ballots, round_ = height.ballots, height.round
    return Standing(
        round_,
        height.step,
        height.proposals.of_round(round_) is not None,
        ballots.prevotes(round_).mask,
        ballots.precommits(round_).mask,
    )


def messages_for(height: Height, peer: Standing) -> tuple[Sendable, ...]:
    """What ``peer`` lacks and I have, in the order in which it should come; a re-proposal behind its POL."""
    messages = [*_proposal_for(height, peer), *_votes(height, peer.round, peer.prevotes, peer.precommits)]
    if height.round > peer.round:
        messages += _votes(height, height.round, 0, 0)
    return tuple(messages)


def pol_of(height: Height, round_: int, block_hash: Hash) -> Pol | None:
    """The POL of a block in a round, when I hold a quorum of prevotes."""
    if not height.ballots.prevotes(round_).has_quorum(block_hash):
        return None
    return Pol(round_, block_hash, height.prevotes_for(round_, block_hash))


def _proposal_for(height: Height, peer: Standing) -> list[Sendable]:
    proposal = height.proposals.of_round(peer.round)
    if proposal is None or peer.has_proposal:
        return []
    pol = None if proposal.head.is_fresh else pol_of(height, proposal.valid_round, proposal.block_hash)
    return [proposal] if pol is None else [pol, proposal]


def _votes(height: Height, round_: int, prevotes: int, precommits: int) -> list[Sendable]:
    ballots = height.ballots
    return [
        *ballots.prevotes(round_).missing_from(prevotes),
        *ballots.precommits(round_).missing_from(precommits),
    ]


@dataclass(frozen=True, slots=True)
class VoteView:
    """The votes of one kind in one round, as shown to people: power by block (``NIL`` is no block), highest
    first.
    """

    signers: int
    power: int
    by_block: tuple[tuple[Hash, int], ...]


@dataclass(frozen=True, slots=True)
class RoundView:
    """One round as shown to people."""

    round: int
    proposer: int
    proposed: Hash | None
    valid_round: int
    prevotes: VoteView
    precommits: VoteView


@dataclass(frozen=True, slots=True)
class HeightView:
    """One height as shown to people (``getconsensusinfo``). ``round_started`` is in milliseconds."""

    height: int
    epoch: int
    total_power: int
    round: int
    step: Step
    round_started: int
    locked: tuple[int, Hash] | None
    valid: tuple[int, Hash] | None
    decision: tuple[int, Hash] | None
    wants: tuple[Want, ...]
    rounds: tuple[RoundView, ...]


def view(height: Height, rounds: int = 2) -> HeightView:
    """The current round and those before it, ``rounds`` at most, newest first."""
    oldest = max(0, height.round - rounds + 1)
    return HeightView(
        height.height,
        height.epoch,
        height.members.total,
        height.round,
        height.step,
        height.round_started,
        None if height.locked_hash is None else (height.locked_round, height.locked_hash),
        None if height.valid_hash is None else (height.valid_round, height.valid_hash),
        height.decision,
        height.wants(),
        tuple([_round_view(height, round_) for round_ in range(height.round, oldest - 1, -1)]),
    )


def _round_view(height: Height, round_: int) -> RoundView:
    proposal = height.proposals.of_round(round_)
    prevotes, precommits = height.ballots.prevotes(round_), height.ballots.precommits(round_)
    return RoundView(
        round_,
        height.proposer(round_),
        None if proposal is None else proposal.block_hash,
        -1 if proposal is None else proposal.valid_round,
        VoteView(prevotes.mask, prevotes.power, prevotes.by_block()),
        VoteView(precommits.mask, precommits.power, precommits.by_block()),
    )
