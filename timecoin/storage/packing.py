"""Shrinking a database to its present content, in a way that a stopping node need not wait for."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.fspack import FileStoragePacker

from timecoin.storage.errors import PackInterrupted, WriteFailed
from timecoin.storage.files import sync_directory, sync_file


class _Interrupted(OSError):
    """An ``OSError``, as the packer then removes what it has written."""


class _Packer(FileStoragePacker):  # type: ignore[misc]
    def copyDataRecords(self, pos: int, th: Any) -> Any:
        _look(self._storage)
        return super().copyDataRecords(pos, th)


def _look(storage: Any) -> None:
    if storage.pack_ends.is_set():
        raise _Interrupted("the pack was interrupted")


def _pack(storage: Any, references: Any, stop: bytes, gc: bool) -> tuple[int, Any] | None:
    def references_of(*arguments: Any) -> Any:
        _look(storage)
        return references(*arguments)

    packer = _Packer(storage, references_of, stop, gc)
    try:
        position = packer.pack()
        return None if position is None else (position, packer.index)
    finally:
        packer.close()


class PlainFile(FileStorage):  # type: ignore[misc]
    """A FileStorage whose pack ends early, without effect, once ``pack_ends`` is set."""

    packer = staticmethod(_pack)

    def __init__(self, path: Path) -> None:
        self.pack_ends = Event()
        super().__init__(str(path))


def pack_database(database: Any, before: float, keep_old: bool = True) -> None:
    """
    Drop what was no longer current at Unix time *before* (seconds); blocks for seconds to minutes, any
    thread.

    ZODB renames the packed file into place without syncing it, hence the old file, unless *keep_old*, is
    removed here, and only once the new one is durable. ``WriteFailed`` when the backend refuses,
    ``PackInterrupted`` after :func:`interrupt_pack`; nothing has changed then.
    """
    try:
        database.pack(before)
        storage = database.storage
        if isinstance(storage, FileStorage):
            path = Path(storage.getName())
            sync_file(path)
            sync_directory(path.parent)
            if not keep_old:
                path.with_name(path.name + ".old").unlink(missing_ok=True)
    except _Interrupted as error:
        raise PackInterrupted(f"{database.getName()}: {error}") from error
    except Exception as error:  # each backend has errors of its own, without a common base
        raise WriteFailed(f"cannot pack {database.getName()}: {type(error).__name__}: {error}") from error


def interrupt_pack(database: Any) -> None:
    """End a pack under way soon, refuse later ones; only in plain files, other storages pack elsewhere."""
    storage = database.storage
    if isinstance(storage, PlainFile):
        storage.pack_ends.set()
