"""What became of transactions, told to those who wait: numbered events, kept in a bounded buffer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from timecoin.consensus import effects as fx
from timecoin.ops.metrics import NodeMetrics
from timecoin.rpc.errors import MISC_ERROR, RpcError
from timecoin.rpc.facade import EventPage, FinalityEvent

T = TypeVar("T")
MAX_EVENTS = 50_000
"""Events held for ``getfinalityevents``; the oldest go first, and whoever asks for them is told that it missed some."""
MAX_WAITERS = 10_000
POLL_DELAY = 0.02
"""Seconds after an event in which more of them gather before those who wait for events are answered."""
_SETTLED = (fx.Change.FINAL, fx.Change.ARCHIVED, fx.Change.REJECTED)


class TooManyWaiters(RpcError):
    """As many calls wait as the node keeps."""

    def __init__(self) -> None:
        super().__init__(MISC_ERROR, f"{MAX_WAITERS} calls wait already")


class Reports:
    """Collects reports and wakes waiters. Events are numbered from 1 without gaps while the node runs."""

    def __init__(self, reactor: Any, metrics: NodeMetrics) -> None:
        self._reactor = reactor
        # Looking a label up costs more than everything else that is done for a report.
        self._counters = {change: metrics.transactions.labels(change.value) for change in fx.Change}
        self._counts = dict.fromkeys(fx.Change, 0)
        self._wake_call: IDelayedCall | None = None
        self._blocks = {kind: metrics.blocks.labels(name) for kind, name in ((True, "closing"), (False, "interim"))}
        self._time_to_final = metrics.time_to_final
        self._events: deque[FinalityEvent] = deque(maxlen=MAX_EVENTS)
        self._last = 0
        self._pollers: dict[Deferred[EventPage], Callable[[], None]] = {}
        self._waiters: dict[bytes, list[Deferred[None]]] = {}
        self._waiting = 0
        self.blocks = 0

    # From consensus

    def add(self, report: fx.Report, now: int) -> None:
        """A transaction changed its status."""
        self._last += 1
        self._events.append(FinalityEvent(self._last, report.txid, report.change.value, now))
        self._counts[report.change] += 1
        if report.change is fx.Change.FINAL and report.milliseconds is not None:
            self._time_to_final.observe(report.milliseconds / 1000)
        if report.change in _SETTLED and self._waiters:
            for waiter in self._waiters.pop(report.txid, ()):
                waiter.callback(None)
        if self._wake_call is None:
            self._wake_call = self._reactor.callLater(POLL_DELAY, self._wake)

    def _wake(self) -> None:
        self._wake_call = None
        for change, count in self._counts.items():
            self._counters[change].inc(count)
            self._counts[change] = 0
        for wake in tuple(self._pollers.values()):
            wake()

    def block(self, block: fx.BlockArchived, now: int) -> None:
        """A block was applied."""
        self.blocks += 1
        self._blocks[block.closing].inc()

    # For RPC

    def wait(self, txid: bytes, timeout_ms: int) -> Deferred[None]:
        """Fires when the transaction is final, archived or rejected, at the latest after ``timeout_ms``.

        Fails with ``TooManyWaiters``.
        """
        if timeout_ms == 0:
            return succeed(None)
        self._count_in()
        waiter: Deferred[None] = Deferred(lambda waiter: self._give_up(txid, waiter))
        self._waiters.setdefault(txid, []).append(waiter)
        timer = self._reactor.callLater(timeout_ms / 1000, self._give_up, txid, waiter)
        return waiter.addBoth(self._count_out, timer)

    def _give_up(self, txid: bytes, waiter: Deferred[None]) -> None:
        waiters = self._waiters[txid]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[txid]
        waiter.callback(None)

    def _count_in(self) -> None:
        if self._waiting >= MAX_WAITERS:
            raise TooManyWaiters
        self._waiting += 1

    def _count_out(self, result: T, timer: IDelayedCall) -> T:
        self._waiting -= 1
        if timer.active():
            timer.cancel()
        return result

    def page(self, since: int, limit: int) -> EventPage:
        """The events after a number, as many as ``limit``."""
        first = self._events[0].number if self._events else self._last + 1
        start = max(since + 1, first)
        chosen = tuple(
            [self._events[i] for i in range(start - first, min(len(self._events), start - first + limit))]
        )
        return EventPage(chosen, first, self._last, missed=since + 1 < first)

    def poll(self, since: int, limit: int, timeout_ms: int) -> Deferred[EventPage]:
        """As :meth:`page`; with nothing new, waits up to ``timeout_ms`` for an event.

        Fails with ``TooManyWaiters``.
        """
        if self._last > since or timeout_ms == 0:
            return succeed(self.page(since, limit))
        self._count_in()

        def wake(_: object = None) -> None:
            self._pollers.pop(answer, None)
            answer.callback(self.page(since, limit))

        answer: Deferred[EventPage] = Deferred(wake)
        self._pollers[answer] = wake
        timer = self._reactor.callLater(timeout_ms / 1000, wake)
        return answer.addBoth(self._count_out, timer)
