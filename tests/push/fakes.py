"""An event source in memory and what else stands in for the node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from timecoin.push.face import EventListener, Held
from timecoin.push.messages import Gap
from timecoin.storage.event_log import Chunk, NotHeld, Place
from timecoin.storage.event_record import BlockRecord, EventRecord, TransactionRecord

STREAM = "ab" * 16


def txid(number: int) -> bytes:
    return number.to_bytes(32, "little")


def script(number: int) -> bytes:
    return b"\x00\x14" + number.to_bytes(20, "big")


def change(number: int, status: str = "final", tx: int = 1, scripts: Sequence[int] = ()) -> TransactionRecord:
    return TransactionRecord(number, 1_000 + number, txid(tx), status, None, None, tuple(map(script, scripts)))


def block(number: int, height: int = 1) -> BlockRecord:
    return BlockRecord(number, 1_000 + number, b"h" * 32, height, 2, True)


class Source:
    """Events in a list; ``hold`` makes readings wait."""

    def __init__(self) -> None:
        self.records: list[EventRecord] = []
        self.first = 1
        self.stream = STREAM
        self.listeners: list[EventListener] = []
        self.hold = False
        self.held_back: list[Callable[[], None]] = []
        self.readings = 0

    @property
    def held(self) -> Held:
        return Held(self.stream, self.first, self.records[-1].number if self.records else self.first - 1)

    def listen(self, listener: EventListener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def publish(self, *records: EventRecord) -> None:
        self.records += records
        for listener in self.listeners:
            listener.published(records)

    def read(self, after: int, place: Place | None = None, limit: int = 3) -> Deferred[Chunk]:
        self.readings += 1
        answer: Deferred[Chunk] = Deferred()

        def go() -> None:
            if not self.first - 1 <= after <= self.held.last:
                answer.errback(NotHeld(self.first, self.held.last))
                return
            found = [each for each in self.records if each.number > after][:3]
            answer.callback(Chunk(found, found[-1].number if found else self.held.last, Place(1, 0)))

        if self.hold:
            self.held_back.append(go)
        else:
            go()
        return answer

    def release(self) -> None:
        waiting, self.held_back = self.held_back, []
        for go in waiting:
            go()


class NotedSink:
    """Keeps what a client is told."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, bytes]] = []
        self.positions: list[int] = []
        self.gaps: list[Gap] = []
        self.words: list[str] = []
        self.on_event: Callable[[int], None] = lambda number: None

    @property
    def numbers(self) -> list[int]:
        return [number for number, _, _ in self.events]

    def event(self, number: int, kind: str, payload: bytes) -> None:
        self.events.append((number, kind, payload))
        self.on_event(number)

    def position(self, stream: str, number: int) -> None:
        self.positions.append(number)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def cut(self) -> None:
        self.words.append("cut")

    def leave(self) -> None:
        self.words.append("leave")
