"""The log and the lease under a simulated journal: what a real one keeps in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

from timecoin.storage.errors import UnknownPosition
from timecoin.storage.lease import Lease

_NUMBER_BITS = 40


class MemoryLog:
    """An append-only log of segments, the newest two readable; ``damaged`` when the newest one does not read back."""

    def __init__(self) -> None:
        self.damaged: str | None = None
        self._values: dict[str, Any] = {}
        self._number = 1
        self._segments: dict[int, list[bytes]] = {1: []}

    @property
    def values(self) -> dict[str, Any]:
        """The owner's values."""
        return dict(self._values)

    def set(self, **values: Any) -> None:
        """Change some values."""
        self._values = {**self._values, **values}

    def append(self, records: Sequence[bytes]) -> int:
        """Add records; the position of the first."""
        segment = self._segments[self._number]
        first = len(segment)
        segment.extend(records)
        return self._number << _NUMBER_BITS | first

    def rotate(self, carry: Sequence[bytes], **values: Any) -> int:
        """Begin the next segment."""
        self._segments.pop(self._number - 1, None)
        self._number += 1
        self._segments[self._number] = list(carry)
        self.set(**values)
        return self._number << _NUMBER_BITS

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """(position, record) of the newest segment."""
        base = self._number << _NUMBER_BITS
        return ((base | number, record) for number, record in enumerate(self._segments[self._number]))

    def read(self, position: int) -> bytes:
        """One record; ``UnknownPosition``."""
        number, record = position >> _NUMBER_BITS, position & ((1 << _NUMBER_BITS) - 1)
        try:
            return self._segments[number][record]
        except (KeyError, IndexError):
            raise UnknownPosition(f"no record {record} in segment {number}") from None

    def close(self) -> None:
        """Nothing to close."""

    def damage(self) -> None:
        """The newest segment does not read back: it stands aside, an empty one takes its place."""
        self.damaged = "simulated damage"
        self._values = {}
        self._number += 1
        self._segments = {self._number: []}

    def mended(self) -> None:
        """Opened again: what was damaged was put aside before."""
        self.damaged = None

    def copied(self) -> MemoryLog:
        """A copy that later appends do not reach."""
        twin = copy(self)
        twin._segments = {number: list(records) for number, records in self._segments.items()}
        return twin


class MemoryLease:
    """The lease in its place beside the journal."""

    def __init__(self) -> None:
        self._lease: Lease | None = None

    def read(self) -> Lease | None:
        """The lease kept."""
        return self._lease

    def write(self, lease: Lease) -> None:
        """Keep it."""
        self._lease = lease
