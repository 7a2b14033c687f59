"""What goes in and out of one Tendermint height besides messages: verdicts, timers, effects (protocol.md 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol, TypeAlias

from timecoin.consensus.proposal import Proposal, ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.primitives.block import Commit
from timecoin.primitives.hashes import Hash

Message: TypeAlias = Proposal | Prevote | Precommit
"""What members sign for a height."""


class Step(IntEnum):
    """Where in a round a node is; the numbers travel in a peer's status."""

    NEW = 0
    """Not started: messages are kept, nothing is signed."""
    PROPOSE = 1
    PREVOTE = 2
    """My prevote is cast."""
    PRECOMMIT = 3
    """My precommit is cast."""
    DECIDED = 4


class Validity(Enum):
    """Is a proposed block valid? ``WAIT`` while bodies are missing or it is being verified."""

    WAIT = "wait"
    VALID = "valid"
    INVALID = "invalid"


class Freshness(Enum):
    """Do the local checks of R10 accept a fresh proposal? ``WAIT`` while a certificate may still arrive."""

    WAIT = "wait"
    ACCEPT = "accept"
    REJECT = "reject"


class LocalChecks(Protocol):
    """What a height asks its owner. Neither may call back into the height; when an answer changes, call
    ``Height.poke``.
    """

    def validity(self, proposal: Proposal) -> Validity:
        """Whether the block is valid and complete here. ``VALID`` and ``INVALID`` are for good."""
        ...

    def fresh(self, proposal: Proposal) -> Freshness:
        """R10 (i) and (ii) for a valid, fresh proposal, after sealing if R9 says so. Asked only before my
        prevote on it.
        """
        ...


class TimeoutKind(Enum):
    """Which wait a timer ends."""

    PROPOSE = "propose"
    PREVOTE = "prevote"
    PRECOMMIT = "precommit"


@dataclass(frozen=True, slots=True)
class Timeout:
    """Names one timer; give it to ``Height.timeout`` when it fires. One that is late does nothing."""

    kind: TimeoutKind
    height: int
    round: int


@dataclass(frozen=True, slots=True)
class SetTimeout:
    """Call ``Height.timeout(timeout)`` after ``delay_ms`` milliseconds."""

    timeout: Timeout
    delay_ms: int


@dataclass(frozen=True, slots=True)
class EnteredRound:
    """A round began."""

    round: int


@dataclass(frozen=True, slots=True)
class NeedValue:
    """I propose in this round and have no valid value: build a block, give it to ``Height.value``."""

    round: int


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign this, make it durable with what protocol.md 4 asks for its kind, then give it back as an input and
    send it.
    """

    draft: Message


@dataclass(frozen=True, slots=True)
class WantProposal:
    """A quorum names a block, or I am locked on one, that I do not have: ask for a proposal of it."""

    round: int
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class WantPol:
    """The proposal at hand claims a quorum of prevotes that I do not have: ask for it."""

    round: int
    block_hash: Hash


Want: TypeAlias = WantProposal | WantPol


@dataclass(frozen=True, slots=True)
class Decided:
    """The block is decided. ``commit`` holds all precommits known so far; ``Height.commit`` may know more
    later.
    """

    round: int
    block_hash: Hash
    commit: Commit


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two different signed bodies of one kind by one signer for one round: evidence (protocol.md 3)."""

    first: ProposalHead | Prevote | Precommit
    second: ProposalHead | Prevote | Precommit


@dataclass(frozen=True, slots=True)
class Unjournaled:
    """A message with my own signature that I do not know of: from here on this height signs nothing
    (protocol.md 4).
    """

    message: Message


@dataclass(frozen=True, slots=True)
class Broken:
    """A quorum precommitted what cannot be: a second block, or one that is invalid here. A third or more is
    faulty (R12).
    """

    commits: tuple[Commit, ...]


Effect: TypeAlias = (
    SetTimeout
    | EnteredRound
    | NeedValue
    | Sign
    | WantProposal
    | WantPol
    | Decided
    | Equivocation
    | Unjournaled
    | Broken
)
