"""One wallet's records on disk: tables of ``bytes`` to ``bytes`` in a ZODB file of its own, with a lock and a backup.

Every call blocks (disk) and may be made in any thread; a lock lets one go on at a time. FileStorage keeps what was
overwritten: :meth:`WalletStore.rewrite` is how something leaves the disk.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import BinaryIO, Final, Self

from timecoin.storage.errors import Damaged, DatabaseUnavailable, WriteFailed, WrongGenesis
from timecoin.storage.files import sync_directory
from timecoin.storage.wallet_backup import Identity, Record, read_backup, write_backup
from timecoin.storage.wallet_database import WalletDatabase
from timecoin.storage.wallet_errors import BadBackup, NoSuchWallet, WalletExists
from timecoin.storage.wallet_files import discard_leftovers, discard_new, new_name, old_name, remove_empty, replace_file
from timecoin.storage.wallet_lock import WalletDirectory
from timecoin.storage.wallet_names import DATABASE_NAME
from timecoin.storage.wallet_tables import Changes

__all__ = ["Changes", "WalletStore"]

_ID_SIZE: Final = 16

SLACK = 32 * 2**20
"""Bytes of history that a file may hold beside twice what it held when it was last rewritten."""


class WalletStore:
    """An open wallet store; made by :meth:`create`, :meth:`open` or :meth:`restore`."""

    def __init__(self, directory: WalletDirectory, database: WalletDatabase) -> None:
        self._directory = directory
        self._database = database
        self._identity = database.identity
        self._lock = RLock()
        self._most = SLACK

    @classmethod
    def create(cls, path: Path, chain_id: bytes, draw: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """A new, empty wallet in directory *path* (made, mode 0700) on the network *chain_id* (32 bytes).

        Raises ``WalletExists``, ``WalletInUse``, ``DataDirectoryError``, ``DatabaseUnavailable``.
        """
        return cls._make(path, Identity(chain_id, draw(_ID_SIZE)), iter(()))

    @classmethod
    def open(cls, path: Path, chain_id: bytes) -> Self:
        """The wallet in directory *path*.

        Raises ``NoSuchWallet``, ``WalletInUse``, ``WrongGenesis`` (of another network), ``WrongSchema`` (of another
        version), ``Damaged`` and ``DatabaseUnavailable`` (a file that does not read back).
        """
        if not (path / DATABASE_NAME).is_file():
            raise NoSuchWallet(f"there is no wallet at {path}")
        with _unreadable(path), ExitStack() as undo:
            directory = undo.enter_context(WalletDirectory(path))
            discard_leftovers(path / DATABASE_NAME)
            database = WalletDatabase.open(path / DATABASE_NAME)
            undo.callback(database.close)
            if database.identity.chain_id != chain_id:
                raise WrongGenesis(f"the wallet belongs to network {database.identity.chain_id[::-1].hex()}")
            undo.pop_all()
        return cls(directory, database)

    @classmethod
    def restore(cls, source: Path, path: Path, chain_id: bytes) -> Self:
        """A new wallet in directory *path* with what the backup *source* holds; whole, or not there at all.

        Raises ``WalletExists``, ``BadBackup``, ``WrongGenesis``, and as :meth:`create`.
        """
        with _opened(source) as stream:
            identity, records = read_backup(stream)
            if identity.chain_id != chain_id:
                raise WrongGenesis(f"the backup belongs to network {identity.chain_id[::-1].hex()}")
            return cls._make(path, identity, records)

    @classmethod
    def _make(cls, path: Path, identity: Identity, records: Iterator[Record]) -> Self:
        final = path / DATABASE_NAME
        with _unreadable(path), ExitStack() as undo:
            if not path.exists():
                undo.callback(remove_empty, path)
            directory = undo.enter_context(WalletDirectory(path))
            if final.exists():
                raise WalletExists(f"there is a wallet at {path} already")
            discard_new(final)
            undo.callback(discard_new, final)
            WalletDatabase.write(new_name(final), identity, records)
            new_name(final).rename(final)
            discard_new(final)
            sync_directory(path)
            sync_directory(path.parent)
            database = WalletDatabase.open(final)
            undo.pop_all()
        return cls(directory, database)

    @property
    def path(self) -> Path:
        """The wallet's directory."""
        return self._directory.path

    @property
    def wallet_id(self) -> bytes:
        """16 random bytes, the same in all backups and restored copies; what a vault is bound to."""
        return self._identity.wallet_id

    @property
    def file_size(self) -> int:
        """Bytes of the wallet's file, history included."""
        return (self.path / DATABASE_NAME).stat().st_size

    @property
    def leftover(self) -> Path | None:
        """An old file of :meth:`rewrite` that could not be overwritten; None, as it should be."""
        old = old_name(self.path / DATABASE_NAME)
        return old if old.exists() else None

    def read(self, table: str) -> dict[bytes, bytes]:
        """All of *table*, in key order; empty when there is none. ``Damaged``."""
        with self._lock:
            return dict(self._database.entries(table))

    def get(self, table: str, key: bytes) -> bytes | None:
        """One value; None when there is none. ``Damaged``."""
        with self._lock:
            return self._database.get(table, key)

    def items(self, table: str, first: bytes = b"", count: int = 1_000) -> list[tuple[bytes, bytes]]:
        """≤ *count* keys and values of *table* from key *first* on, in key order; ``Damaged``."""
        with self._lock:
            return list(islice(self._database.entries(table, first), count))

    def commit(self, changes: Changes) -> None:
        """All of *changes* or nothing, durable on return.

        ``ValueError`` (a name, key or value that cannot be stored): nothing changed. ``WriteFailed``: nothing changed
        either, unless the disk failed at the very last; the file was opened again, and reads show what it holds.

        Now and then the file is rewritten, so that its history does not grow for ever.
        """
        with self._lock:
            try:
                self._database.commit(changes)
            except WriteFailed:
                self._reopen()
                raise
            if self.file_size > self._most:
                self._compact()

    def _compact(self) -> None:
        # What was committed is durable, whatever becomes of this.
        with suppress(WriteFailed, Damaged):
            self.rewrite()
        self._most = 2 * self.file_size + SLACK

    def _reopen(self) -> None:
        # FileStorage closes its file when it cannot tell whether a transaction is durable.
        self._database.close()
        self._database = WalletDatabase.open(self.path / DATABASE_NAME)

    def rewrite(self, changes: Changes | None = None) -> None:
        """:meth:`commit` into a new file without history, which takes the old one's place; the old one is overwritten.

        For what must not stay on the disk: secrets before they were encrypted, a header under an old passphrase. Also
        the way to shrink a file. ``ValueError``, ``WriteFailed``: nothing changed. When the old file cannot be
        overwritten, the change holds, :attr:`leftover` names it, and opening the wallet tries again. (Of what a
        journaling file system or a flash disk keeps of overwritten blocks nobody above it knows.)
        """
        final = self.path / DATABASE_NAME
        with self._lock:
            try:
                WalletDatabase.write(new_name(final), self._identity, self._database.records(), changes or {})
                self._swap(final)
            except BaseException as error:
                # Leftovers go at the next opening at the latest; what failed is what the caller has to hear of.
                with suppress(OSError):
                    discard_new(final)
                if isinstance(error, OSError | DatabaseUnavailable):
                    raise WriteFailed(f"cannot rewrite {final}: {error}") from error
                raise

    def _swap(self, final: Path) -> None:
        self._database.close()
        try:
            replace_file(final)
        finally:
            self._reopen()

    def backup(self, destination: Path) -> None:
        """One file (mode 0600) with all of the wallet as it is now, durable on return; :meth:`restore` reads it.

        ``BackupRefused`` when something is at *destination*, or it cannot be written. Secrets are in it as they are in
        the store: sealed, if the wallet is encrypted.
        """
        with self._lock:
            write_backup(destination, self._identity, self._database.records())

    def close(self) -> None:
        """Close file and lock; twice is harmless."""
        with self._lock:
            self._database.close()
            self._directory.close()


def _opened(source: Path) -> BinaryIO:
    """The file, if it is one: a pipe might never end, or never begin."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
    except OSError as error:
        raise BadBackup(f"{source}: {error.strerror or error}") from None
    except ValueError:
        raise BadBackup("that is no path of a file") from None
    raise BadBackup(f"{source}: not a file")


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseUnavailable(f"wallet {path}: {error.strerror or error}") from error
