"""The event log: what was told to push clients, so that they can go on where they were (docs/decisions/push.rst).

Small append-only files of one *stream*, bounded in bytes and events: the oldest file goes. Nothing is synced for each
event: what a crash of the machine cuts off the end is told again by the owner, under numbers that were never used:
numbers are *reserved*, durably and many at a time, before they are written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from timecoin.storage.errors import Damaged, StorageError, WriteFailed
from timecoin.storage.event_record import BlockRecord, EventRecord, TransactionRecord
from timecoin.storage.event_segment import HEAD_BYTES, SegmentHead, pack_frame, read_frames, scan
from timecoin.storage.files import read_optional, sync_directory, sync_file, write_atomic

RESERVE = 1_000_000
"""Numbers reserved at a time."""
SEGMENTS = 16
"""The log goes away in so many parts."""
FRAME_TARGET = 256 << 10
"""Bytes of records after which a frame ends."""
_STATE, _SUFFIX = "state.json", ".events"


class NotHeld(StorageError):
    """The log does not hold all events after a number: ``first`` is the first one that it holds (the next number when
    it holds none), ``last`` the newest.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        super().__init__(f"events are held from number {first} to {last}")


class Place(NamedTuple):
    """Where a reader of the log stands: a hint that saves looking for it."""

    segment: int
    offset: int


class Chunk(NamedTuple):
    """Some records in order, the number up to which nothing is left out, and the place behind them."""

    records: list[EventRecord]
    through: int
    place: Place


class _State(msgspec.Struct):
    stream: str
    reserved: int
    clean: bool
    written: int


@dataclass(slots=True)
class _Segment:
    path: Path
    first: int
    size: int = HEAD_BYTES
    count: int = 0


