"""Small files that are whole or absent, whatever moment the power fails."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the names in directory *path* durable; ``OSError`` when it cannot be opened."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the present bytes of file *path* durable."""
    sync_directory(path)


def write_atomic(path: Path, data: bytes) -> None:
    """
    Replace the file *path* by *data* (mode 0600), durable on return; ``OSError`` leaves the old one in place.
    """
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_optional(path: Path) -> bytes | None:
    """The bytes of *path*, or None when there is no such file; other ``OSError`` as they are."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
