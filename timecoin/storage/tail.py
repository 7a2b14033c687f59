"""
Cutting off a FileStorage's unfinished last transaction, and nothing more than that.

FileStorage repairs such a file by itself, by truncating it. It does the same in the middle of a file when a
damaged header looks unfinished, and then everything after it is gone without an error; and after a tail of
zeros, as a power cut leaves them, it forgets its last transaction's number and fails.

A finished transaction repeats its length at its end, so that one whose header alone was written, with zeros
behind it, is told from a finished one in whose header a bit has turned.
"""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from ZODB.FileStorage.format import DATA_HDR, TRANS_HDR

from timecoin.storage.errors import Damaged

_HEADER, _RECORD = Struct(TRANS_HDR), Struct(DATA_HDR)
_START = 4
_LENGTH = 8
_UNFINISHED = b"c"
_BLANK = b"\0"


def repair_tail(path: Path, *, check_records: bool = True) -> None:
    """
    Cut off the transaction that was being written when the machine stopped, if there is one; no file is fine.

    It was never reported durable; all before it were. ``Damaged`` when finished transactions stand after it, for then
    it is not that one, and when the records of one do not fit it or those before it (unless not *check_records*: in
    a packed file they need not); ``OSError``.
    """
    if not path.exists():
        return
    size = path.stat().st_size
    with path.open("r+b") as stream:
        start = _first_unfinished(stream, size, check_records)
        if start >= size:
            return
        if _holds_more(stream, start, size):
            raise Damaged(f"{path.name} is damaged at byte {start}, with finished transactions after it")
        stream.truncate(start)
        stream.flush()
        os.fsync(stream.fileno())


def _header(stream: BinaryIO, at: int) -> tuple[bytes, int, bytes] | None:
    stream.seek(at)
    data = stream.read(_HEADER.size)
    if len(data) < _HEADER.size:
        return None
    number, length, status, *_ = _HEADER.unpack(data)
    return number, length, status


def _first_unfinished(stream: BinaryIO, size: int, check_records: bool) -> int:
    at, newest = _START, dict[bytes, int]()
    while (header := _header(stream, at)) is not None:
        number, length, status = header
        if status == _UNFINISHED or length < _HEADER.size or at + length + _LENGTH > size:
            break
        if _is_torn(stream, at, length, status):
            break
        if check_records and not _is_sound(stream, at, length, number, newest):
            raise Damaged(f"{Path(stream.name).name} is damaged at byte {at}: a transaction and its records differ")
        at += length + _LENGTH
    return at


def _is_sound(stream: BinaryIO, at: int, length: int, number: bytes, newest: dict[bytes, int]) -> bool:
    """
    Whether the records of a transaction carry its number and place, and each names the record that it replaces.

    FileStorage compares none of this when it opens: an object's newest state, filed under a number in which a bit
    turned, would be missing without a word. *newest* holds the place of each object's newest record so far.
    """
    stream.seek(at)
    *_, user, description, extension = _HEADER.unpack(stream.read(_HEADER.size))
    place, end = at + _HEADER.size + user + description + extension, at + length
    while place < end:
        stream.seek(place)
        data = stream.read(_RECORD.size)
        if len(data) < _RECORD.size:
            return False
        key, own, previous, start, version, size = _RECORD.unpack(data)
        if (own, previous, start, version) != (number, newest.get(key, 0), at, 0):
            return False
        newest[key] = place
        place += _RECORD.size + (size or _LENGTH)
    return bool(place == end)


def _is_torn(stream: BinaryIO, at: int, length: int, status: bytes) -> bool:
    """Whether the header broke off before its status, and zeros stand for the rest."""
    if status != _BLANK:
        return False
    stream.seek(at + length)
    return int.from_bytes(stream.read(_LENGTH), "big") != length


def _holds_more(stream: BinaryIO, start: int, size: int) -> bool:
    header = _header(stream, start)
    if header is None:
        return False
    _, length, status = header
    end = start + length + _LENGTH
    if end <= size and length >= _HEADER.size and not _is_torn(stream, start, length, status):
        return status != _UNFINISHED or end < size
    stream.seek(size - _LENGTH)
    last = int.from_bytes(stream.read(_LENGTH), "big")
    if last == size - _LENGTH - start:
        return status != _UNFINISHED  # it is whole but for the length in its header
    if not _HEADER.size <= last < size - _LENGTH - start:
        return False
    found = _header(stream, size - _LENGTH - last)
    return found is not None and found[1] == last
