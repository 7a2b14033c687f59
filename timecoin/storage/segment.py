"""One file of an append-only log: a FileStorage that takes one small transaction for each append."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from persistent import Persistent
from zc.lockfile import LockError  # type: ignore[import-untyped]

from timecoin.storage.database import (
    check_identity,
    committing,
    connect,
    file_uri,
    identify,
    open_database,
    reading,
)
from timecoin.storage.errors import Damaged, DatabaseUnavailable, StorageError, UnknownPosition
from timecoin.storage.files import sync_directory
from timecoin.storage.records import count_records, pack_records, unpack_records
from timecoin.storage.schema import Blob, HeightTree
from timecoin.storage.tail import repair_tail

_CACHE = {"cache_size": 64, "cache_size_bytes": 1_000_000}


class SegmentHead(Persistent):  # type: ignore[misc]
    """
    Number of the segment, named values of its owner with a checksum, and the records: number of the first one →
    batch of bytes.
    """

    def __init__(self, number: int, values: dict[str, Any]) -> None:
        self.number = number
        self.batches = HeightTree()
        self.put(values)

    def put(self, values: dict[str, Any]) -> None:
        """Replace the values."""
        self.values, self.check = values, _checksum(values)

    def checked(self) -> dict[str, Any]:
        """A copy of the values; ``Damaged`` when they are not those that were put."""
        if self.check != _checksum(self.values):
            raise Damaged("the values of a segment fail their checksum")
        return dict(self.values)


def _checksum(values: dict[str, Any]) -> int:
    return crc32(repr(sorted(values.items())).encode())


class Segment:
    """
    An open segment. :meth:`append` and :meth:`set` in one thread at a time; :meth:`read` and :meth:`records`
    in any.

    Opening raises ``Damaged`` when the file does not read back, ``DatabaseUnavailable`` when it cannot be
    read at all, ``WrongGenesis``, ``WrongSchema``; writing raises ``WriteFailed``.
    """

    def __init__(self, path: Path, kind: str, chain_id: bytes) -> None:
        self.path = path
        self._kind, self._chain_id = kind, chain_id
        self._database = _open(path)
        self._connection = connect(self._database)
        self._next = 0
        try:
            self.complete = self._recognise()
        except BaseException:
            self.close()
            raise

    def _recognise(self) -> bool:
        with _damage(self.path), committing(self._connection) as root:
            known = check_identity(root, self._kind, self._chain_id)
            if not known and len(self._database.storage) > 1:
                raise Damaged(f"{self.path.name} holds more than its root, which is empty")
            if known and root["head"].batches:
                last = root["head"].batches.maxKey()
                self._next = last + count_records(root["head"].batches[last].data)
            return known

    def begin(self, number: int, carry: Sequence[bytes], values: dict[str, Any]) -> None:
        """
        Make the empty segment complete in one transaction: its number, the records carried over, the owner's
        values.
        """
        head = SegmentHead(number, dict(values))
        with committing(self._connection) as root:
            root["head"] = head
            identify(root, self._kind, self._chain_id)
            if carry:
                head.batches[0] = Blob(pack_records(carry))
        sync_directory(self.path.parent)
        self._next, self.complete = len(carry), True

    def append(self, records: Sequence[bytes]) -> int:
        """
        Add *records* (at least one) in one transaction, durable on return; the number of the first of them.
        """
        first = self._next
        batch = Blob(pack_records(records, first))
        with committing(self._connection) as root:
            root["head"].batches[first] = batch
        batch._p_deactivate()
        self._next = first + len(records)
        return first

    def set(self, **values: Any) -> None:
        """Change some of the owner's values (ints, bytes, strings) in one transaction, durable on return."""
        with committing(self._connection) as root:
            head = root["head"]
            head.put({**head.checked(), **values})

    @property
    def values(self) -> dict[str, Any]:
        """The owner's values as last committed; ``Damaged``."""
        with _damage(self.path), reading(self._database) as root:
            found: dict[str, Any] = root["head"].checked()
            return found

    def records(self) -> Iterator[tuple[int, bytes]]:
        """
        (number, record) from the first on, as of the first step; ``Damaged`` where the file does not read
        back.
        """
        with _damage(self.path), reading(self._database) as root:
            expected = 0
            for first, blob in root["head"].batches.items():
                if first != expected:
                    raise Damaged(f"{self.path.name}: records {expected} to {first} are missing")
                batch = unpack_records(blob.data, first)
                blob._p_deactivate()
                expected += len(batch)
                yield from enumerate(batch, first)

    def read(self, number: int) -> bytes:
        """Record *number*; ``UnknownPosition``, ``Damaged``."""
        with _damage(self.path), reading(self._database) as root:
            if not 0 <= number < self._next:
                raise UnknownPosition(f"{self.path.name} holds no record {number}")
            batches = root["head"].batches
            first = batches.maxKey(number)
            record: bytes = unpack_records(batches[first].data, first)[number - first]
            return record

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        self._database.close()


class _damage:
    """Whatever unreadable bytes make ZODB raise is ``Damaged``; what this room raises on purpose passes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, StorageError | OSError):
            raise Damaged(f"{self._path.name} does not read back: {type(error).__name__}") from error


def _open(path: Path) -> Any:
    repair_tail(path)
    try:
        return open_database(file_uri(path), database_name=path.name, **_CACHE)
    except DatabaseUnavailable as error:
        if isinstance(error.__cause__, OSError | LockError):
            raise
        raise Damaged(str(error)) from error
