"""Files that held secrets: overwritten before they are removed, as far as the file system lets that mean anything."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from timecoin.storage.datadir import LOCK_NAME
from timecoin.storage.files import sync_directory

__all__ = ["discard_leftovers", "discard_new", "new_name", "old_name", "remove_empty", "replace_file", "wipe"]

_BLOCK: Final = 1 << 16
_OLD, _NEW = ".old", ".new"
_BESIDE: Final = (".index", ".tmp", ".lock")


def wipe(path: Path) -> None:
    """Overwrite the file *path* with zeros and remove it; nothing happens when there is none. ``OSError``."""
    try:
        stream = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return
    with stream:
        left = os.fstat(stream.fileno()).st_size
        while left > 0:
            left -= stream.write(bytes(min(left, _BLOCK))) or 0
        os.fsync(stream.fileno())
    path.unlink()
    sync_directory(path.parent)


def new_name(path: Path) -> Path:
    """Where the file that is to replace *path* is written first."""
    return path.with_name(path.name + _NEW)


def old_name(path: Path) -> Path:
    """Where the file that *path* was is, until it is overwritten."""
    return path.with_name(path.name + _OLD)


def replace_file(path: Path) -> None:
    """Let the finished file at :func:`new_name` take the place of *path*, and wipe what *path* was.

    ``OSError``: *path* is what it was. At any moment it is the old or the new file, whole. What a crash leaves,
    :func:`discard_leftovers` removes; it is called when a wallet is opened, so also what cannot be wiped now (the file
    at :func:`old_name` is there then) is tried again.
    """
    old = old_name(path)
    _discard_old(path)
    os.link(path, old)
    _beside(path)
    try:
        os.replace(new_name(path), path)
        sync_directory(path.parent)
    except OSError:
        os.replace(old, path)
        raise
    with suppress(OSError):
        wipe(old)
        discard_new(path)


def discard_new(path: Path) -> None:
    """Remove an unfinished file at :func:`new_name` and what ZODB put beside it; ``OSError``."""
    wipe(new_name(path))
    _beside(new_name(path))


def remove_empty(path: Path) -> None:
    """Remove a wallet's directory in which nothing but the lock is; any other stays."""
    (path / LOCK_NAME).unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()


def discard_leftovers(path: Path) -> None:
    """Remove what an interrupted :func:`replace_file` left beside *path*; ``OSError``."""
    if path.exists():
        _discard_old(path)
        discard_new(path)
    wipe(path.with_name(path.name + ".tmp"))


def _discard_old(path: Path) -> None:
    old = old_name(path)
    if old.exists() and old.samefile(path):
        old.unlink()
    wipe(old)


def _beside(path: Path) -> None:
    for end in _BESIDE:
        wipe(path.with_name(path.name + end))
