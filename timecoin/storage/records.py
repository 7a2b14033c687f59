"""Batches of records as bytes, checked when read back."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error
from zlib import crc32

from timecoin.storage.errors import Damaged

_CHECK = Struct("<II")
_LENGTH = Struct("<I")


def pack_records(records: Sequence[bytes], first: int = 0) -> bytes:
    """
    *records* with their lengths (u32) behind CRC-32 and count: FileStorage has no checksum of its own.

    The checksum covers *first*, the number of the first of them, so that no batch is taken for another one.
    """
    body = b"".join(part for record in records for part in (_LENGTH.pack(len(record)), record))
    return _CHECK.pack(_checksum(body, first), len(records)) + body


def _checksum(body: bytes, first: int) -> int:
    return crc32(body, crc32(first.to_bytes(8, "little")) if first else 0)


def count_records(data: bytes) -> int:
    """How many records *data* says it holds; ``Damaged`` when it is shorter than its head."""
    if len(data) < _CHECK.size:
        raise Damaged("a batch of records is cut short")
    return int(_CHECK.unpack_from(data)[1])


def unpack_records(data: bytes, first: int = 0) -> list[bytes]:
    """Back from :func:`pack_records`; ``Damaged`` when checksum, count or lengths do not fit."""
    count, body, at = count_records(data), data[_CHECK.size :], 0
    if _checksum(body, first) != _CHECK.unpack_from(data)[0]:
        raise Damaged("a batch of records fails its checksum")
    records = []
    try:
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size + length
            records.append(body[at - length : at])
    except error:
        raise Damaged("a batch of records is cut short") from None
    if at != len(body):
        raise Damaged("a batch of records has a wrong length")
    return records
