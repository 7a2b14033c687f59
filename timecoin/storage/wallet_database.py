"""The ZODB database behind a wallet store: who it belongs to, its tables, and how a whole one is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from BTrees.OOBTree import OOBTree

from timecoin.storage.database import committing, connect, file_uri, open_database
from timecoin.storage.errors import Damaged, DatabaseUnavailable, StorageError, WrongSchema
from timecoin.storage.files import sync_file
from timecoin.storage.tail import repair_tail
from timecoin.storage.wallet_backup import Identity, Record
from timecoin.storage.wallet_tables import Changes, apply_changes, class_of, entries, value_of

__all__ = ["FORMAT", "WalletDatabase"]

FORMAT: Final = 1
"""The layout that this version writes; another one is refused (``WrongSchema``)."""

_KIND: Final = "timecoin wallet"
_CACHE: Final = {"cache_size": 2_000, "cache_size_bytes": 16 * 2**20, "pool_size": 2}
_BYTES_A_COMMIT: Final = 4 * 2**20


class WalletDatabase:
    """An open wallet file, on one connection: calls come one after the other."""

    def __init__(self, database: Any, identity: Identity) -> None:
        self.identity = identity
        self._database = database
        self._connection = connect(database)
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """The wallet in file *path*; ``Damaged``, ``WrongSchema``, ``DatabaseUnavailable``."""
        repair_tail(path)
        database = _open(path)
        try:
            with closing(connect(database)) as connection, _snapshot(connection) as root:
                identity = _identity(root)
            return cls(database, identity)
        except BaseException:
            database.close()
            raise

    @staticmethod
    def write(path: Path, identity: Identity, records: Iterator[Record], changes: Changes | None = None) -> None:
        """A new file *path* with *records* but for what *changes* replace, closed and durable on return."""
        changes = changes or {}
        database = _open(path)
        try:
            with closing(connect(database)) as connection:
                with committing(connection) as root:
                    root["wallet"] = (_KIND, FORMAT, identity.chain_id, identity.wallet_id)
                    root["tables"] = OOBTree()
                # What is replaced must not get into the new file at all: it keeps its own history, too.
                for batch in _batches(each for each in records if each.key not in changes.get(each.table, ())):
                    with committing(connection) as root:
                        apply_changes(root["tables"], batch)
                with committing(connection) as root:
                    apply_changes(root["tables"], changes)
        finally:
            database.close()
        sync_file(path)

    def get(self, table: str, key: bytes) -> bytes | None:
        """One value; ``Damaged``."""
        self._check_open()
        with _snapshot(self._connection) as root:
            stored = root["tables"].get(table, {}).get(key)
            return None if stored is None else value_of(key, stored)

    def entries(self, table: str, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The keys from *first* on and their values, in key order; ``Damaged``. To be used up before the next call."""
        self._check_open()
        with _snapshot(self._connection) as root:
            if table in root["tables"]:
                yield from entries(root["tables"][table], first)

    def records(self) -> Iterator[Record]:
        """All that is stored; ``Damaged``. To be used up before the next call."""
        self._check_open()
        with _snapshot(self._connection) as root:
            for table, tree in root["tables"].items():
                for key, value in entries(tree):
                    yield Record(table, key, value)

    def commit(self, changes: Changes) -> None:
        """One transaction; ``WriteFailed``, ``ValueError``."""
        self._check_open()
        with committing(self._connection) as root:
            apply_changes(root["tables"], changes)

    def _check_open(self) -> None:
        if self._closed:
            raise DatabaseUnavailable("the wallet is closed")

    def close(self) -> None:
        """Twice is harmless."""
        if not self._closed:
            self._closed = True
            self._connection.close()
            self._database.close()


def _open(path: Path) -> Any:
    path.touch(mode=0o600)
    # ZODB puts what it is about to commit into this one first, and would let everybody read it.
    buffer = path.with_name(path.name + ".tmp")
    buffer.touch(mode=0o600)
    buffer.chmod(0o600)
    return open_database(file_uri(path), class_factory=class_of, **_CACHE)


@contextmanager
def _snapshot(connection: Any) -> Iterator[Any]:
    chosen = connection.transaction_manager
    chosen.begin()
    try:
        yield connection.root()
    except (StorageError, GeneratorExit):
        raise
    except Exception as error:  # whatever unreadable bytes make ZODB raise
        raise Damaged(f"the wallet's file does not read back: {type(error).__name__}") from error
    finally:
        chosen.abort()


def _identity(root: Any) -> Identity:
    found = root.get("wallet")
    if not isinstance(found, tuple) or len(found) < 2 or found[0] != _KIND:
        raise WrongSchema("the file is not a wallet's")
    if found[1] != FORMAT:
        raise WrongSchema(f"the wallet was written by another version: layout {found[1]}, this one reads {FORMAT}")
    if len(found) != 4 or not all(isinstance(each, bytes) for each in found[2:]):
        raise Damaged("the wallet's file does not say whose it is")
    return Identity(*found[2:])


def _batches(records: Iterator[Record]) -> Iterator[dict[str, dict[bytes, bytes | None]]]:
    batch: dict[str, dict[bytes, bytes | None]] = {}
    size = 0
    for table, key, value in records:
        batch.setdefault(table, {})[key] = value
        size += len(key) + len(value) + 64
        if size >= _BYTES_A_COMMIT:
            yield batch
            batch, size = {}, 0
    yield batch
