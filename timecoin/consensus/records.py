"""What the journal holds: one kind byte and the canonical bytes of one thing (protocol.md 4).

The journal is written before anything that it records is sent; after a crash the participant is rebuilt from
these records and the chain alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from timecoin.primitives.codec import DecodeError, Reader, compact_size


class RecordKind(IntEnum):
    """The kinds of journal records; the numbers are part of the file format."""

    BODY = 1
    BUNDLE = 2
    PROPOSAL = 3
    PREVOTE = 4
    PRECOMMIT = 5
    POL = 6
    PENDING = 7
    FINAL = 8
    EVIDENCE = 9


class Record(NamedTuple):
    """One journal record: its kind and its canonical payload."""

    kind: RecordKind
    payload: bytes

    def encode(self) -> bytes:
        """One kind byte and the payload."""
        return bytes((self.kind,)) + self.payload


def decode_record(data: bytes) -> Record:
    """Read what :meth:`Record.encode` wrote; :class:`DecodeError` for anything else."""
    try:
        return Record(RecordKind(data[0]), data[1:])
    except (IndexError, ValueError):
        raise DecodeError("a journal record of no known kind") from None


class PendingTransaction(NamedTuple):
    """A transaction submitted to this node, kept until it is settled (protocol.md R5)."""

    openings: int
    submitted_ms: int
    raw: bytes

    def encode(self) -> bytes:
        """u32 openings seen, u64 milliseconds of the submission, the BIP 144 bytes."""
        return self.openings.to_bytes(4, "little") + self.submitted_ms.to_bytes(8, "little") + self.raw


def decode_pending(payload: bytes) -> PendingTransaction:
    """Read what :meth:`PendingTransaction.encode` wrote; :class:`DecodeError` otherwise."""
    reader = Reader(payload)
    openings, submitted = reader.u32(), reader.u64()
    return PendingTransaction(openings, submitted, bytes(payload[12:]))


def encode_final(txid: bytes, milliseconds: int) -> bytes:
    """A transaction reported final, and the milliseconds that took."""
    return txid + milliseconds.to_bytes(8, "little")


def decode_final(payload: bytes) -> tuple[bytes, int]:
    """Read what :func:`encode_final` wrote; :class:`DecodeError` otherwise."""
    reader = Reader(payload)
    txid, milliseconds = reader.take(32), reader.u64()
    reader.finish()
    return bytes(txid), milliseconds


def encode_list(items: Iterable[bytes]) -> bytes:
    """A compact count, and each item with its compact length."""
    items = tuple(items)
    return compact_size(len(items)) + b"".join(compact_size(len(item)) + item for item in items)


def decode_list(payload: bytes, limit: int) -> list[bytes]:
    """Read what :func:`encode_list` wrote, of at most ``limit`` bytes an item; :class:`DecodeError`
    otherwise.
    """
    reader = Reader(payload)
    count = reader.compact_size()
    if count > len(payload):
        raise DecodeError("a list longer than its bytes")
    items = [bytes(reader.var_bytes(limit)) for _ in range(count)]
    reader.finish()
    return items
