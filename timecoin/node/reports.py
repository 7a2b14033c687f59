"""What became of transactions, told to those who wait: numbered events, kept in a bounded buffer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from timecoin.consensus import effects as fx
from timecoin.consensus.participant import Participant
from timecoin.consensus.status import Status
from timecoin.node.feed import Feed
from timecoin.node.latency import Latency
from timecoin.ops.metrics import NodeMetrics
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.errors import MISC_ERROR, RpcError
from timecoin.rpc.facade import EventPage, FinalityEvent

T = TypeVar("T")
MAX_EVENTS = 50_000
"""Events held for ``getfinalityevents``; the oldest go first, and whoever asks for them is told that it missed some."""
_SLACK = 5_000
"""Events beyond these after which the oldest are really let go of."""
MAX_WAITERS = 10_000
_WOKEN_AT_ONCE = 100
"""Calls that are answered in one turn of the reactor."""
POLL_DELAY = 0.02
"""Seconds after an event in which more of them gather before those who wait for events are answered."""
MAX_EARLY = 100_000
"""Certificates remembered whose transactions are still to come."""
_SETTLED = (fx.Change.FINAL, fx.Change.ARCHIVED, fx.Change.REJECTED)
_STATUS = {change: Status(change.value) for change in fx.Change}


class TooManyWaiters(RpcError):
    """As many calls wait as the node keeps."""

    def __init__(self) -> None:
        super().__init__(MISC_ERROR, f"{MAX_WAITERS} calls wait already")


class Reports:
    """Collects reports, hands them to the ``feed``, which numbers them, and wakes waiters."""

    def __init__(self, reactor: Any, metrics: NodeMetrics, feed: Feed | None = None) -> None:
        self._reactor = reactor
        self.feed = feed or Feed()
        # Looking a label up costs more than everything else that is done for a report.
        self._counters = {change: metrics.transactions.labels(change.value) for change in fx.Change}
        self._counts = dict.fromkeys(fx.Change, 0)
        self._wake_call: IDelayedCall | None = None
        self._blocks = {kind: metrics.blocks.labels(name) for kind, name in ((True, "closing"), (False, "interim"))}
        self._time_to_final = metrics.time_to_final
        self.latency = Latency()
        # A list of which the first ones are gone: who asks for the newest must not go through all, as in a deque.
        self._events: list[FinalityEvent] = []
        self._gone = 0
        self.first = self.feed.last + 1
        """The number of the first event that could be in memory."""
        self.last = self.feed.last
        """That of the newest event that is told here: a change of status."""
        self._early: dict[Hash, None] = {}
        self._pollers: dict[Deferred[EventPage], Callable[[], None]] = {}
        self._waiters: dict[bytes, list[Deferred[None]]] = {}
        self._waiting = 0
        self.blocks = 0

    def begin(self) -> None:
        """The feed goes on with the numbers of the node's life before: before the first report."""
        self.first, self.last = self.feed.last + 1, self.feed.last

    # From consensus

    def add(self, report: fx.Report, now: int) -> None:
        """A transaction changed its status."""
        change = report.change
        self._counts[change] += 1
        tx = self.feed.body(report.txid) if change is fx.Change.CERTIFIED else report.tx
        if change is fx.Change.CERTIFIED and tx is None:
            # Its votes were quicker than itself: told in the right order, when it is here.
            if len(self._early) < MAX_EARLY:
                self._early[report.txid] = None
        else:
            self._tell(report, now, tx)
        if report.change is fx.Change.FINAL and report.milliseconds is not None:
            self._time_to_final.observe(report.milliseconds / 1000)
            self.latency.add(report.milliseconds)
        if report.change in _SETTLED and self._waiters:
            for waiter in self._waiters.pop(report.txid, ()):
                waiter.callback(None)
        if self._wake_call is None:
            self._wake_call = self._reactor.callLater(POLL_DELAY, self._wake)

    def admitted(self, tx: Transaction, now: int, *, final: bool = False) -> None:
        """A transaction came in, submitted here or relayed, and is valid.

        ``final``: it was told as that before a restart, and is told so again: who listens now may never have heard.
        """
        if final:
            self._tell(fx.Report(tx.txid, fx.Change.FINAL, tx=tx), now)
            return
        self.feed.transaction(tx.txid, Status.PENDING, now, tx)
        if self._early and tx.txid in self._early:
            del self._early[tx.txid]
            self._tell(fx.Report(tx.txid, fx.Change.CERTIFIED), now)

    def tell_again(self, participant: Participant, now: int) -> None:
        """Tell where every unarchived transaction stands: after a crash nobody knows who has heard of it."""
        finals = participant.reported_final()
        for entry in participant.finality.pool:
            if entry.txid not in finals:
                self.feed.transaction(entry.txid, Status.PENDING, now, entry.tx)
                if entry.certified:
                    self._tell(fx.Report(entry.txid, fx.Change.CERTIFIED), now)
        for txid in finals:
            self._tell(fx.Report(txid, fx.Change.FINAL), now)

    def _tell(self, report: fx.Report, now: int, found: Transaction | None = None) -> None:
        txid, change, _, height, reason, tx = report
        self.last = number = self.feed.transaction(txid, _STATUS[change], now, found or tx, height, reason)
        if len(self._events) - self._gone == MAX_EVENTS:
            self.first = self._events[self._gone].number + 1
            self._gone += 1
        self._events.append(FinalityEvent(number, txid, change.value, now))
        if self._gone > _SLACK:
            del self._events[: self._gone]
            self._gone = 0

    def _wake(self) -> None:
        self._wake_call = None
        for change, count in self._counts.items():
            self._counters[change].inc(count)
            self._counts[change] = 0
        self._wake_some(list(self._pollers))

    def _wake_some(self, answers: list[Deferred[EventPage]]) -> None:
        for answer in answers[:_WOKEN_AT_ONCE]:
            wake = self._pollers.get(answer)
            if wake is not None:
                wake()
        if len(answers) > _WOKEN_AT_ONCE:
            self._reactor.callLater(0, self._wake_some, answers[_WOKEN_AT_ONCE:])

    def block(self, block: fx.BlockArchived, now: int) -> None:
        """A block was applied."""
        self.blocks += 1
        self._blocks[block.closing].inc()
        self.feed.block(block.height, block.block_hash, block.epoch, block.closing, now)
        if block.closing:
            self._early.clear()

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
        start = bisect_right(self._events, since, self._gone, key=lambda event: event.number)
        chosen = tuple(self._events[start : start + limit])
        return EventPage(chosen, self.first, self.last, missed=since + 1 < self.first)

    def poll(self, since: int, limit: int, timeout_ms: int) -> Deferred[EventPage]:
        """As :meth:`page`; with nothing new, waits up to ``timeout_ms`` for an event.

        Fails with ``TooManyWaiters``.
        """
        if self.last > since or timeout_ms == 0:
            return succeed(self.page(since, limit))
        self._count_in()

        def wake(_: object = None) -> None:
            self._pollers.pop(answer, None)
            answer.callback(self.page(since, limit))

        answer: Deferred[EventPage] = Deferred(wake)
        self._pollers[answer] = wake
        timer = self._reactor.callLater(timeout_ms / 1000, wake)
        return answer.addBoth(self._count_out, timer)
