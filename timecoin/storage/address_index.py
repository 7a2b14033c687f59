"""
The address index: a database of its own, *addresses*, that follows the chain of decided blocks.

It is derived from the stored blocks and nothing else, so it needs no part in the commit of a block: what a crash leaves
is an index of some blocks, which names them, and goes on from there. It can be deleted at any time and made anew.

A *batch* is the net effect of some blocks. It is stored whole first, then moved into the tree a bounded number of keys
at a time, each step one transaction together with how far it is: a crash resumes it. Reads overlay the batch on the
tree, so they never see half of one.

Threads: one (the *writer*) calls :meth:`AddressIndex.begin` and :meth:`AddressIndex.move`; reads come from any thread.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self

import msgspec
from persistent import Persistent

from timecoin.primitives.block import Block
from timecoin.storage.address_changes import (
    Gathering,
    IndexedCoin,
    Touch,
    history_bounds,
    in_order,
    read_coin,
    read_touch,
    unspent_bounds,
)
from timecoin.storage.address_tree import AddressTree
from timecoin.storage.database import check_identity, committing, connect, file_uri, identify, open_database, reading
from timecoin.storage.schema import Blob

CACHE = {"cache_size": 2_000, "cache_size_bytes": 10_000_000}
_KIND = "addresses"
_LAST = 2**32 - 1


class TooManyEntries(Exception):
    """The answer would hold more entries than allowed."""


class IndexProgress(Persistent):  # type: ignore[misc]
    """Blocks up to ``merged`` are in the tree, and the first ``done`` changes of the batch up to ``target``, whose last
    block is ``block_hash``."""

    def __init__(self) -> None:
        self.merged = self.target = -1
        self.done = 0
        self.block_hash = b""


class _Batch(NamedTuple):
    """Changes in key order, and their keys alone to search in."""

    items: Sequence[tuple[bytes, bytes | None]]
    keys: Sequence[bytes]


_EMPTY = _Batch((), ())


class _View:
    """The tree at one moment under the batch of that moment."""

    def __init__(self, tree: Any, batch: _Batch) -> None:
        self._tree, self._batch = tree, batch

    def between(self, low: bytes, high: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Entries with keys from ``low`` to ``high`` in order; ``TooManyEntries`` above ``limit``."""
        found = dict(islice(self._tree.items(min=low, max=high), limit + 1))
        keys = self._batch.keys
        for key, value in self._batch.items[bisect_left(keys, low) : bisect_right(keys, high)]:
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        if len(found) > limit:
            raise TooManyEntries
        return sorted(found.items())


class AddressIndex:
    """Made by :meth:`open`; see the module for who may call what."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._writer = connect(database)
        self._lock = Lock()
        with committing(self._writer) as root:
            progress, pending = root["progress"], root["pending"]
            self._height: int = progress.target
            self.block_hash: bytes = progress.block_hash
            items = [] if pending is None else msgspec.msgpack.decode(pending.data)
        self._batch = _batch(items)

    @classmethod
    def open(cls, path: Path, chain_id: bytes) -> Self:
        """Open or create the database; ``DatabaseUnavailable``, ``WrongGenesis``, ``WrongSchema``."""
        database = open_database(file_uri(path), database_name=_KIND, **CACHE)
        try:
            connection = connect(database)
            try:
                with committing(connection) as root:
                    if not check_identity(root, _KIND, chain_id):
                        root.update(progress=IndexProgress(), tree=AddressTree(), pending=None)
                        identify(root, _KIND, chain_id)
            finally:
                connection.close()
            return cls(database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close it; no call may be under way."""
        self._writer.close()
        self._database.close()

    @property
    def height(self) -> int:
        """The height of the newest block that reads show; −1: none."""
        return self._height

    @property
    def is_moving(self) -> bool:
        """Whether a batch is not wholly in the tree."""
        return bool(self._batch.items)

    # The writer

    def begin(self, blocks: Sequence[Block]) -> None:
        """Take the next blocks, in order; reads show them from now on. No batch may be moving.

        ``CoinsOutOfStep`` when they do not fit, ``WriteFailed``: nothing has changed then.
        """
        with committing(self._writer) as root:
            gathering = Gathering(root["tree"].get)
            for block in blocks:
                gathering.add(block)
            items = in_order(gathering.changes)
            progress, last = root["progress"], blocks[-1].header
            root["pending"] = Blob(msgspec.msgpack.encode(items))
            progress.target, progress.done, progress.block_hash = last.height, 0, last.hash
        self._writer.cacheGC()
        with self._lock:
            self._batch = _batch(items)
            self._height, self.block_hash = last.height, last.hash

    def move(self, limit: int) -> bool:
        """Move ≤ ``limit`` changes of the batch into the tree; whether any are left. ``WriteFailed``: none moved."""
        with committing(self._writer) as root:
            progress, tree = root["progress"], root["tree"]
            end = min(progress.done + limit, len(self._batch.items))
            _apply(tree, self._batch.items[progress.done : end])
            progress.done = end
            is_over = end == len(self._batch.items)
            if is_over:
                progress.merged, progress.done, root["pending"] = progress.target, 0, None
        self._writer.cacheGC()
        if is_over:
            with self._lock:
                self._batch = _EMPTY
        return not is_over

    # Reads

    @contextmanager
    def _view(self) -> Iterator[_View]:
        # Batch and tree have to be of one moment: a batch is published before its first step and withdrawn after its
        # last, both under the lock, and the view of the tree is taken under it, too.
        with self._lock:
            batch = self._batch
            opened = reading(self._database)
            root = opened.__enter__()
        try:
            yield _View(root["tree"], batch)
        finally:
            opened.__exit__(None, None, None)

    def history(self, ident: bytes, limit: int, first: int = 0, last: int = _LAST) -> list[Touch]:
        """What touched a script in blocks ``first`` to ``last``, in the order of the chain; ``TooManyEntries``."""
        with self._view() as view:
            return [read_touch(*each) for each in view.between(*history_bounds(ident, first, last), limit)]

    def unspent(self, ident: bytes, limit: int) -> list[IndexedCoin]:
        """The unspent outputs of a script; ``TooManyEntries``."""
        with self._view() as view:
            return [read_coin(*each) for each in view.between(*unspent_bounds(ident), limit)]


def _batch(items: Sequence[tuple[bytes, bytes | None]]) -> _Batch:
    return _Batch(items, [key for key, _ in items])


def _apply(tree: Any, items: Sequence[tuple[bytes, bytes | None]]) -> None:
    for key, value in items:
        if value is None:
            tree.pop(key, None)
        else:
            tree[key] = value
