"""The coin tree at one height, read in key order while the chain goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Self

from timecoin.storage.database import connect
from timecoin.storage.errors import MergeUnfinished


class CoinSnapshot:
    """
    All coins after block :attr:`height`, :attr:`count` of them, unmoved by later merges; use it with
    ``with``, in one thread.

    ``MergeUnfinished`` when the tree is between two heights just then. *closed* is called once, at the end.
    """

    def __init__(self, coins: Any, closed: Callable[[], None]) -> None:
        self._closed = closed
        self._connection = connect(coins)
        self._connection.transaction_manager.begin()
        root = self._connection.root()
        progress = root["progress"]
        self.height: int = progress.merged
        self.count: int = progress.coins
        self._tree = root["coins"]
        if progress.target > progress.merged:
            merged, target = progress.merged, progress.target
            self.close()
            raise MergeUnfinished(f"the coin tree is between blocks {merged} and {target}")

    def chunk(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """
        The next ≤ *limit* (outpoint, coin bytes) in key order whose outpoint is above *after* (``b""``: from
        the start).
        """
        found = list(islice(self._tree.items(min=after, excludemin=bool(after)), limit))
        self._connection.cacheGC()
        return found

    def coins(self, step: int = 2_000) -> Iterator[tuple[bytes, bytes]]:
        """All (outpoint, coin bytes) in key order, with bounded memory."""
        after = b""
        while found := self.chunk(after, step):
            yield from found
            after = found[-1][0]

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