class EventLog:
    """An open log; all calls in one thread at a time.

    ``stream``: 16 bytes, its identity: numbers mean something within one stream only. ``first`` and ``last``: what is
    held; ``height``: the last block that was told in it. ``torn``: it was not closed, so its end may be missing.
    ``new``: nothing was there to be continued.
    """

    def __init__(self, path: Path, max_bytes: int, max_events: int, random: Callable[[int], bytes]) -> None:
        self.path = path
        self._max_bytes, self._max_events = max_bytes, max_events
        self._random = random
        self._segments: list[_Segment] = []
        self._file: int | None = None
        self.stream = b""
        self.last = self._reserved = self._written = 0
        self.height = 0
        self.torn = False
        self.new = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        max_bytes: int,
        max_events: int,
        height: int,
        random: Callable[[int], bytes] = os.urandom,
    ) -> EventLog:
        """Open the log in directory ``path``, or begin one at block ``height``; what does not read back is given up.

        Raises ``WriteFailed``.
        """
        log = cls(path, max_bytes, max_events, random)
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            if log._recover():
                log._reserve(log.last)
            else:
                log._begin_stream(height, log._reserved)
        except OSError as error:
            raise WriteFailed(f"the event log {path}: {error}") from error
        return log

    # Opening

    def _recover(self) -> bool:
        state = self._read_state()
        if state is None:
            return False
        self.stream, self.torn = bytes.fromhex(state.stream), not state.clean
        self._reserved = state.reserved
        found = self._find_segments()
        if not self._segments:
            return False
        self.torn = self.torn or not found or self._written < state.written
        self.last = max(self._written, state.reserved)
        return True

    def _read_state(self) -> _State | None:
        raw = read_optional(self.path / _STATE)
        try:
            state = None if raw is None else msgspec.json.decode(raw, type=_State)
            return state if state is not None and len(bytes.fromhex(state.stream)) == 16 else None
        except (msgspec.MsgspecError, ValueError):
            return None

    def _find_segments(self) -> bool:
        """Keep what is whole from the oldest file on; False when something had to be cut off."""
        paths = sorted(self.path.glob(f"*{_SUFFIX}"))
        for position, path in enumerate(paths):
            if not self._take(path):
                for rest in paths[position:]:
                    if not self._segments or rest != self._segments[-1].path:
                        rest.unlink()
                return False
        return True

    def _take(self, path: Path) -> bool:
        try:
            scanned = scan(path)
        except (Damaged, msgspec.MsgspecError):
            return False
        if scanned.head.stream != self.stream or (self._segments and scanned.head.first <= self._written):
            return False
        self._segments.append(_Segment(path, scanned.head.first, scanned.end, scanned.events))
        self._written, self.height = scanned.last, scanned.height
        if path.stat().st_size == scanned.end:
            return True
        os.truncate(path, scanned.end)
        return False

    # Streams and numbers

    def restart(self, height: int, last: int) -> None:
        """Give all up; a new stream begins after block ``height`` and number ``last``. Raises ``WriteFailed``."""
        try:
            self._begin_stream(height, last)
        except OSError as error:
            raise WriteFailed(f"the event log {self.path}: {error}") from error

    def _begin_stream(self, height: int, last: int) -> None:
        self._close_file()
        # The oldest first: what a crash leaves has no hole.
        for path in sorted(self.path.glob(f"*{_SUFFIX}")):
            path.unlink()
        self._segments = []
        self.stream, self.last, self.height = self._random(16), last, height
        self._written = last
        self.torn, self.new = False, True
        self._reserve(last)
        self._begin_segment(last + 1)

    def _reserve(self, number: int, *, clean: bool = False) -> None:
        reserved = number if clean else number + RESERVE
        state = _State(self.stream.hex(), reserved, clean, self._written)
        write_atomic(self.path / _STATE, msgspec.json.encode(state))
        self._reserved = reserved

    # Reading

    @property
    def first(self) -> int:
        """The number of the oldest event held, or the next one."""
        return self._segments[0].first if self._segments else self.last + 1

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum([segment.size for segment in self._segments])

    def read(self, after: int, place: Place | None = None, limit: int = 500) -> Chunk:
        """Events with numbers above ``after``, about ``limit`` of them; ``place`` is one that a reading up to ``after``
        or less gave. Raises ``NotHeld``, ``Damaged``, OSError.
        """
        if not self.first - 1 <= after <= self.last:
            raise NotHeld(self.first, self.last)
        records: list[EventRecord] = []
        here = self._place(after, place)
        for index in range(self._index(here.segment), len(self._segments)):
            segment = self._segments[index]
            if segment.first != here.segment:
                here = Place(segment.first, HEAD_BYTES)
            for offset, found in self._frames(segment, here.offset, after):
                here = Place(segment.first, offset)
                records += found if found[0].number > after else [each for each in found if each.number > after]
                if len(records) >= limit:
                    return Chunk(records, records[-1].number, here)
        return Chunk(records, self.last, here)

    def _frames(self, segment: _Segment, offset: int, after: int) -> Iterator[tuple[int, list[EventRecord]]]:
        with segment.path.open("rb") as file:
            file.seek(offset)
            for end, records in read_frames(file, after):
                if end > segment.size:
                    return
                yield end, records

    def _place(self, after: int, place: Place | None) -> Place:
        if place is not None and place.segment >= self.first:
            return place
        at = max(index for index, each in enumerate(self._segments) if index == 0 or each.first <= after + 1)
        return Place(self._segments[at].first, HEAD_BYTES)

    def _index(self, first: int) -> int:
        return next(index for index, each in enumerate(self._segments) if each.first == first)

    # Writing

    def append(self, records: Sequence[EventRecord]) -> None:
        """Write records, numbered above ``last`` and ascending; seen by any process on return, even if this one dies.

        Raises ``WriteFailed``: none of them is in the log.
        """
        try:
            if records[-1].number > self._reserved:
                self._reserve(records[-1].number)
            # Before, not after: what fails once the records are written would have them written again.
            self._trim()
            self._write(records)
        except OSError as error:
            self._close_file()
            raise WriteFailed(f"the event log {self.path}: {error}") from error

    def _write(self, records: Sequence[EventRecord]) -> None:
        segment = self._current(records[0].number)
        data = b"".join([pack_frame(part) for part in _parts(records)])
        assert self._file is not None
        try:
            _write_all(self._file, data)
        except OSError:
            os.truncate(segment.path, segment.size)
            raise
        segment.size += len(data)
        segment.count += len(records)
        self.last = self._written = records[-1].number
        for record in reversed(records):
            if isinstance(record, BlockRecord):
                self.height = record.height
                break

    def _current(self, number: int) -> _Segment:
        segment = self._segments[-1] if self._segments else None
        if segment is None or self._is_full(segment):
            return self._begin_segment(number)
        if self._file is None:
            self._file = os.open(segment.path, os.O_WRONLY | os.O_APPEND)
        return segment

    def _is_full(self, segment: _Segment) -> bool:
        return segment.size * SEGMENTS >= self._max_bytes or segment.count * SEGMENTS >= self._max_events

    def _begin_segment(self, number: int) -> _Segment:
        self._close_file()
        path = self.path / f"{number:020d}{_SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        _write_all(self._file, SegmentHead(self.stream, number, self.height).pack())
        self._segments.append(_Segment(path, number))
        return self._segments[-1]

    def _trim(self) -> None:
        while len(self._segments) > 1 and self._exceeds():
            self._segments.pop(0).path.unlink(missing_ok=True)

    def _exceeds(self) -> bool:
        return self.size > self._max_bytes or sum([each.count for each in self._segments]) > self._max_events

    # The end

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Make everything durable and say that nothing is missing. Raises ``WriteFailed``."""
        try:
            self._close_file()
            for segment in self._segments:
                sync_file(segment.path)
            sync_directory(self.path)
            self._reserve(self.last, clean=True)
        except OSError as error:
            raise WriteFailed(f"the event log {self.path}: {error}") from error


def _parts(records: Sequence[EventRecord]) -> Iterator[Sequence[EventRecord]]:
    start = size = 0
    for index, record in enumerate(records):
        size += 100
        if isinstance(record, TransactionRecord):
            size += 36 * len(record.scripts)
        if size >= FRAME_TARGET:
            yield records[start : index + 1]
            start, size = index + 1, 0
    if start < len(records):
        yield records[start:]


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
