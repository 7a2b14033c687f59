"""The messages of push, one struct each. The AsyncAPI document is made of them (``push.asyncapi``)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, cast

import msgspec

from timecoin.primitives.hashes import display
from timecoin.storage.event_record import EventRecord, TransactionRecord

Number: TypeAlias = Annotated[
    int, msgspec.Meta(ge=0, description="Number of an event; it means something within one stream.")
]
Stream: TypeAlias = Annotated[
    str, msgspec.Meta(pattern="^[0-9a-f]{32}$", description="Identity of the stream of events.")
]
HexHash: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="Hash in hex, as displayed.")]
TopicName: TypeAlias = Annotated[
    str, msgspec.Meta(description="blocks, finality, finality:STATUS,..., transaction:TXID or address:ADDRESS.")
]
Status: TypeAlias = Literal["pending", "certified", "final", "archived", "rejected"]

# Events


class TransactionEvent(msgspec.Struct, tag_field="type", tag="transaction", omit_defaults=True):
    """A transaction has a new status. Only final and archived are for good; certified is not final."""

    number: Number
    txid: HexHash
    status: Status
    time_ms: Annotated[int, msgspec.Meta(description="When, in milliseconds since the Unix epoch.")]
    topics: Annotated[list[TopicName], msgspec.Meta(description="Your subscriptions for which it is.")]
    height: Annotated[int | None, msgspec.Meta(description="Of the block of an archived one.")] = None
    reason: Annotated[str | None, msgspec.Meta(description="Why it was rejected.")] = None


class BlockEvent(msgspec.Struct, tag_field="type", tag="block"):
    """A decided block was applied; its transactions were told as archived just before."""

    number: Number
    blockhash: HexHash
    height: int
    epoch: int
    closing: Annotated[bool, msgspec.Meta(description="Whether it closed its epoch.")]
    time_ms: Annotated[int, msgspec.Meta(description="When, in milliseconds since the Unix epoch.")]
    topics: Annotated[list[TopicName], msgspec.Meta(description="Your subscriptions for which it is.")]


Event: TypeAlias = TransactionEvent | BlockEvent


def event_of(record: EventRecord, topics: list[str]) -> Event:
    """What a client is told of an event."""
    if isinstance(record, TransactionRecord):
        status = cast(Status, record.status)
        txid, height, reason = display(record.txid), record.height, record.reason
        return TransactionEvent(record.number, txid, status, record.time_ms, topics, height, reason)
    blockhash = display(record.block_hash)
    return BlockEvent(record.number, blockhash, record.height, record.epoch, record.closing, record.time_ms, topics)


class Position(msgspec.Struct):
    """All events up to this number were told, if they were for you: go on after it next time."""

    stream: Stream
    number: Number


class Gap(msgspec.Struct):
    """Events after the number at which you were are not held any more. Look at the state itself, then subscribe again,
    after ``first`` - 1 for all that is held or without a number for what comes.
    """

    stream: Stream
    first: Annotated[int, msgspec.Meta(description="The first event that is held; last + 1 when none is.")]
    last: Number


# What WebSocket clients send


class Subscribe(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of ``subscribe``: events after number ``since`` are told, without it those from now on."""

    topics: Annotated[list[TopicName], msgspec.Meta(min_length=1, max_length=1_000)]
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stream: Annotated[str | None, msgspec.Meta(description="The stream that ``since`` is of.")] = None


class Unsubscribe(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of ``unsubscribe``."""

    topics: Annotated[list[TopicName], msgspec.Meta(min_length=1, max_length=1_000)]


class Request(msgspec.Struct):
    """A call, as JSON-RPC 2.0 has it; batches are not taken."""

    method: str
    jsonrpc: str = "2.0"
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | str | float | None = None


class Subscribed(msgspec.Struct):
    """The answer to both calls: the topics subscribed to, and the number after which new ones are told."""

    stream: Stream
    number: Number
    topics: list[TopicName]


# What they get


class Error(msgspec.Struct, omit_defaults=True):
    """Why a call failed; ``data`` is given with code -32010, when events after ``since`` are not held."""

    code: int
    message: str
    data: Gap | None = None


class Answer(msgspec.Struct):
    """A call succeeded."""

    id: int | str | float | None
    result: Subscribed
    jsonrpc: Literal["2.0"] = "2.0"


class Refusal(msgspec.Struct):
    """A call failed."""

    id: int | str | float | None
    error: Error
    jsonrpc: Literal["2.0"] = "2.0"


class EventNote(msgspec.Struct):
    """Notification of an event."""

    params: Event
    method: Literal["event"] = "event"
    jsonrpc: Literal["2.0"] = "2.0"


class PositionNote(msgspec.Struct):
    """Notification of a position, now and then."""

    params: Position
    method: Literal["position"] = "position"
    jsonrpc: Literal["2.0"] = "2.0"


class GapNote(msgspec.Struct):
    """Notification of a gap; the connection is closed after it."""

    params: Gap
    method: Literal["gap"] = "gap"
    jsonrpc: Literal["2.0"] = "2.0"


ERRORS = {
    -32700: "The message is not JSON.",
    -32600: "The message is no call.",
    -32601: "There is no such method.",
    -32602: "The parameters are wrong: an unknown topic, or one that is not subscribed to.",
    -32010: "Events after ``since`` are not held, or are of another stream.",
    -32011: "Too many subscriptions, of this client or of all.",
}
"""Codes of errors."""
CLOSES = {
    1000: "You closed.",
    1001: "The node stops: come back.",
    1003: "Messages are JSON in text frames.",
    1008: "Too slow: nothing was read for too long. Come back and go on after the last number.",
    1009: "Your message is too large.",
    1011: "The node failed.",
    4410: "A gap: see the message before.",
}
"""Codes with which WebSocket connections are closed."""
ENCODE = msgspec.json.Encoder().encode
