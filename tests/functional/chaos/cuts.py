"""Links between nodes that can be cut, slowed or made to stall: one proxy port for each pair and direction of dialling.

Node i reaches node j only through the port of (i, j). What happens to bytes depends on who sends them to whom,
whoever dialled, so cuts can be one-way and partial. No privileges are needed.

A *silent* cut drops what is sent, as a failed router does, and TCP notices nothing: when it is over, a connection
goes on with the sender's next retransmission, and a dial with its next SYN, both as late as Linux would send
them. A cut with *resets* ends connections and refuses dials at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.cli.devnet_files import HOST

reactor: Any = _reactor
Way = tuple[int, int]

#: Linux sends again after 0.2 s, then doubles, up to two minutes (RFC 6298 with Linux' smallest time-out).
FIRST_RETRANSMISSION, LAST_RETRANSMISSION = 0.2, 120.0
#: A SYN is sent again after a second, then doubles.
FIRST_SYN = 1.0
_HELD_BYTES = 256 * 1024


def next_retransmission(begun: float, now: float, first: float = FIRST_RETRANSMISSION) -> float:
    """When a sender without an answer since ``begun`` sends again, for the first time that is not before ``now``."""
    at, pause = begun, first
    while at < now:
        at += pause
        pause = min(2 * pause, LAST_RETRANSMISSION)
    return at


@dataclass
class Weather:
    """How it is on the way from one node to another.

    ``silent``: what is sent is lost; ``refused``: connections are reset; ``delay`` in seconds; ``stalls``: the
    chance that a piece of data waits for a retransmission.
    """

    silent: bool = False
    refused: bool = False
    delay: float = 0.0
    stalls: float = 0.0


class Links:
    """All links of a network of ``ports`` (node number → its P2P port), each clear at first."""

    def __init__(self, ports: Iterable[int], seed: int) -> None:
        self._targets = list(ports)
        count = len(self._targets)
        self._weather = {(a, b): Weather() for a in range(count) for b in range(count) if a != b}
        self.dice = random.Random(seed)
        self.ports: dict[Way, Any] = {}
        self.connections: set[_Connection] = set()
        self.carried = 0

    def open(self) -> dict[Way, int]:
        """Listen; the port that node a dials to reach node b, by (a, b)."""
        for way in self._weather:
            self.ports[way] = reactor.listenTCP(0, _Accepting(self, way), interface=HOST)
        return {way: port.getHost().port for way, port in self.ports.items()}

    async def close(self) -> None:
        """End everything."""
        for port in self.ports.values():
            await port.stopListening()
        for connection in tuple(self.connections):
            connection.reset()

    def weather(self, a: int, b: int) -> Weather:
        """On the way from ``a`` to ``b``; what is changed takes effect with :meth:`changed`."""
        return self._weather[(a, b)]

    def real_port(self, number: int) -> int:
        """Where a node itself listens."""
        return self._targets[number]

    def changed(self) -> None:
        """Let connections see the weather."""
        for connection in tuple(self.connections):
            connection.look()

    # Cuts

    def between(self, here: Iterable[int], there: Iterable[int]) -> list[Way]:
        """The ways from ``here`` to ``there``."""
        targets = list(there)
        return [(a, b) for a in here for b in targets if a != b]

    def set(self, ways: Iterable[Way], **changes: Any) -> None:
        """Change the weather of some ways: fields of :class:`Weather`."""
        for way in ways:
            for name, value in changes.items():
                setattr(self._weather[way], name, value)
        self.changed()

    def clear(self, ways: Iterable[Way]) -> None:
        """Fair weather again."""
        for way in ways:
            self._weather[way] = Weather()
        self.changed()


class _Accepting(Factory):
    noisy = False

    def __init__(self, links: Links, way: Way) -> None:
        self._links, self._way = links, way

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return _Connection(self._links, self._way).near


class _Connection:
    """One TCP connection through a link: the dialler's side is ``near``, the other one ``far``."""

    def __init__(self, links: Links, way: Way) -> None:
        self.links, self.way = links, way
        there, back = links.weather(*way), links.weather(way[1], way[0])
        self._ways = way, (way[1], way[0])
        self._begun = reactor.seconds()
        self._dialled = self._ended = False
        self._syn: Any = None
        self.near, self.far = _Side(self), _Side(self)
        self.pipes = _Pipe(self, self.far, there), _Pipe(self, self.near, back)
        self.near.pipe, self.far.pipe = self.pipes
        links.connections.add(self)

    def accepted(self) -> None:
        """The dialler is there."""
        if self._weather()[0].refused or self._weather()[1].refused:
            self.reset()
        elif not any(each.silent for each in self._weather()):
            self._dial()

    def _weather(self) -> tuple[Weather, Weather]:
        return self.links.weather(*self._ways[0]), self.links.weather(*self._ways[1])

    def _dial(self) -> None:
        if self._dialled or self._ended:
            return
        if any(each.silent for each in self._weather()):
            return
        self._dialled = True
        endpoint = TCP4ClientEndpoint(reactor, HOST, self.links.real_port(self.way[1]), timeout=10)
        endpoint.connect(_Given(self.far)).addErrback(lambda _: self.reset())

    def look(self) -> None:
        """The weather has changed."""
        weather = self._weather()
        if any(each.refused for each in weather):
            self.reset()
            return
        waits = self._syn is not None and self._syn.active()
        if not (self._dialled or waits or any(each.silent for each in weather)):
            now = reactor.seconds()
            self._syn = reactor.callLater(next_retransmission(self._begun, now, FIRST_SYN) - now, self._dial)
        for pipe, each in zip(self.pipes, weather, strict=True):
            pipe.look(each)

    def opened(self) -> None:
        """The far side is there: what the dialler said meanwhile goes on."""
        if self._ended:
            self.reset()
        for pipe in self.pipes:
            pipe.pump()

    def finished(self) -> None:
        """One side has ended, and the other one was told."""
        self._ended = True
        self.links.connections.discard(self)

    def reset(self) -> None:
        """End both sides at once."""
        self.finished()
        for pipe in self.pipes:
            pipe.end()
        if self._syn is not None and self._syn.active():
            self._syn.cancel()
        for side in (self.near, self.far):
            transport: Any = side.transport
            if transport is not None:
                transport.abortConnection()


