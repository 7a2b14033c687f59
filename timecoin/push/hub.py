"""Who is told what: clients with their subscriptions, fed with events as they are published and from the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from timecoin.push.face import EventSource
from timecoin.push.messages import Gap
from timecoin.push.subscriber import Cache, Sink, Subscriber
from timecoin.push.topics import Topic, TopicIndex
from timecoin.storage.event_log import Chunk, NotHeld
from timecoin.storage.event_record import EventRecord

LIVE = 0.02
"""Seconds in one turn of the reactor in which clients are told of events as they come."""
READERS = 4
"""Readings of the log under way at a time, for all clients."""
LOOK = 1.0
"""Seconds between two looks at clients that take nothing."""
POSITION_EVERY = 15
"""Looks after which each client is told how far it was told everything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds: clients; topics of one and of all; bytes that wait for one client; seconds in which it takes nothing."""

    clients: int = 1_000
    topics: int = 1_000
    all_topics: int = 100_000
    buffer: int = 65_536
    patience: float = 10.0


@dataclass(slots=True)
class Counts:
    """Figures: events sent, clients cut for being slow, clients told of a gap."""

    sent: int = 0
    cut: int = 0
    gaps: int = 0


class TooMany(Exception):
    """A limit is reached; the text says which."""


class OtherStream(NotHeld):
    """The number is one of another stream."""


class Hub:
    """All clients. ``hrp``: with what addresses begin."""

    log = Logger()

    def __init__(self, reactor: Any, source: EventSource, hrp: str, limits: Limits) -> None:
        self._reactor = reactor
        self.source = source
        self.hrp = hrp
        self.limits = limits
        self.counts = Counts()
        self.clients: dict[Subscriber, int] = {}
        self._joined = 0
        self._index: TopicIndex[Subscriber] = TopicIndex()
        self._paused: dict[Subscriber, None] = {}
        self._readers = DeferredSemaphore(READERS)
        self._looks = 0
        self._look_call = LoopingCall(self._look)
        self._look_call.clock = reactor
        self._unlisten: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Hear of events."""
        self._unlisten = self.source.listen(self)
        self._look_call.start(LOOK, now=False)

    def stop(self) -> None:
        """Every client is told to come back later."""
        self._unlisten()
        if self._look_call.running:
            self._look_call.stop()
        for client in tuple(self.clients):
            client.sink.leave()

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all clients."""
        return len(self._index)

    # Clients

    @property
    def is_full(self) -> bool:
        """Are there as many clients as may be?"""
        return len(self.clients) >= self.limits.clients

    def join(self, sink: Sink) -> Subscriber:
        """A client came."""
        client = Subscriber(sink)
        self._joined += 1
        self.clients[client] = self._joined
        return client

    def left(self, client: Subscriber) -> None:
        """It is gone."""
        client.closed = True
        self._paused.pop(client, None)
        if self.clients.pop(client, None) is not None:
            for topic in client.topics.values():
                self._index.remove(client, topic)

    def subscribe(self, client: Subscriber, topics: Sequence[Topic], since: int | None, stream: str | None) -> int:
        """Returns the number after which events are told. Raises ``NotHeld`` and ``TooMany``: nothing is changed."""
        held = self.source.held
        if since is not None and (stream or held.stream) != held.stream:
            raise OtherStream(held.first, held.last)
        if since is not None and not held.first - 1 <= since <= held.last:
            raise NotHeld(held.first, held.last)
        new = {topic.name: topic for topic in topics if topic.name not in client.topics}
        if len(client.topics) + len(new) > self.limits.topics:
            raise TooMany(f"at most {self.limits.topics} topics of a client")
        if len(self._index) + len(new) > self.limits.all_topics:
            raise TooMany(f"at most {self.limits.all_topics} topics of all clients")
        for topic in new.values():
            self._index.add(client, topic)
        client.subscribe(topics, since, held.last)
        self._reactor.callLater(0, self._catch_up, client)
        return held.last if since is None else since

    def unsubscribe(self, client: Subscriber, topics: Sequence[Topic]) -> None:
        """Of topics that are subscribed to."""
        for topic in topics:
            self._index.remove(client, topic)
        client.unsubscribe(topics)

    def pause(self, client: Subscriber) -> None:
        """The client's buffer is full."""
        client.paused_at = self._reactor.seconds()
        self._paused[client] = None

    def resume(self, client: Subscriber) -> None:
        """The client has taken all of it."""
        client.paused_at = None
        self._paused.pop(client, None)
        self._catch_up(client)

    # Events

    def published(self, records: Sequence[EventRecord]) -> None:
        """Tell whoever keeps up and subscribed to it."""
        if not len(self._index):
            return
        end = self._reactor.seconds() + LIVE
        for record in records:
            found = self._index.find(record)
            if found:
                self._deliver(record, found)
            if self._reactor.seconds() >= end:
                self._fall_behind(record.number)
                return

    def _fall_behind(self, number: int) -> None:
        """All were told up to ``number``; the rest they are told from the log, a few clients at a time."""
        for client in self.clients:
            if client.live and client.topics:
                client.fall_behind(number)
                self._reactor.callLater(0, self._catch_up, client)

    def _deliver(self, record: EventRecord, found: dict[Subscriber, list[str]]) -> None:
        cache: Cache = {}
        for client, names in found.items():
            try:
                self.counts.sent += client.deliver(record, names, cache)
            except Exception:
                self.log.failure("a client cannot be told of an event")

    def restarted(self) -> None:
        """What clients know of numbers is void."""
        for client in tuple(self.clients):
            self._gap(client)

    def _gap(self, client: Subscriber) -> None:
        self.counts.gaps += 1
        client.sink.gap(Gap(*self.source.held))

    # Those who are behind

    def _catch_up(self, client: Subscriber) -> None:
        if not (client.live or client.replaying or client.closed):
            client.replaying = True
            work = Deferred.fromCoroutine(self._replay(client))
            work.addErrback(lambda failure: self._broken(client, failure))

    def _broken(self, client: Subscriber, failure: Any) -> None:
        client.replaying = False
        self.log.failure("a client cannot be told what it missed", failure)
        self._gap(client)

    async def _replay(self, client: Subscriber) -> None:
        while not (client.closed or client.paused_at is not None):
            if client.cursor >= self.source.held.last:
                client.live = True
                break
            asked = client.cursor
            try:
                chunk = await self._readers.run(self.source.read, asked, client.place)
            except NotHeld:
                if not client.closed:
                    self._gap(client)
                break
            # A subscription may have asked for older events meanwhile.
            if client.cursor == asked:
                self._take(client, chunk)
        client.replaying = False

    def _take(self, client: Subscriber, chunk: Chunk) -> None:
        for record in chunk.records:
            if client.closed or client.paused_at is not None:
                return
            if record.number > client.cursor:
                self.counts.sent += client.replay(record)
        client.cursor, client.place = max(client.cursor, chunk.through), chunk.place

    # Those who take nothing

    def _look(self) -> None:
        before = self._reactor.seconds() - self.limits.patience
        for client in [each for each in self._paused if each.paused_at is not None and each.paused_at <= before]:
            self.counts.cut += 1
            del self._paused[client]
            client.sink.cut()
        self._looks += 1
        self._tell_positions()

    def _tell_positions(self) -> None:
        held, turn = self.source.held, self._looks % POSITION_EVERY
        for client, number in self.clients.items():
            if number % POSITION_EVERY == turn and client.paused_at is None:
                client.sink.position(held.stream, client.position(held.last))
