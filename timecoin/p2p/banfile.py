"""The operator's bans on disk: one small JSON file for them and for the tools that they know, replaced atomically."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from timecoin.p2p.bans import Ban, BanError, BanList

_VERSION = 1


class Saved(msgspec.Struct, forbid_unknown_fields=True):
    """The file's contents."""

    version: int
    banned: list[Ban]


class BanFileUnreadable(Exception):
    """The file is there but cannot be used: its bans would silently not hold, so the node does not start."""


def load(path: Path | None) -> BanList:
    """The bans in the file, none when there is no file. Raises ``BanFileUnreadable``."""
    if path is None:
        return BanList()
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=Saved)
        if saved.version != _VERSION:
            raise BanFileUnreadable(f"{path}: version {saved.version}")
        return BanList(tuple(saved.banned))
    except FileNotFoundError:
        return BanList()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, BanError) as error:
        raise BanFileUnreadable(f"{path}: {error}") from error


def save(path: Path | None, bans: list[Ban]) -> None:
    """Write the bans; after a crash either the old or the new file is there, whole. Raises ``OSError``."""
    if path is None:
        return
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(msgspec.json.format(msgspec.json.encode(Saved(_VERSION, bans)), indent=2))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