class _Given(Factory):
    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return self._protocol


class _Side(Protocol):
    """One socket; what comes in goes into ``pipe``."""

    pipe: _Pipe

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.lost = False

    def connectionMade(self) -> None:
        """The socket is open."""
        transport: Any = self.transport
        transport.setTcpNoDelay(True)
        connection = self._connection
        for pipe in connection.pipes:
            if pipe.to is self:
                transport.registerProducer(pipe, True)
        if self is connection.near:
            connection.accepted()
        else:
            connection.opened()

    def dataReceived(self, data: bytes) -> None:
        """Bytes for the other side."""
        self.pipe.put(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other side hears of it in its turn, and not while the way is cut."""
        self.lost = True
        self.pipe.put(None)


@implementer(IPushProducer)
class _Pipe:
    """One direction of a connection. ``None`` in the queue is its end."""

    def __init__(self, connection: _Connection, to: _Side, weather: Weather) -> None:
        self.to = to
        self._connection = connection
        self._weather = weather
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._size = 0
        self._last_due = 0.0
        self._cut_off_at: float | None = None
        self._resume_at = 0.0
        self._paused = self._held = self._ended = False
        self._call: Any = None

    def put(self, data: bytes | None) -> None:
        """Take a piece; it leaves in its turn."""
        if self._ended:
            return
        now = reactor.seconds()
        due = now + self._weather.delay
        if self._weather.stalls and self._connection.links.dice.random() < self._weather.stalls:
            due += FIRST_RETRANSMISSION
        self._last_due = due = max(due, self._last_due)
        if self._weather.silent and self._cut_off_at is None:
            self._cut_off_at = now
        self._queue.append((due, data))
        self._size += len(data or b"")
        self._connection.links.carried += len(data or b"")
        self._hold()
        self.pump()

    def look(self, weather: Weather) -> None:
        """The weather has changed."""
        self._weather = weather
        if not weather.silent and self._cut_off_at is not None:
            self._resume_at = next_retransmission(self._cut_off_at, reactor.seconds())
            self._cut_off_at = None
        elif weather.silent and self._queue and self._cut_off_at is None:
            self._cut_off_at = reactor.seconds()
        self.pump()

    def pump(self) -> None:
        """Pass on what is due."""
        if self.to.transport is None or (self.to.lost and not self._queue):
            return
        now = reactor.seconds()
        while self._queue and not (self._paused or self._weather.silent):
            due = max(self._queue[0][0], self._resume_at)
            if due > now:
                self._call_at(due - now)
                break
            self._pass(self._queue.popleft()[1])
        self._hold()

    def _pass(self, data: bytes | None) -> None:
        transport: Any = self.to.transport
        if data is None:
            transport.unregisterProducer()
            transport.loseConnection()
            self._connection.finished()
        elif not self.to.lost:
            self._size -= len(data)
            transport.write(data)

    def _call_at(self, delay: float) -> None:
        if self._call is None or not self._call.active():
            self._call = reactor.callLater(delay, self.pump)

    def end(self) -> None:
        """Nothing more is passed on."""
        self._ended = True
        self._queue.clear()
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _hold(self) -> None:
        """Read no more than a kernel's buffers would take."""
        full = self._size > _HELD_BYTES
        if full == self._held:
            return
        self._held = full
        source = self._connection.near if self.to is self._connection.far else self._connection.far
        transport: Any = source.transport
        if transport is not None and not source.lost:
            (transport.pauseProducing if full else transport.resumeProducing)()

    # IPushProducer, for the transport that it writes to

    def pauseProducing(self) -> None:
        """The receiver is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The receiver has room."""
        self._paused = False
        self.pump()

    def stopProducing(self) -> None:
        """The receiver is gone."""
        self._queue.clear()
