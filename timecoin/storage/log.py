"""An append-only log in numbered segments: ``00000012.fs`` and so on in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

from timecoin.storage.errors import Damaged, DataDirectoryError, UnknownPosition
from timecoin.storage.files import sync_directory
from timecoin.storage.segment import Segment

_SUFFIX = ".fs"
_NUMBER_BITS = 40


class SegmentLog:
    """
    The newest segment takes the appends; the one before it can still be read; older ones are deleted.

    A *position* is segment number << 40 | record number. Appending and :meth:`rotate` belong to one thread at
    a time, :meth:`read` to any. ``damaged`` says what was wrong with the newest segment, which then stands
    aside as ``….fs.damaged`` with an empty one in its place; ``created`` that there was no log at all.
    """

    def __init__(self, path: Path, kind: str, chain_id: bytes) -> None:
        self.path = path
        self.created = False
        self.damaged: str | None = None
        self._kind, self._chain_id = kind, chain_id
        self._older: Segment | None = None
        self._lock = Lock()
        self._number, self._segment = self._open_newest()

    @classmethod
    def open(cls, path: Path, kind: str, chain_id: bytes) -> Self:
        """
        Open the log in directory *path*; raises what a segment raises except ``Damaged``, and
        ``DataDirectoryError``.
        """
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            sync_directory(path.parent)
            return cls(path, kind, chain_id)
        except OSError as error:
            raise DataDirectoryError(f"{path}: {error.strerror or error}") from error

    def _file(self, number: int) -> Path:
        return self.path / f"{number:08d}{_SUFFIX}"

    def _numbers(self) -> list[int]:
        return sorted(int(file.stem) for file in self.path.glob("*" + _SUFFIX) if file.stem.isdecimal())

    def _open_newest(self) -> tuple[int, Segment]:
        numbers = self._numbers()
        while numbers:
            number = numbers.pop()
            segment = self._try(number)
            if segment is None:
                return self._begin(number + 1)
            if segment.complete:
                return number, segment
            # A rotation, or the very creation, that was cut off before its one transaction.
            segment.close()
            self._remove(number)
        self.created = True
        return self._begin(1)

    def _try(self, number: int) -> Segment | None:
        segment = None
        try:
            segment = Segment(self._file(number), self._kind, self._chain_id)
            if segment.complete:
                for _ in segment.records():
                    continue
                # Read here, where damage is dealt with.
                _ = segment.values
            return segment
        except Damaged as error:
            self.damaged = str(error)
            if segment is not None:
                segment.close()
            self._file(number).rename(self._file(number).with_suffix(".fs.damaged"))
            return None

    def _begin(
        self, number: int, carry: Sequence[bytes] = (), values: dict[str, Any] | None = None
    ) -> tuple[int, Segment]:
        segment = Segment(self._file(number), self._kind, self._chain_id)
        try:
            segment.begin(number, carry, values or {})
        except BaseException:
            segment.close()
            raise
        return number, segment

    def _remove(self, number: int) -> None:
        for file in self.path.glob(f"{number:08d}{_SUFFIX}*"):
            if not file.name.endswith(".damaged"):
                file.unlink()

    @property
    def values(self) -> dict[str, Any]:
        """The owner's values; they pass from segment to segment."""
        return self._segment.values

    def set(self, **values: Any) -> None:
        """Change some values, durable on return; ``WriteFailed``."""
        self._segment.set(**values)

    def append(self, records: Sequence[bytes]) -> int:
        """
        Add *records* (at least one) in one transaction, durable on return; position of the first, the others
        follow.
        """
        return self._number << _NUMBER_BITS | self._segment.append(records)

    def rotate(self, carry: Sequence[bytes], **values: Any) -> int:
        """
        Begin the next segment with *carry* and the values, in one transaction; position of the first carried
        record.

        Cut off at any moment, the log opens either as it was or as it is afterwards.
        """
        number, segment = self._begin(self._number + 1, carry, {**self.values, **values})
        with self._lock:
            older, self._older = self._older, self._segment
            self._number, self._segment = number, segment
        if older is not None:
            older.close()
        for old in self._numbers():
            if old < number - 1:
                self._remove(old)
        return number << _NUMBER_BITS

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """(position, record) of the newest segment in order; ``Damaged``."""
        base = self._number << _NUMBER_BITS
        return ((base | number, record) for number, record in self._segment.records())

    def read(self, position: int) -> bytes:
        """
        The record at *position*, of the newest segment or the one before; ``UnknownPosition``, ``Damaged``.
        """
        number, record = position >> _NUMBER_BITS, position & ((1 << _NUMBER_BITS) - 1)
        with self._lock:
            return self._holding(number).read(record)

    def _holding(self, number: int) -> Segment:
        if number == self._number:
            return self._segment
        if number != self._number - 1 or not self._file(number).exists():
            raise UnknownPosition(f"segment {number} of {self.path.name} is not kept")
        if self._older is None:
            self._older = Segment(self._file(number), self._kind, self._chain_id)
        return self._older

    def close(self) -> None:
        """Close all files."""
        self._segment.close()
        if self._older is not None:
            self._older.close()
