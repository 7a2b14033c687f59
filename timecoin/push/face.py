"""What push needs of the node: its events, numbered and on disk (implemented by ``node.event_service``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from timecoin.storage.event_log import Chunk, Place
from timecoin.storage.event_record import EventRecord


class Held(NamedTuple):
    """The stream's identity in hex, and the numbers of the oldest and the newest event that can be had of it."""

    stream: str
    first: int
    last: int


class EventListener(Protocol):
    """Hears of events once they are in the log, on the reactor's thread, in order."""

    def published(self, records: Sequence[EventRecord]) -> None:
        """New ones."""
        ...

    def restarted(self) -> None:
        """The stream ended, because events could not be written: what follows belongs to another."""
        ...


class EventSource(Protocol):
    """The events of the node."""

    @property
    def held(self) -> Held:
        """What can be had now; all up to its ``last`` was told to who listens."""
        ...

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Tell ``listener`` of all that is published from now on; returns a call that ends it."""
        ...

    def read(self, after: int, place: Place | None = None, limit: int = 500) -> Deferred[Chunk]:
        """As ``EventLog.read``, but never more than what was published. Fails with ``NotHeld``."""
        ...
