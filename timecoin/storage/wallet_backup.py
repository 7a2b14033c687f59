"""The form of a wallet's backup: one file of plain records with a digest at its end.

No pickle is in it, so a file from elsewhere can be read without running what somebody put there. Layout: magic line,
chain_id 32, wallet id 16; per record table, key and value as var-bytes; an empty table name, the number of records u64,
SHA-256 of all before it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from timecoin.primitives.codec import compact_size, var_bytes
from timecoin.storage.files import sync_directory
from timecoin.storage.wallet_errors import BackupRefused, BadBackup

__all__ = ["Identity", "Record", "read_backup", "write_backup"]

_MAGIC: Final = b"timecoin wallet backup 1\n"
_PREFIXES: Final = {0xFD: 2, 0xFE: 4}
_MOST: Final = 16 * 2**20
_DIGEST_SIZE: Final = 32


class Identity(NamedTuple):
    """Whose records they are: ``chain_id`` (32 bytes) of the network, ``wallet_id`` (16 random bytes)."""

    chain_id: bytes
    wallet_id: bytes


class Record(NamedTuple):
    """One key and its value in one table."""

    table: str
    key: bytes
    value: bytes


def write_backup(destination: Path, identity: Identity, records: Iterable[Record]) -> None:
    """Write all *records* to a new file *destination* (mode 0600), durable on return; ``BackupRefused``.

    Nothing is left there when it fails.
    """
    try:
        descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise BackupRefused(f"{destination} is there already; a backup never overwrites") from None
    except OSError as error:
        raise BackupRefused(f"{destination}: {error.strerror or error}") from None
    except ValueError:
        raise BackupRefused("that is no path of a file") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _write(stream, identity, records)
            stream.flush()
            os.fsync(stream.fileno())
        sync_directory(destination.parent)
    except BaseException as error:
        destination.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BackupRefused(f"{destination}: {error.strerror or error}") from None
        raise


def _write(stream: BinaryIO, identity: Identity, records: Iterable[Record]) -> None:
    digest, count = hashlib.sha256(), 0

    def put(data: bytes) -> None:
        digest.update(data)
        stream.write(data)

    put(_MAGIC + identity.chain_id + identity.wallet_id)
    for table, key, value in records:
        put(var_bytes(table.encode("ascii")) + var_bytes(key) + var_bytes(value))
        count += 1
    put(compact_size(0) + count.to_bytes(8, "little"))
    stream.write(digest.digest())


class _Source:
    """A backup being read; every byte taken goes into the digest."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def take(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise BadBackup("the backup ends too early: it was not written or copied to its end")
        self._digest.update(data)
        return data

    def var_bytes(self) -> bytes:
        first = self.take(1)[0]
        size = int.from_bytes(self.take(_PREFIXES[first]), "little") if first in _PREFIXES else first
        if first == 0xFF or size > _MOST:
            raise BadBackup("the backup is damaged")
        return self.take(size)

    def finish(self, count: int) -> None:
        if int.from_bytes(self.take(8), "little") != count:
            raise BadBackup("the backup is damaged: records are missing")
        wanted = self._digest.digest()
        if self.take(_DIGEST_SIZE) != wanted or self._stream.read(1):
            raise BadBackup("the backup is damaged: its digest is wrong")


def read_backup(stream: BinaryIO) -> tuple[Identity, Iterator[Record]]:
    """Whose backup *stream* is, and its records; ``BadBackup``, also by the iterator: trust nothing before its end."""
    source = _Source(stream)
    if source.take(len(_MAGIC)) != _MAGIC:
        raise BadBackup("not a backup of a wallet, or one of a newer version")
    return Identity(source.take(32), source.take(16)), _records(source)


def _records(source: _Source) -> Iterator[Record]:
    count = 0
    while name := source.var_bytes():
        try:
            table = name.decode("ascii")
        except UnicodeDecodeError:
            raise BadBackup("the backup is damaged") from None
        yield Record(table, source.var_bytes(), source.var_bytes())
        count += 1
    source.finish(count)
