"""What the methods about finality answer (protocol.md sections 1 and 5)."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from timecoin.rpc.codec import Amount, HashText

#: Where a transaction stands. Certified is not final.
StatusText: TypeAlias = Literal["pending", "certified", "final", "archived", "rejected"]
#: Where an output stands; locked is this masternode's own vote.
CoinText: TypeAlias = Literal["unspent", "locked", "spent_pending", "spent_final", "spent"]


class TransactionStatus(TypedDict):
    """Where a transaction stands. ``votes`` and ``acks`` are powers seen in the open epoch, of ``total_power``."""

    txid: HashText
    status: StatusText
    votes: int
    acks: int
    total_power: int
    final_ms: int | None
    height: int | None
    blockhash: HashText | None
    reason: str | None


class FinalityChange(TypedDict):
    """A transaction reached a status; ``n`` is the event's number."""

    n: int
    txid: HashText
    status: StatusText
    time_ms: int


class FinalityEvents(TypedDict):
    """Events, where to go on (``next``), and the oldest and newest number held."""

    events: list[FinalityChange]
    next: int
    first: int
    last: int
    missed: bool


class OutputState(TypedDict):
    """Where an output stands.

    ``by``: the unarchived transaction that it is locked for or spent by, first seen here at ``since_ms``. ``epoch`` is
    the open one, with which locks and certificates end. ``value`` and ``height`` (of the block that holds it, null if
    none does yet) are those of the output, null once it is spent.
    """

    txid: HashText
    vout: int
    state: CoinText
    by: HashText | None
    since_ms: int | None
    epoch: int
    value: Amount | None
    height: int | None
