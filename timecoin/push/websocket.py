"""The WebSocket transport: autobahn's server protocol on a connection that was an HTTP request.

Import it only once a reactor is installed: autobahn takes the one that there is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.web.http import Request
from zope.interface import implementer

from timecoin.push.calls import answer
from timecoin.push.hub import Hub
from timecoin.push.messages import ENCODE, Gap, GapNote, Position, PositionNote
from timecoin.push.sockets import LEAVE_TIME, bound_buffers
from timecoin.push.subscriber import Subscriber

MAX_MESSAGE = 128 << 10
"""Bytes of a client's message: a thousand topics fit."""
PING_EVERY, PING_TIMEOUT = 20, 20
"""Seconds."""
_HEAD, _TAIL = b'{"jsonrpc":"2.0","method":"event","params":', b"}"
_SECRET = b"authorization"
_LONG = 0.001
"""Seconds of a call after which the client has a rest."""
_log = Logger()


@implementer(IPushProducer)
class PushProtocol(WebSocketServerProtocol):
    """One client; a ``push.subscriber.Sink``."""

    factory: PushFactory
    transport: Any
    client: Subscriber | None = None
    _turn: IDelayedCall | None = None

    def __init__(self) -> None:
        WebSocketServerProtocol.__init__(self)
        self._calls: deque[bytes] = deque()

    def onOpen(self) -> None:
        """The handshake is done."""
        self.client = self.factory.hub.join(self)
        bound_buffers(self.transport, self.factory.hub.limits.buffer)
        self.transport.registerProducer(self, True)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A call."""
        if self.client is None:
            return
        if isBinary:
            self._close(1003, "messages are JSON in text frames")
            return
        self._calls.append(payload)
        if self._turn is None:
            self._take_call()
        if self._calls and self.client is not None:
            self.transport.pauseProducing()

    def _take_call(self) -> None:
        """One call, then a rest as long as it took: many that come together leave the node its time. None while the
        client does not read: answers may be much longer than calls."""
        self._turn = None
        if not self._calls or self.client is None or self.client.paused_at is not None:
            return
        began = self.factory.reactor.seconds()
        self._answer(self.client, self._calls.popleft())
        if self.client is None:
            return
        took = self.factory.reactor.seconds() - began
        if self._calls or took > _LONG:
            self._turn = self.factory.reactor.callLater(took, self._take_call)
        if not self._calls and self.client.paused_at is None:
            self.transport.resumeProducing()

    def _answer(self, client: Subscriber, call: bytes) -> None:
        try:
            reply = answer(self.factory.hub, client, call)
        except Exception:
            _log.failure("a push client's call failed")
            self._close(1011, "internal error")
            return
        if reply is not None:
            self.sendMessage(reply)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The client is gone."""
        self._leave()
        self.factory.protocols.discard(self)

    def _leave(self) -> None:
        client, self.client = self.client, None
        self._calls.clear()
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        self._turn = None
        if client is not None:
            self.factory.hub.left(client)
            self.transport.unregisterProducer()

    # Producer: as long as the client does not read, nothing is said, and no call is taken.

    def pauseProducing(self) -> None:
        """The client does not read as fast as it is told."""
        if self.client is not None:
            self.transport.pauseProducing()
            self.factory.hub.pause(self.client)

    def resumeProducing(self) -> None:
        """It has read everything."""
        if self.client is None:
            return
        if not self._calls:
            self.transport.resumeProducing()
        self.factory.hub.resume(self.client)
        if self._turn is None:
            self._take_call()

    def stopProducing(self) -> None:
        """It is gone."""

    # Sink

    def event(self, number: int, kind: str, payload: bytes) -> None:
        """An event."""
        self.sendMessage(_HEAD + payload + _TAIL)

    def position(self, stream: str, number: int) -> None:
        """How far it was told everything."""
        self.sendMessage(ENCODE(PositionNote(Position(stream, number))))

    def gap(self, gap: Gap) -> None:
        """What it wants next is not held."""
        self.sendMessage(ENCODE(GapNote(gap)))
        self._close(4410, "gap")

    def cut(self) -> None:
        """It does not read."""
        self._close(1008, "too slow")

    def leave(self) -> None:
        """The node stops."""
        self._close(1001, "the node stops")

    def _close(self, code: int, reason: str) -> None:
        self._leave()
        # Nothing is read of a client that is paused, and its answer is waited for.
        self.transport.resumeProducing()
        # sendClose takes no code of RFC 6455 but 1000.
        self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)


class _Timer:
    """A call to come, which may be cancelled at any time."""

    def __init__(self, call: IDelayedCall) -> None:
        self._call = call

    def cancel(self) -> None:
        """Take it back, if it has not come yet."""
        if self._call.active():
            self._call.cancel()


class _Timers:
    """Timers of one reactor, as autobahn asks for them (``txaio.IBatchedTimer``)."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def call_later(self, delay: float, work: Callable[..., object], *arguments: Any, **named: Any) -> _Timer:
        """Call ``work`` after ``delay`` seconds."""
        return _Timer(self._reactor.callLater(delay, work, *arguments, **named))


class PushFactory(WebSocketServerFactory):
    """Makes the protocols; ``protocols`` are those whose connection is open."""

    def __init__(self, reactor: Any, hub: Hub) -> None:
        WebSocketServerFactory.__init__(self, reactor=reactor)
        self.hub = hub
        self.protocols: set[PushProtocol] = set()
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=MAX_MESSAGE,
            maxMessagePayloadSize=MAX_MESSAGE,
            autoPingInterval=PING_EVERY,
            autoPingTimeout=PING_TIMEOUT,
            openHandshakeTimeout=5,
            closeHandshakeTimeout=LEAVE_TIME,
            failByDrop=False,
            tcpNoDelay=True,
            # Compression would cost memory and time for each client.
            perMessageCompressionAccept=lambda offers: None,
        )
        # Whatever reactor autobahn is given, its own timers are those of the process's.
        self._batched_timer = _Timers(reactor)

    def take(self, request: Request, channel: Any) -> None:
        """Go on with the connection of an HTTP request, which asks for WebSocket."""
        protocol = PushProtocol()
        protocol.factory = self
        self.protocols.add(protocol)
        channel.hand_over(protocol)
        protocol.dataReceived(_again(request))


def _again(request: Request) -> bytes:
    lines = [b"%b %b %b" % (request.method, request.uri, request.clientproto)]
    for name, values in request.requestHeaders.getAllRawHeaders():
        if name.lower() != _SECRET:
            lines += [name + b": " + value for value in values]
    return b"\r\n".join([*lines, b"", b""])
