"""One client: what it subscribed to, how far it was told, and whether it reads.

Nothing is kept for a client that does not read: it falls behind, and is told the rest from the log once it reads again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from timecoin.push.messages import ENCODE, Gap, event_of
from timecoin.push.topics import Topic, TopicIndex
from timecoin.storage.event_log import Place
from timecoin.storage.event_record import BlockRecord, EventRecord

Cache = dict[tuple[str, ...], bytes]
"""One event as clients are told it, by their topics."""


class Sink(Protocol):
    """How a client is told things; a transport implements it."""

    def event(self, number: int, kind: str, payload: bytes) -> None:
        """An event: ``payload`` is its JSON, ``kind`` its type."""
        ...

    def position(self, stream: str, number: int) -> None:
        """It was told everything up to ``number``."""
        ...

    def gap(self, gap: Gap) -> None:
        """What it wants next is not held: say so and close."""
        ...

    def cut(self) -> None:
        """It is too slow: say so and close."""
        ...

    def leave(self) -> None:
        """The node stops: say so and close."""
        ...


class Subscriber:
    """A client's state. ``live``: told events as they come; else it is told from the log, after ``cursor``.

    ``paused_at``: since when it takes nothing (reactor's seconds), None while it does.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.topics: dict[str, Topic] = {}
        self.live = True
        self.cursor = 0
        self.place: Place | None = None
        self.replaying = False
        self.closed = False
        self.paused_at: float | None = None
        self.told = 0
        self._starts: dict[str, int] = {}
        self._index: TopicIndex[None] = TopicIndex()

    def position(self, head: int) -> int:
        """The number up to which it was told everything; ``head`` is the newest one."""
        return head if self.live else self.cursor

    # Topics

    def subscribe(self, topics: Iterable[Topic], since: int | None, head: int) -> None:
        """Tell of these topics' events after ``since``, by default of those to come."""
        position = self.position(head)
        start = head if since is None else since
        for name in self._starts:
            self._starts[name] = max(self._starts[name], position)
        for topic in topics:
            if topic.name not in self.topics:
                self.topics[topic.name] = topic
                self._index.add(None, topic)
            self._starts[topic.name] = start
        if start < position:
            self.fall_behind(start)

    def unsubscribe(self, topics: Iterable[Topic]) -> None:
        """Tell no more of topics that are subscribed to."""
        for topic in topics:
            self._index.remove(None, self.topics.pop(topic.name))
            del self._starts[topic.name]

    # Telling

    def fall_behind(self, number: int) -> None:
        """It is told what comes after ``number`` from the log."""
        self.live, self.cursor, self.place = False, number, None

    def deliver(self, record: EventRecord, names: list[str], cache: Cache) -> bool:
        """An event that has just come, if it keeps up; tells whether it was told."""
        if not self.live:
            return False
        if self.paused_at is not None:
            self.fall_behind(record.number - 1)
            return False
        self._tell(record, names, cache)
        return True

    def replay(self, record: EventRecord) -> bool:
        """The next event of the log; tells whether it was for this client."""
        self.cursor = record.number
        starts = self._starts
        names = [name for name in self._index.find(record).get(None, ()) if record.number > starts[name]]
        if names:
            self._tell(record, names, {})
        return bool(names)

    def _tell(self, record: EventRecord, names: list[str], cache: Cache) -> None:
        payload = cache.get(key := tuple(names))
        if payload is None:
            payload = cache[key] = ENCODE(event_of(record, names))
        self.told += 1
        self.sink.event(record.number, "block" if isinstance(record, BlockRecord) else "transaction", payload)
