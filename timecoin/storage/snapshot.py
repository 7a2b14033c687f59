"""The coins at one tip, read in key order while the chain goes on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

from timecoin.storage.database import connect
from timecoin.storage.delta import BlockDelta
from timecoin.storage.merging import in_key_order


class CoinSnapshot:
    """
    All coins after block :attr:`height`, :attr:`count` of them, unmoved by later blocks and merges; made by the reactor
    thread for one other thread, which uses it with ``with``.

    Its view of the tree is pinned when it is made. *overlay* holds every block of which the tree may lack a part, and
    wins over the tree: so nothing has to be merged first, and it does not matter where a merge stands. *closed* is
    called once, at the end.
    """

    def __init__(
        self, coins: Any, overlay: Sequence[BlockDelta], height: int, count: int, closed: Callable[[], None]
    ) -> None:
        self.height, self.count = height, count
        self._overlay = overlay
        self._closed = closed
        self._connection = connect(coins)
        self._connection.transaction_manager.begin()
        self._tree = self._connection.root()["coins"]

    def steps(self, limit: int) -> Iterator[list[tuple[bytes, bytes]]]:
        """All (outpoint, coin bytes) in key order, ≤ 2 × *limit* at a time, with bounded memory."""
        changes: dict[bytes, bytes | None] = {}
        for delta in self._overlay:
            changes.update(delta.changes)
        keys = in_key_order(changes)
        after, position = b"", 0
        while True:
            found = list(islice(self._tree.items(min=after, excludemin=bool(after)), limit))
            self._connection.cacheGC()
            bound = _bound(found, keys, position, limit)
            if bound is None:
                yield _overlaid(found, keys[position:], changes)
                return
            end = bisect_right(keys, bound, position)
            yield _overlaid([each for each in found if each[0] <= bound], keys[position:end], changes)
            after, position = bound, end

    def coins(self, step: int = 2_000) -> Iterator[tuple[bytes, bytes]]:
        """All (outpoint, coin bytes) in key order, one by one."""
        for found in self.steps(step):
            yield from found

    def close(self) -> None:
        """Let the view go; twice is harmless."""
        if self._connection is None:
            return
        self._connection.transaction_manager.abort()
        self._connection.close()
        self._connection = None
        self._closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _bound(found: Sequence[tuple[bytes, bytes]], keys: Sequence[bytes], position: int, limit: int) -> bytes | None:
    """The last key of the next step; None when the rest of both fits into it."""
    bounds = []
    if len(found) == limit:
        bounds.append(found[-1][0])
    if len(keys) - position > limit:
        bounds.append(keys[position + limit - 1])
    return min(bounds, default=None)


def _overlaid(
    found: list[tuple[bytes, bytes]], keys: Sequence[bytes], changes: dict[bytes, bytes | None]
) -> list[tuple[bytes, bytes]]:
    if not keys:
        return found
    merged = dict(found)
    for key in keys:
        coin = changes[key]
        if coin is None:
            merged.pop(key, None)
        else:
            merged[key] = coin
    return sorted(merged.items())
