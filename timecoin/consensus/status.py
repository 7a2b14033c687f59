"""What is said to users about a transaction and a coin (protocol.md 1).  ``certified`` is not ``final``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from timecoin.primitives.hashes import Hash


class Status(Enum):
    """The life of a transaction: pending → certified → final → archived, or rejected."""

    PENDING = "pending"
    CERTIFIED = "certified"
    FINAL = "final"
    ARCHIVED = "archived"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class TxStatus:
    """Status with votes and acks of the open epoch: masks over the signer index, their power, and the total.

    ``final_ms``: milliseconds from first sight to finality, if known.  ``height`` and ``position`` of an
    archived one.  ``reason``: why it was rejected, or why I have not voted for a pending one.
    """

    txid: Hash
    status: Status
    total: int
    votes: int = 0
    vote_power: int = 0
    acks: int = 0
    ack_power: int = 0
    final_ms: int | None = None
    height: int | None = None
    position: int | None = None
    reason: str | None = None


class CoinStatus(Enum):
    """The life of a coin, and ``unknown`` when no known transaction makes it."""

    UNSPENT = "unspent"
    LOCKED = "locked"
    SPENT_PENDING = "spent_pending"
    SPENT_FINAL = "spent_final"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OutpointState:
    """State of a coin; ``spender`` is the unarchived transaction that it is locked for or spent by."""

    status: CoinStatus
    spender: Hash | None = None
