"""
The lease that ties a journal to its data directory (protocol.md 4): who holds an old copy of one sees that it
is old.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from timecoin.storage.errors import DataDirectoryError
from timecoin.storage.files import read_optional, write_atomic

_FORM = re.compile(rb"timecoin-lease 1 (\d{1,18}) ([0-9a-f]{32})\n")


@dataclass(frozen=True, slots=True)
class Lease:
    """Counter and 16 random bytes, renewed at every start, stop and rotation."""

    counter: int
    nonce: bytes

    @classmethod
    def after(cls, *known: Self | None, draw: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """A new lease, ahead of all *known* ones; ``draw(n)`` gives n random bytes."""
        newest = max((lease.counter for lease in known if lease is not None), default=0)
        return cls(newest + 1, draw(16))

    def is_behind(self, other: Self) -> bool:
        """
        Whether *other* was renewed after this one, or on another line of renewals from an equal counter.
        """
        return self.counter < other.counter or (self.counter == other.counter and self.nonce != other.nonce)


class BadLease(Exception):
    """The lease file exists and does not hold a lease."""


def read_lease(path: Path) -> Lease | None:
    """The lease in file *path*, None when there is no file; ``BadLease``, ``OSError``."""
    data = read_optional(path)
    if data is None:
        return None
    match = _FORM.fullmatch(data)
    if match is None:
        raise BadLease(f"{path.name} does not hold a lease")
    return Lease(int(match[1]), bytes.fromhex(match[2].decode("ascii")))


def write_lease(path: Path, lease: Lease) -> None:
    """Put *lease* into file *path*, whole and durable on return; ``OSError``."""
    write_atomic(path, f"timecoin-lease 1 {lease.counter} {lease.nonce.hex()}\n".encode("ascii"))


class LeasePlace(Protocol):
    """Where a journal keeps the copy of its lease that a copy of the journal does not bring along."""

    def read(self) -> Lease | None:
        """The lease kept, None when there is none; ``BadLease``, ``DataDirectoryError``."""
        ...

    def write(self, lease: Lease) -> None:
        """Keep *lease*, whole and durable on return; ``DataDirectoryError``."""
        ...


class LeaseFile:
    """The lease in a small file of its own, beside the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Lease | None:
        """The lease in the file, None when there is no file; ``BadLease``, ``DataDirectoryError``."""
        try:
            return read_lease(self._path)
        except OSError as error:
            raise DataDirectoryError(f"{self._path}: {error.strerror or error}") from error

    def write(self, lease: Lease) -> None:
        """Replace the file; ``DataDirectoryError``."""
        try:
            write_lease(self._path, lease)
        except OSError as error:
            raise DataDirectoryError(f"{self._path}: {error.strerror or error}") from error
