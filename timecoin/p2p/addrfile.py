"""The address book on disk: one small msgpack file, replaced atomically; and the anchors beside it."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import msgspec

from timecoin.p2p.addrbook import AddressBook, Entry
from timecoin.p2p.netaddress import NetAddress

#: Peers to dial first after a restart, so that a restart cannot be used to choose all our peers for us.
MAX_ANCHORS = 2
_VERSION = 1


class Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The file's contents."""

    version: int
    key: bytes
    entries: list[Entry]
    anchors: list[NetAddress]


def load(
    path: Path, random: Random, allow_private: bool, now: int
) -> tuple[AddressBook, list[NetAddress], str | None]:
    """Read a book and its anchors; the third value says why the file was not used (None: used, or not there).

    A damaged file is no reason not to start: the book only saves time, so a fresh one is returned instead.
    """
    try:
        saved = msgspec.msgpack.decode(path.read_bytes(), type=Saved)
    except FileNotFoundError:
        return fresh(random, allow_private), [], None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return fresh(random, allow_private), [], str(error)
    if saved.version != _VERSION or len(saved.key) != 32:
        return fresh(random, allow_private), [], f"version {saved.version}"
    book = AddressBook(saved.key, random, allow_private)
    book.restore(_sound(saved.entries), now)
    return book, [anchor for anchor in saved.anchors if book.accepts(anchor)][:MAX_ANCHORS], None


def _sound(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.address.is_known() and entry.source.is_known()]


def fresh(random: Random, allow_private: bool) -> AddressBook:
    """Return an empty book with a secret of its own."""
    return AddressBook(random.randbytes(32), random, allow_private)


def save(path: Path, book: AddressBook, anchors: list[NetAddress]) -> None:
    """Write book and anchors; after a crash either the old or the new file is there, whole.

    Raises:
        OSError: the file cannot be written.
    """
    data = msgspec.msgpack.encode(Saved(_VERSION, book.key, list(book), anchors[:MAX_ANCHORS]))
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
