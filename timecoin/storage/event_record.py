"""Events as they stand in the event log: what push clients are told, and by what they may ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec


class TransactionRecord(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=0):
    """A transaction has a new status. ``scripts`` are those of all coins that it spends or makes, each once."""

    number: int
    time_ms: int
    txid: bytes
    status: str
    height: int | None
    reason: str | None
    scripts: tuple[bytes, ...]


class BlockRecord(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """A decided block was applied."""

    number: int
    time_ms: int
    block_hash: bytes
    height: int
    epoch: int
    closing: bool


EventRecord: TypeAlias = TransactionRecord | BlockRecord

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[EventRecord])


def encode(records: Sequence[EventRecord]) -> bytes:
    """Some records as one string of bytes."""
    return _ENCODER.encode(records)


def decode(data: bytes) -> list[EventRecord]:
    """The records again; raises ``msgspec.MsgspecError`` when they are none."""
    return _DECODER.decode(data)
