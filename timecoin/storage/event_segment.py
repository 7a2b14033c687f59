"""One file of the event log: a head, then frames of records, each with its checksum; only ever appended to.

Little-endian. Head: magic 8, stream 16, number of the first event u64, height of the chain when it was begun u64,
CRC-32 of these u32. Frame: length of the body u32, CRC-32 of all that follows u32, number of its first and of its last
event u64 each, how many there are u32, body.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple
from zlib import crc32

from timecoin.storage.errors import Damaged
from timecoin.storage.event_record import BlockRecord, EventRecord, decode, encode

MAGIC = b"TCEVENT1"
_HEAD = Struct("<8s16sQQ")
_FRAME = Struct("<II")
_NUMBERS = Struct("<QQI")
_CRC = Struct("<I")
HEAD_BYTES = _HEAD.size + _CRC.size
FRAME_BYTES = _FRAME.size + _NUMBERS.size


class SegmentHead(NamedTuple):
    """Whose segment this is and where it begins."""

    stream: bytes
    first: int
    height: int

    def pack(self) -> bytes:
        """As it stands in the file."""
        head = _HEAD.pack(MAGIC, *self)
        return head + _CRC.pack(crc32(head))


class Frame(NamedTuple):
    """Where a frame stands in a file, and what its head says; ``end`` is the place of the next one."""

    start: int
    end: int
    first: int
    last: int
    events: int


class Scanned(NamedTuple):
    """What of a file is whole: up to ``end``, with ``events`` events up to number ``last``; ``height`` is that of the
    last block told in or before it.
    """

    head: SegmentHead
    end: int
    last: int
    events: int
    height: int


def read_head(data: bytes) -> SegmentHead:
    """The head at the start of a file; raises ``Damaged``."""
    if len(data) < HEAD_BYTES:
        raise Damaged("an event segment without a head")
    magic, stream, first, height = _HEAD.unpack_from(data)
    if magic != MAGIC or _CRC.unpack_from(data, _HEAD.size)[0] != crc32(data[: _HEAD.size]):
        raise Damaged("an event segment with a bad head")
    return SegmentHead(stream, first, height)


def pack_frame(records: Sequence[EventRecord]) -> bytes:
    """A frame of at least one record."""
    rest = _NUMBERS.pack(records[0].number, records[-1].number, len(records)) + encode(records)
    return _FRAME.pack(len(rest) - _NUMBERS.size, crc32(rest)) + rest


def read_frames(file: BinaryIO, after: int) -> Iterator[tuple[int, list[EventRecord]]]:
    """From the place where ``file`` stands: the place behind each frame that has events above number ``after``, and
    all its records. Ends before a frame that is not all there; raises ``Damaged``.
    """
    place = file.tell()
    while len(start := file.read(FRAME_BYTES)) == FRAME_BYTES:
        length, check = _FRAME.unpack_from(start)
        last: int = _NUMBERS.unpack_from(start, _FRAME.size)[1]
        place += FRAME_BYTES + length
        if last <= after:
            file.seek(place)
            continue
        body = file.read(length)
        if len(body) < length:
            return
        if crc32(body, crc32(start[_FRAME.size :])) != check:
            raise Damaged("a frame of the event log fails its checksum")
        yield place, decode(body)


def _frames(data: bytes, start: int) -> Iterator[Frame]:
    """The frames whose bytes are all in ``data`` from ``start`` on, and whole."""
    while start + FRAME_BYTES <= len(data):
        length, check = _FRAME.unpack_from(data, start)
        end = start + FRAME_BYTES + length
        if end > len(data) or check != crc32(memoryview(data)[start + _FRAME.size : end]):
            return
        yield Frame(start, end, *_NUMBERS.unpack_from(data, start + _FRAME.size))
        start = end


def scan(path: Path) -> Scanned:
    """Read a whole file and say how far it is good; raises ``Damaged`` when its head is not."""
    data = path.read_bytes()
    head = read_head(data)
    good: list[Frame] = []
    last = head.first - 1
    for frame in _frames(data, HEAD_BYTES):
        if not last < frame.first <= frame.last:
            break
        last = frame.last
        good.append(frame)
    end = good[-1].end if good else HEAD_BYTES
    return Scanned(head, end, last, sum([frame.events for frame in good]), _last_height(data, good, head.height))


def _last_height(data: bytes, good: list[Frame], before: int) -> int:
    for frame in reversed(good):
        for record in reversed(decode(data[frame.start + FRAME_BYTES : frame.end])):
            if isinstance(record, BlockRecord):
                return record.height
    return before
