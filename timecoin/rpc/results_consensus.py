"""What the methods about consensus and epochs answer (protocol.md sections 3, 5, 6 and 7)."""

from __future__ import annotations

from typing import Literal, TypedDict

from timecoin.rpc.codec import Amount, HashText, HexText


class VoteShown(TypedDict):
    """A prevote or precommit: for a block, or (null) for none. ``fresh``: a prevote that rests on the own checks, not
    on an earlier quorum; null for precommits."""

    blockhash: HashText | None
    fresh: bool | None


class MemberShown(TypedDict):
    """A member of S(epoch). ``round``: the highest in which it was heard of at this height; ``heard``: whether it
    voted in the current round."""

    signer: int
    masternode_id: HashText
    power: int
    me: bool
    connected: bool
    last_bundle: int
    sealed: bool
    round: int | None
    heard: bool
    prevote: VoteShown | None
    precommit: VoteShown | None


class BlockVotes(TypedDict):
    """Power for one block, or (null) for none."""

    blockhash: HashText | None
    power: int


class VotesShown(TypedDict):
    """The votes of one kind in the current round. ``missing_power``: until a quorum for one block."""

    power: int
    missing_power: int
    blocks: list[BlockVotes]
    missing: list[int]


class RoundValue(TypedDict):
    """A block and the round in which a quorum of prevotes named it."""

    round: int
    blockhash: HashText


class TimerShown(TypedDict):
    """A wait of the current round that has begun, and how long it is."""

    step: str
    milliseconds: int


class ConsensusShown(TypedDict):
    """Consensus as this node sees it; powers have no unit, signers are indexes of ``members``."""

    height: int
    round: int
    step: str
    round_started_ms: int | None
    epoch: int
    sealed: bool
    seals: int
    next_slot: int
    set_size: int
    set_hash: HashText
    total_power: int
    quorum_power: int
    connected_power: int
    missing_power: int
    masternode_id: HashText | None
    signer: int | None
    power: int
    voting: bool
    proposing: bool
    abstains: str | None
    pending: int
    certified: int
    final: int
    proposer: int
    proposal: HashText | None
    locked: RoundValue | None
    valid: RoundValue | None
    timers: list[TimerShown]
    prevotes: VotesShown
    precommits: VotesShown
    members: list[MemberShown]
    disconnected: list[int]
    unsealed: list[int]


class SetMember(TypedDict):
    """A member of a set."""

    masternode_id: HashText
    operator_key: HexText
    power: int
    payout: str


class SetShown(TypedDict):
    """A set; ``certain`` is false for what later blocks of the open epoch can still change."""

    epoch: int
    certain: bool
    size: int
    total_power: int
    set_hash: HashText
    members: list[SetMember]


class RewardShown(TypedDict):
    """The reward that the closing block would pay if it came now: new coins and fees, shared by power.

    ``present``: masternodes that share it; ``certain``: the blocks tell by now who they are. ``mine``: this
    masternode's share.
    """

    created: Amount
    fees: Amount
    paid: Amount
    present: int
    certain: bool
    mine: Amount | None


class EpochShown(TypedDict):
    """The open epoch. Slots are Unix seconds."""

    epoch: int
    state: Literal["open", "due"]
    start_slot: int
    next_slot: int
    seconds_left: int
    epoch_seconds: int
    height: int
    blocks: int
    transactions: int
    fees: Amount
    free_mode: bool
    registry_changes: int
    reward: RewardShown
    sets: list[SetShown]
