"""Snapshots as plain files: whole or not there, readable in any thread (protocol.md section 10).

One directory for each, named by its height: ``manifest`` (:mod:`timecoin.ledger.snapshot_manifest`), ``state`` (the
encoded ledger), and ``chunk-000000`` onwards (:mod:`timecoin.ledger.snapshot_chunk`). While it is being made its name
begins with ``new-``, while it comes from peers with ``join-``, while it goes away with ``old-``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from timecoin.ledger.snapshot_manifest import (
    HEAD_SIZE,
    MAX_CHUNK_BYTES,
    PAGE_RANGES,
    RANGE_SIZE,
    STATE_PART_BYTES,
    Manifest,
    read_head,
)
from timecoin.primitives.codec import DecodeError
from timecoin.storage.files import sync_directory

KEPT: Final = 2
"""Snapshots kept: the newest ones."""

_NEW, _JOIN, _OLD = "new-", "join-", "old-"
_MANIFEST, _STATE = "manifest", "state"


class Held(NamedTuple):
    """A snapshot that is here: its id and its encoded head."""

    snapshot_id: bytes
    head: bytes

    @property
    def height(self) -> int:
        """The height of its closing block."""
        return read_head(self.head).height


def write_durably(path: Path, data: bytes) -> None:
    """Write a file of a directory that is not in use yet; ``OSError``. The name is durable with its directory."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


class SnapshotFiles:
    """The snapshots under *path*. :meth:`open` comes first, in the thread that begins; reads in any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: tuple[Held, ...] = ()
        self._lock = Lock()

    def open(self, joining: int | None = None) -> None:
        """Find what is held, remove what was left half-made (but the one being joined at height *joining*).

        Raises ``OSError``.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = None if joining is None else self.joining(joining).name
        found = []
        for each in sorted(self.path.iterdir()):
            if each.name == kept:
                continue
            held = _held(each) if each.name.isdigit() else None
            if held is None:
                _remove(each)
            else:
                found.append(held)
        self._held = tuple(sorted(found, key=lambda held: -held.height))

    # Reading

    def held(self) -> tuple[Held, ...]:
        """What is here, newest first."""
        return self._held

    def manifest_page(self, snapshot_id: bytes, number: int) -> bytes | None:
        """Page *number* of the manifest, encoded; empty behind the last one, None when that snapshot is not here."""
        size = PAGE_RANGES * RANGE_SIZE
        return self._read(snapshot_id, _MANIFEST, HEAD_SIZE + number * size, size)

    def state_part(self, snapshot_id: bytes, number: int) -> bytes | None:
        """Part *number* of the encoded state; as :meth:`manifest_page`."""
        return self._read(snapshot_id, _STATE, number * STATE_PART_BYTES, STATE_PART_BYTES)

    def chunk(self, snapshot_id: bytes, index: int) -> bytes | None:
        """The chunk of range *index*; None when that snapshot is not here, or has no such range."""
        return self._read(snapshot_id, chunk_name(index), 0, MAX_CHUNK_BYTES)

    def _read(self, snapshot_id: bytes, name: str, start: int, size: int) -> bytes | None:
        height = next((held.height for held in self._held if held.snapshot_id == snapshot_id), None)
        if height is None:
            return None
        # It may go away meanwhile, which is the same as not having it.
        with suppress(FileNotFoundError), (self._place(height) / name).open("rb") as stream:
            stream.seek(start)
            return stream.read(size)
        return None

    # Writing: one thread at a time

    def make(self, height: int, fill: Callable[[Path], Manifest]) -> Manifest:
        """Have *fill* write chunks and state into a new directory, then make it a snapshot that is held.

        Whatever it raises passes through, and nothing of it is left.
        """
        place = self.path / f"{_NEW}{height}"
        _remove(place)
        place.mkdir(mode=0o700)
        try:
            manifest = fill(place)
            self.publish(place, manifest)
        except BaseException:
            _remove(place)
            raise
        return manifest

    def joining(self, height: int) -> Path:
        """Where the chunks of a snapshot that comes from peers are kept until it is complete."""
        return self.path / f"{_JOIN}{height}"

    def forget_joining(self, kept: int | None = None) -> None:
        """Remove what came of snapshots that are joined no more, all but the one at height *kept*; ``OSError``."""
        for each in self.path.glob(f"{_JOIN}*"):
            if kept is None or each != self.joining(kept):
                _remove(each)

    def publish(self, place: Path, manifest: Manifest) -> None:
        """Make the directory *place*, complete but for the manifest, a snapshot that is held; older ones leave."""
        write_durably(place / _MANIFEST, manifest.encode())
        sync_directory(place)
        final = self._place(manifest.height)
        with self._lock:
            self._drop(manifest.height)
            os.replace(place, final)
            sync_directory(self.path)
            known = [Held(manifest.snapshot_id, manifest.head.encode()), *self._held]
            self._held = tuple(sorted(known, key=lambda held: -held.height))
            for each in self._held[KEPT:]:
                self._drop(each.height)

    def _drop(self, height: int) -> None:
        self._held = tuple([held for held in self._held if held.height != height])
        old = self.path / f"{_OLD}{height}"
        with suppress(FileNotFoundError):
            os.replace(self._place(height), old)
        _remove(old)

    def _place(self, height: int) -> Path:
        return self.path / f"{height:010}"


def chunk_name(index: int) -> str:
    """The name of the file with the coins of range *index*."""
    return f"chunk-{index:06}"


def write_chunk(place: Path, index: int, data: bytes) -> None:
    """Write a chunk into a directory being filled, durably; ``OSError``."""
    write_durably(place / chunk_name(index), data)


def write_state(place: Path, state: bytes) -> None:
    """Write the encoded state into a directory being filled, durably; ``OSError``."""
    write_durably(place / _STATE, state)


def _held(place: Path) -> Held | None:
    try:
        manifest = Manifest.decode((place / _MANIFEST).read_bytes())
    except (FileNotFoundError, DecodeError):
        return None
    return Held(manifest.snapshot_id, manifest.head.encode())


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
