"""The event log as a service: what the feed tells is written in a thread of its own, then published to who pushes it.

Nobody outside hears of an event before it is in the log's file. After a crash this is what makes *resumable without
gaps* true (docs/decisions/push.rst): what was archived and is not in the log is told again at the start, and
:attr:`EventService.retell` says that statuses of unarchived transactions have to be, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from timecoin.consensus.status import Status
from timecoin.node.feed import BlockApplied, Feed, TransactionChanged
from timecoin.primitives.block import Block
from timecoin.push.face import EventListener, Held
from timecoin.push.touched import touched
from timecoin.storage.errors import Damaged, UnknownBlock, WriteFailed
from timecoin.storage.event_log import Chunk, EventLog, NotHeld, Place
from timecoin.storage.event_record import BlockRecord, EventRecord, TransactionRecord

T = TypeVar("T")
PAUSE = 0.01
"""Seconds between the beginnings of two writes, in which events gather."""
RETRY = 5.0
"""Seconds until a write that failed is tried again."""
MAX_BATCH = 2_000
"""Events in one write."""
MAX_QUEUE = 500_000
"""Events that wait for a disk that does not write; with more the stream ends."""
MAX_SCRIPTS = 500_000
"""Scripts remembered of transactions that are not settled."""
MAX_RETOLD_BLOCKS = 32
"""Blocks told again at a start, at most; when more are missing, a new stream begins."""

Event = TransactionChanged | BlockApplied


class Blocks(Protocol):
    """The chain as far as it is told again."""

    @property
    def ledger_height(self) -> int:
        """The height of the decided tip."""
        ...

    def block(self, height: int) -> Deferred[Block]:
        """A decided block; fails with ``UnknownBlock``."""
        ...


class ScriptsOf:
    """The scripts of transactions, remembered until they are settled, for events that come without a transaction."""

    def __init__(self, limit: int = MAX_SCRIPTS) -> None:
        self._limit = limit
        self._known: dict[bytes, tuple[bytes, ...]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __call__(self, event: TransactionChanged) -> tuple[bytes, ...]:
        """Those of the transaction that an event tells of; none when it is not known."""
        if event.status in (Status.ARCHIVED, Status.REJECTED):
            known = self._known.pop(event.txid, None)
            self._count -= len(known or ())
            return known if known is not None else () if event.tx is None else touched(event.tx)
        known = self._known.get(event.txid)
        if known is None and event.tx is not None:
            known = self._known[event.txid] = touched(event.tx)
            self._count += len(known)
            while self._count > self._limit:
                self._count -= len(self._known.pop(next(iter(self._known))))
        return known or ()


class EventService(Service):
    """A ``push.face.EventSource`` over ``feed``; ``path`` is the directory of the log."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        feed: Feed,
        blocks: Blocks,
        now_ms: Callable[[], int],
        *,
        max_bytes: int,
        max_events: int,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._feed = feed
        self._blocks = blocks
        self._now_ms = now_ms
        self._limits = (max_bytes, max_events)
        self._pool = ThreadPool(1, 1, name="events")
        self._log: EventLog
        self._scripts = ScriptsOf()
        self._queue: list[Event] = []
        self._unwritten: list[EventRecord] = []
        self._call: IDelayedCall | None = None
        self._writing: Deferred[None] | None = None
        self._next = 0.0
        self._overflowed = False
        self._listeners: tuple[EventListener, ...] = ()
        self._unlisten: Callable[[], None] = lambda: None
        self._held = Held("", 1, 0)
        self.size = 0
        self.retell = False
        """Statuses of what is unarchived may be missing in the log: the owner of the pool tells them again."""

    # Life cycle

    def startService(self) -> Deferred[None]:
        """Open the log and tell again what it lacks; fails with ``WriteFailed``."""
        super().startService()
        self._pool.start()
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            self._log = await self._in_thread(self._open)
        except BaseException:
            self._pool.stop()
            raise
        self._feed.last = self._log.last
        self._note()
        self._unlisten = self._feed.listen(self)
        await self._retell_blocks()
        self.retell = self.retell or self._log.torn

    def _open(self) -> EventLog:
        max_bytes, max_events = self._limits
        height = self._blocks.ledger_height
        return EventLog.open(self._path, max_bytes=max_bytes, max_events=max_events, height=height)

    async def _retell_blocks(self) -> None:
        told, tip = self._log.height, self._blocks.ledger_height
        if tip == told:
            return
        blocks: list[Block] = []
        try:
            if not 0 < tip - told <= MAX_RETOLD_BLOCKS:
                raise UnknownBlock
            for height in range(told + 1, tip + 1):
                blocks.append(await self._blocks.block(height))
        except UnknownBlock:
            self.log.info(
                "events: block {told} was told last, the tip is {tip}: a new stream begins", told=told, tip=tip
            )
            await self._in_thread(self._log.restart, tip, self._log.last)
            self._note()
            return
        for block in blocks:
            self._tell_block(block)
        self.retell = True

    def _tell_block(self, block: Block) -> None:
        header, now = block.header, self._now_ms()
        for tx in block.transactions[1:]:
            self._feed.transaction(tx.txid, Status.ARCHIVED, now, tx, header.height)
        self._feed.block(header.height, header.hash, header.epoch, header.closing, now)

    def stopService(self) -> Deferred[None]:
        """Write what waits, and close the log."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._unlisten()
        if self._call is not None and self._call.active():
            self._call.cancel()
        try:
            while self._writing is not None:
                await self._writing
            await self._in_thread(self._finish, self._queue)
        except WriteFailed:
            # Opened again it is seen to be torn, and what it lacks is told again.
            self.log.failure("the event log is not closed")
        finally:
            self._pool.stop()

    def _finish(self, rest: Sequence[Event]) -> None:
        if rest or self._unwritten:
            self._write(rest)
        self._log.close()

    def _in_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, work, *arguments)

    # From the feed

    def transaction(self, event: TransactionChanged) -> None:
        """A transaction has a new status."""
        self._queue.append(event)
        if self._call is None and self._writing is None:
            self._schedule()

    def block(self, event: BlockApplied) -> None:
        """A block was applied."""
        self._queue.append(event)
        if self._call is None and self._writing is None:
            self._schedule()

    def _schedule(self) -> None:
        self._call = self._reactor.callLater(max(0.0, self._next - self._reactor.seconds()), self._begin)

    def _begin(self) -> None:
        self._call = None
        self._next = self._reactor.seconds() + PAUSE
        batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        self._writing = Deferred()
        work = self._in_thread(self._write, batch)
        work.addCallbacks(self._written, self._failed)
        work.addErrback(lambda failure: self.log.failure("events are not told", failure))
        work.addBoth(self._ended)

    def _ended(self, _: object) -> None:
        ended, self._writing = self._writing, None
        if (self._queue or self._unwritten) and self.running:
            self._schedule()
        if ended is not None:
            ended.callback(None)

    # In the thread of the log

    def _write(self, batch: Sequence[Event]) -> list[EventRecord]:
        records = self._unwritten = self._unwritten + [self._record(event) for event in batch]
        if self._overflowed:
            self._log.restart(self._blocks.ledger_height, records[0].number - 1)
        self._log.append(records)
        self._unwritten = []
        return records

    def _record(self, event: Event) -> EventRecord:
        if isinstance(event, TransactionChanged):
            number, txid, status, time_ms, _, height, reason = event
            return TransactionRecord(number, time_ms, txid, status.value, height, reason, self._scripts(event))
        return BlockRecord(event.number, event.time_ms, event.block_hash, event.height, event.epoch, event.closing)

    # On the reactor again

    def _written(self, records: list[EventRecord]) -> None:
        if self._overflowed:
            self._overflowed = False
            self._note()
            for listener in self._listeners:
                listener.restarted()
        self._note()
        for listener in self._listeners:
            try:
                listener.published(records)
            except Exception:
                self.log.failure("events are not pushed")

    def _failed(self, failure: Failure) -> None:
        failure.trap(WriteFailed)
        self.log.error("events are not told, and tried again: {error}", error=failure.getErrorMessage())
        self._next = self._reactor.seconds() + RETRY
        if len(self._queue) + len(self._unwritten) > MAX_QUEUE:
            self._overflowed = True
            self._unwritten, self._queue = [], self._queue[-MAX_BATCH:]

    def _note(self) -> None:
        log = self._log
        self._held, self.size = Held(log.stream.hex(), log.first, log.last), log.size

    # For those who push

    @property
    def held(self) -> Held:
        """What can be had now."""
        return self._held

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Tell ``listener`` of all that is published from now on; returns a call that ends it."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple([each for each in self._listeners if each is not listener])

        return stop

    def read(self, after: int, place: Place | None = None, limit: int = 500) -> Deferred[Chunk]:
        """As ``EventLog.read``, but never more than what was published. Fails with ``NotHeld``."""
        through = self._held.last

        def cut(chunk: Chunk) -> Chunk:
            if chunk.through <= through:
                return chunk
            return Chunk([each for each in chunk.records if each.number <= through], through, chunk.place)

        def damaged(failure: Failure) -> Chunk:
            failure.trap(Damaged, OSError)
            self.log.failure("the event log does not read back: another stream begins", failure)
            self._overflowed = True
            raise NotHeld(self._held.last + 1, self._held.last)

        return self._in_thread(self._log.read, after, place, limit).addCallbacks(cut, damaged)
