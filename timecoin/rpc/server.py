"""JSON-RPC over HTTP: twisted.web's protocol with limits, and a short cut for the usual request (``quick``).

A connection has one request under way; pipelined ones wait their turn, and the client is slowed by TCP when
they pile up. Limits: connections, size of a request, time to send one. Who does not authenticate gets 401
before any of the body is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http

from timecoin.rpc.cookie import Cookie
from timecoin.rpc.dispatch import Dispatcher, Reply
from timecoin.rpc.quick import recognise

_REFUSAL_DELAY = 0.25
_MAX_HELD = 1 << 16
_REASONS = {code: http.RESPONSES.get(code, b"") for code in (200, 204, 400, 401, 403, 404, 405, 413, 500, 503)}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on clients; ``timeout`` in seconds."""

    connections: int = 128
    request_bytes: int = 32 << 20
    timeout: int = 30


def head(status: int, length: int, more: bytes = b"") -> bytes:
    """The head of a response with a JSON body of ``length`` bytes."""
    return b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n" % (
        status,
        _REASONS[status],
        more,
        length,
    )


class RpcRequest(http.Request):
    """A request that took the long way; a refused one is answered at its head, its body is dropped."""

    channel: RpcChannel
    content: Any
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """The head is complete: refuse here what will not be answered."""
        self.content = BytesIO()
        header = self.requestHeaders.getRawHeaders(b"authorization", [b""])[-1]
        if not self.channel.factory.cookie.admits(header):
            self._refuse(401, b'WWW-Authenticate: Basic realm="jsonrpc"\r\n', _REFUSAL_DELAY)
        elif length is not None and length > self.channel.factory.limits.request_bytes:
            self._refuse(413)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body; a chunked one is measured as it grows."""
        if self._refused:
            return
        self.content.write(data)
        if self.content.tell() > self.channel.factory.limits.request_bytes:
            self.content = BytesIO()
            self._refuse(413)

    def process(self) -> None:
        """The request is complete."""
        if self._refused:
            return
        if self.path != b"/":
            self._reply(Reply(404, b""))
        elif self.method != b"POST":
            self._reply(Reply(405, b"JSONRPC server handles only POST requests"))
        else:
            self._answer(self.content.read())

    def _answer(self, body: bytes) -> None:
        answer = self.channel.factory.dispatcher.answer(body)
        if isinstance(answer, Reply):
            self._reply(answer)
            return
        self.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addCallback(self._reply)

    def _reply(self, reply: Reply) -> None:
        if self._disconnected or self.finished:
            return
        self.setResponseCode(reply.status)
        self.setHeader(b"content-type", b"application/json")
        self.setHeader(b"content-length", b"%d" % len(reply.body))
        self.write(reply.body)
        self.finish()

    def _refuse(self, status: int, more: bytes = b"", delay: float = 0) -> None:
        self._refused = True
        self.channel.refuse(head(status, 0, more + b"Connection: close\r\n"), delay)


class RpcChannel(http.HTTPChannel):
    """One client's connection.

    It is *clean* while no byte of a request is in twisted.web's hands; only then is the short cut tried.
    """

    requestFactory = RpcRequest
    factory: RpcFactory
    transport: Any
    _clean = True
    _refusing = False
    _begun = 0.0
    _answering: Deferred[Any] | None = None

    def __init__(self) -> None:
        http.HTTPChannel.__init__(self)
        self._held: list[bytes] = []
        self._held_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._refusing:
            return
        if self._answering is not None:
            self._hold(data)
            return
        if self._clean:
            data = self._quick(data)
            if not data:
                self.resetTimeout()
                return
            self._clean, self._begun = False, self.factory.reactor.seconds()
        elif self._is_too_slow():
            self.transport.abortConnection()
            return
        http.HTTPChannel.dataReceived(self, data)

    def requestDone(self, request: http.Request) -> None:
        """twisted.web has answered; what it holds of the next request may take the short cut."""
        http.HTTPChannel.requestDone(self, request)
        self._begun = self.factory.reactor.seconds()
        if not self.requests and self.persistent:
            rest = self.clearLineBuffer()
            self._clean = True
            if rest:
                self.dataReceived(rest)

    def timeoutConnection(self) -> None:
        """The client was silent for long; while it waits for an answer that is its right."""
        if self._answering is not None:
            self.setTimeout(self.timeOut)
        else:
            http.HTTPChannel.timeoutConnection(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone: nobody needs the answer."""
        self.factory.left(self)
        if self._answering is not None:
            self._answering.cancel()
        http.HTTPChannel.connectionLost(self, reason)

    def refuse(self, response: bytes, delay: float) -> None:
        """Answer with ``response`` after ``delay`` seconds and close; nothing more is read from the
        client."""
        self._refusing = True
        self.transport.pauseProducing()
        self.factory.reactor.callLater(delay, self._close_with, response)

    def _close_with(self, response: bytes) -> None:
        self.transport.write(response)
        self.loseConnection()

    def _is_too_slow(self) -> bool:
        waited = self.factory.reactor.seconds() - self._begun
        return not self._handlingRequest and waited > self.factory.limits.timeout

    def _quick(self, data: bytes) -> bytes:
        """Answer whole requests of the usual kind; returns what is left for twisted.web."""
        while data and (request := recognise(data)) is not None:
            if (
                not self.factory.cookie.admits(request.authorization)
                or len(request.body) > self.factory.limits.request_bytes
            ):
                return data
            data = data[request.end :]
            answer = self.factory.dispatcher.answer(request.body)
            if isinstance(answer, Reply):
                self._write(answer)
                continue
            self._answering = answer
            answer.addCallback(self._answered)
            if self._answering is not None:
                self._hold(data)
                return b""
        return data

    def _answered(self, reply: Reply) -> None:
        was_waiting = bool(self._held)
        self._answering = None
        self._write(reply)
        if was_waiting:
            held, self._held, self._held_bytes = b"".join(self._held), [], 0
            self.transport.resumeProducing()
            self.dataReceived(held)

    def _write(self, reply: Reply) -> None:
        self.transport.write(head(reply.status, len(reply.body)) + reply.body)

    def _hold(self, data: bytes) -> None:
        """Keep what comes before its turn, and slow the client when it is much."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _MAX_HELD:
            self.transport.pauseProducing()


class _Busy(Protocol):
    """Tells a client that there are too many, and closes."""

    def connectionMade(self) -> None:
        """A client too many."""
        assert self.transport is not None
        self.transport.write(head(503, 0, b"Connection: close\r\n"))
        self.transport.loseConnection()


class RpcFactory(http.HTTPFactory):
    """Makes a channel for each client, up to the limit of connections."""

    _log = Logger()
    noisy = False

    def __init__(self, reactor: Any, dispatcher: Dispatcher, cookie: Cookie, limits: Limits) -> None:
        http.HTTPFactory.__init__(self, timeout=limits.timeout, reactor=reactor)
        self.dispatcher = dispatcher
        self.cookie = cookie
        self.limits = limits
        self.channels: set[RpcChannel] = set()

    def startFactory(self) -> None:
        """Nothing: there is no access log, and responses carry no Date that a timer would have to refresh."""

    def stopFactory(self) -> None:
        """Nothing to undo."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A channel, or a protocol that answers 503."""
        if len(self.channels) >= self.limits.connections:
            return _Busy()
        channel = RpcChannel()
        channel.factory = self

        channel.timeOut = self.limits.timeout
        channel.callLater = self.reactor.callLater  # type: ignore[method-assign,assignment]
        self.channels.add(channel)
        return channel

    def left(self, channel: RpcChannel) -> None:
        """A client is gone."""
        self.channels.discard(channel)

    def log(self, request: http.Request) -> None:
        """No line per request."""
