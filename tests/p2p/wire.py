"""Two protocols joined in memory, with pausing, bounded buffers and both ways of closing, as over TCP."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

BUFFER = 65_536


@implementer(ITransport)
class WireTransport:
    """One end. What is written waits in ``out`` until the wire is pumped."""

    def __init__(self, protocol: IProtocol, host: IPv4Address, peer: IPv4Address) -> None:
        self.protocol = protocol
        self.out = bytearray()
        self.written = 0
        self.highest = 0
        self.paused = self.closing = self.aborted = self.lost = False
        self.producer: IPushProducer | None = None
        self._host, self._peer = host, peer

    def write(self, data: bytes) -> None:
        if (self.closing and self.producer is None) or self.lost:
            return
        self.out += data
        self.written += len(data)
        self.highest = max(self.highest, len(self.out))
        if self.producer is not None and len(self.out) > BUFFER:
            self.producer.pauseProducing()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def take(self, limit: int) -> bytes:
        data = bytes(self.out[:limit])
        del self.out[:limit]
        if not self.out and self.producer is not None:
            self.producer.resumeProducing()
        return data

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        assert self.producer is None and streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        self.closing = True

    def abortConnection(self) -> None:
        self.aborted = self.closing = True
        self.out.clear()

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._peer


class Wire:
    """A connection between a client's and a server's protocol. ``cut`` ends it like a pulled cable's RST."""

    def __init__(
        self,
        client: IProtocol,
        server: IProtocol,
        client_address: IPv4Address | None = None,
        server_address: IPv4Address | None = None,
    ) -> None:
        near = client_address or IPv4Address("TCP", "127.0.0.1", 40000)
        far = server_address or IPv4Address("TCP", "127.0.0.1", 24100)
        self.client = WireTransport(client, near, far)
        self.server = WireTransport(server, far, near)
        self.stalled = False
        for end in (self.client, self.server):
            end.protocol.makeConnection(end)

    @property
    def open(self) -> bool:
        return not (self.client.lost and self.server.lost)

    def pump(self, limit: int = 1 << 20) -> bool:
        """Carry what can be carried once; tell whether anything happened."""
        if not self.open:
            return False
        if self.stalled:
            return self._abort(self.client) | self._abort(self.server)
        moved = self._carry(self.client, self.server, limit) | self._carry(self.server, self.client, limit)
        for end, other in ((self.client, self.server), (self.server, self.client)):
            if end.closing and (end.aborted or not end.out) and not end.lost:
                self._lose(end)
                self._lose(other, end)
                return True
        return moved

    def _carry(self, source: WireTransport, target: WireTransport, limit: int) -> bool:
        if not source.out or target.paused or target.lost:
            return False
        target.protocol.dataReceived(source.take(limit))
        return True

    def _abort(self, end: WireTransport) -> bool:
        if not end.aborted or end.lost:
            return False
        self._lose(end)
        return True

    def _lose(self, end: WireTransport, because: WireTransport | None = None) -> None:
        if end.lost:
            return
        end.lost = True
        error = ConnectionAborted() if (because or end).aborted else ConnectionDone()
        end.protocol.connectionLost(Failure(error))

    def cut(self) -> None:
        self._lose(self.client)
        self._lose(self.server)


def pump_all(wires: Iterable[Wire]) -> bool:
    """Pump each wire once; tell whether anything happened on any."""
    return sum(wire.pump() for wire in wires) > 0


def settle(clock: Clock, *wires: Wire, rounds: int = 400) -> None:
    """Pump until nothing moves; the reactor's turns pass, time does not."""
    for _ in range(rounds):
        clock.advance(0)
        if not pump_all(wires):
            clock.advance(0)
            if not pump_all(wires):
                return
    raise AssertionError("the wires never came to rest")
