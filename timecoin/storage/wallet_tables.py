"""How a wallet's tables stand in ZODB: names to trees of bytes, each value with a check sum before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from zlib import crc32

from BTrees.OOBTree import OOBTree
from ZODB.broken import find_global

from timecoin.storage.errors import Damaged
from timecoin.storage.schema import Blob

__all__ = ["Changes", "apply_changes", "class_of", "entries", "value_of"]

Changes: TypeAlias = Mapping[str, Mapping[bytes, bytes | None]]
"""What a commit does: table name to keys to new values; None removes the key. Absent tables begin empty."""

_TABLE: Final = re.compile(r"[a-z][a-z_]{0,30}", re.ASCII)
_INLINE: Final = 512
"""Bytes of a value beside its neighbours; longer ones are objects of their own, not written with these."""
_MAX_KEY: Final = 1_024
_MAX_VALUE: Final = 16 * 2**20
_SUM_SIZE: Final = 4
_CLASSES: Final = frozenset(
    {
        ("persistent.mapping", "PersistentMapping"),
        ("BTrees.OOBTree", "OOBTree"),
        ("BTrees.OOBTree", "OOBucket"),
        ("timecoin.storage.schema", "Blob"),
    }
)


def class_of(_connection: object, module: str, name: str) -> Any:
    """The class that a wallet's file may name; any other is ``Damaged``: a wallet file may come from elsewhere."""
    if (module, name) not in _CLASSES:
        raise Damaged("the wallet's file holds objects that no wallet has")
    return find_global(module, name)


def apply_changes(tables: Any, changes: Changes) -> None:
    """Put *changes* into the tree of *tables*, in the caller's transaction; ``ValueError``."""
    for name, records in changes.items():
        if _TABLE.fullmatch(name) is None:
            raise ValueError(f"not a table's name: {name[:40]!r}")
        if name not in tables:
            tables[name] = OOBTree()
        _apply(tables[name], records)


def _apply(table: Any, records: Mapping[bytes, bytes | None]) -> None:
    for key in sorted(records):
        value = records[key]
        if type(key) is not bytes or len(key) > _MAX_KEY:
            raise ValueError(f"a key is at most {_MAX_KEY} bytes")
        if value is None:
            table.pop(key, None)
        else:
            table[key] = _stored(key, value)


def _stored(key: bytes, value: bytes) -> bytes | Blob:
    if type(value) is not bytes or len(value) > _MAX_VALUE:
        raise ValueError(f"a value is at most {_MAX_VALUE} bytes")
    data = _sum(key, value) + value
    return data if len(data) <= _INLINE else Blob(data)


def _sum(key: bytes, value: bytes) -> bytes:
    return crc32(value, crc32(key)).to_bytes(_SUM_SIZE, "little")


def value_of(key: bytes, stored: Any) -> bytes:
    """The value that is stored as *stored* under *key*; ``Damaged`` when it is not what was put there."""
    data = _data(stored)
    if data[:_SUM_SIZE] != _sum(key, data[_SUM_SIZE:]):
        raise Damaged("a record of the wallet does not read back")
    return data[_SUM_SIZE:]


def _data(stored: Any) -> bytes:
    if isinstance(stored, Blob):
        data: bytes = stored.data
        stored._p_deactivate()
        return data
    if isinstance(stored, bytes):
        return stored
    raise Damaged("a record of the wallet does not read back")


def entries(table: Any, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """The keys of *table* from *first* on and their values, in key order; ``Damaged``."""
    for key, stored in table.items(min=first):
        yield key, value_of(key, stored)
