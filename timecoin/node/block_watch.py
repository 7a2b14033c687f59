"""Who waits for the next block, and at which time which block was the tip: it hears the feed's blocks."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from timecoin.node.feed import BlockApplied
from timecoin.rpc.errors import MISC_ERROR, RpcError

T = TypeVar("T")
MAX_WAITERS = 1_000
"""Calls that wait for a block at a time."""
_KEPT = 2_000


class BlockWatch:
    """Remembers when the newest blocks were applied, and wakes who waits for the next one."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: dict[Deferred[None], None] = {}
        self._applied: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def block(self, event: BlockApplied) -> None:
        """Wake everybody."""
        self._applied.append((event.time_ms, event.height))
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.callback(None)

    def height_at(self, time_ms: int, tip: int) -> int:
        """The height of the tip at some time; before what is remembered, that of the oldest block known before."""
        if not self._applied:
            return tip
        place = bisect_right(self._applied, time_ms, key=lambda each: each[0])
        return self._applied[place - 1][1] if place else self._applied[0][1] - 1

    def next_block(self, timeout_ms: int | None) -> Deferred[None]:
        """Fires when the next block is applied, at the latest after ``timeout_ms``; ``RpcError`` when too many wait.

        Cancelled, it fails as a Deferred does: who waits in a loop must not go on.
        """
        if len(self._waiting) >= MAX_WAITERS:
            raise RpcError(MISC_ERROR, f"{MAX_WAITERS} calls wait for a block already")

        def give_up() -> None:
            del self._waiting[waiter]
            waiter.callback(None)

        waiter: Deferred[None] = Deferred(lambda cancelled: self._waiting.pop(cancelled, None))
        self._waiting[waiter] = None
        if timeout_ms is None:
            return waiter
        timer = self._reactor.callLater(timeout_ms / 1000, give_up)

        def ended(result: T) -> T:
            if timer.active():
                timer.cancel()
            return result

        return waiter.addBoth(ended)
