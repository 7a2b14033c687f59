"""JSON-RPC over HTTP: twisted.web's protocol with limits, and a short cut for the usual request (``quick``).

A connection has one request under way; pipelined ones wait their turn, and the client is slowed by TCP when
they pile up. Limits: addresses, connections, size of a request, time to send one. Who does not authenticate
gets 401 before any of the body is read. A large answer leaves in slices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web import http

from timecoin.rpc.access import Network, is_allowed, text_of
from timecoin.rpc.auth import Gate, Grant
from timecoin.rpc.caller import Caller
from timecoin.rpc.dispatch import Dispatcher, Reply
from timecoin.rpc.outgoing import PIECE, Outgoing
from timecoin.rpc.quick import recognise
from timecoin.rpc.turns import Turns, is_urgent

_REFUSAL_DELAY = 0.25
_MAX_HELD = 1 << 16
_REASONS = {code: http.RESPONSES.get(code, b"") for code in (200, 204, 400, 401, 403, 404, 405, 413, 500, 503)}


_JSON = b"application/json"
_USUAL_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_WALLET = b"/wallet/"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on clients; ``timeout`` in seconds; ``allowed``: networks besides this machine that may connect."""

    connections: int = 128
    request_bytes: int = 8 << 20
    timeout: int = 30
    allowed: tuple[Network, ...] = ()


def head(status: int, length: int, more: bytes = b"", kind: bytes = _JSON) -> bytes:
    """The head of a response of ``length`` bytes."""
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n" % (
        status,
        _REASONS[status],
        kind,
        more,
        length,
    )


def kind_of(reply: Reply) -> bytes:
    """The content type of a reply: a few words beside the status are no JSON."""
    return _JSON if not reply.body or reply.body[0] in b"{[" else b"text/plain"


def wallet_of(path: bytes) -> str | None:
    """NAME of ``/wallet/NAME``, None for ``/``. Raises KeyError for any other path (UnicodeDecodeError: no text)."""
    if path == b"/":
        return None
    if not path.startswith(_WALLET):
        raise KeyError(path)
    return unquote_to_bytes(path[len(_WALLET) :]).decode("utf-8")


class RpcRequest(http.Request):
    """A request that took the long way; a refused one is answered at its head, its body is dropped."""

    channel: RpcChannel
    content: Any
    _refused = False
    _user: str | None = None

    def gotLength(self, length: int | None) -> None:
        """The head is complete: refuse here what will not be answered."""
        self.content = BytesIO()
        header = self.requestHeaders.getRawHeaders(b"authorization", [b""])[-1]
        self._user = self.channel.factory.gate.user(header)
        if self._user is None:
            self._refuse(401, b'WWW-Authenticate: Basic realm="jsonrpc"\r\n', _REFUSAL_DELAY)
        else:
            self.channel.factory.admitted(self.channel)
            if length is not None and length > self.channel.factory.limits.request_bytes:
                self._refuse(413)
        # What twisted.web takes for a form it parses, for seconds when it is large.
        self.requestHeaders.removeHeader(b"content-type")

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
        assert self._user is not None
        stream = self.channel.factory.streams.get(self.path)
        if stream is not None:
            stream(self, self.channel.grant(self._user, None))
            return
        try:
            wallet = wallet_of(self.uri)
        except (KeyError, UnicodeDecodeError):
            self._reply(Reply(404, b""))
            return
        if self.requestHeaders.hasHeader(b"origin"):
            # A browser that knows the password sends it along with whatever any page of the web asks it to.
            self._reply(Reply(403, b"JSONRPC server handles no requests of web pages"))
        elif self.method != b"POST":
            self._reply(Reply(405, b"JSONRPC server handles only POST requests"))
        else:
            self._take_turn(self.content.read(), self.channel.grant(self._user, wallet))

    def _take_turn(self, body: bytes, grant: Grant) -> None:
        turns = self.channel.factory.turns
        if turns.is_open:
            self._answer(body, grant)
        else:
            turns.wait(lambda: self._answer(body, grant), is_urgent(body))

    def _answer(self, body: bytes, grant: Grant) -> None:
        if self._disconnected:
            return
        answer = self.channel.factory.dispatcher.answer(body, grant)
        if isinstance(answer, Reply):
            self._reply(answer)
            return
        self.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addCallback(self._reply)

    def _reply(self, reply: Reply) -> None:
        if self._disconnected or self.finished:
            return
        self.setResponseCode(reply.status)
        self.setHeader(b"content-type", kind_of(reply))
        self.setHeader(b"content-length", b"%d" % len(reply.body))
        self.channel.send(reply.body, self.write, self._finish)

    def _finish(self) -> None:
        if not self._disconnected:
            self.finish()

    def _refuse(self, status: int, more: bytes = b"", delay: float = 0) -> None:
        self._refused = True
        self.channel.refuse(head(status, 0, more + b"Connection: close\r\n"), delay)


class RpcChannel(http.HTTPChannel):
    """One client's connection, from ``address`` (``host:port``).

    It is *clean* while no byte of a request is in twisted.web's hands; only then is the short cut tried.
    """

    requestFactory = RpcRequest
    factory: RpcFactory
    transport: Any
    address = ""
    _clean = True
    _refusing = False
    _waiting = False
    _begun = 0.0
    _answering: Deferred[Any] | None = None
    _outgoing: Outgoing | None = None
    _cut: IDelayedCall | None = None
    _has_turn = False
    _known: tuple[bytes, bytes, Grant] | None = None

    def __init__(self) -> None:
        http.HTTPChannel.__init__(self)
        self._held: list[bytes] = []
        self._held_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._refusing:
            return
        if self._waiting:
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
        if self._waiting:
            self.setTimeout(self.timeOut)
        else:
            http.HTTPChannel.timeoutConnection(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone: nobody needs the answer."""
        self.factory.left(self)
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        if self._outgoing is not None:
            self._outgoing.stop()
        if self._answering is not None:
            self._answering.cancel()
        http.HTTPChannel.connectionLost(self, reason)

    def loseConnection(self) -> None:
        """Close when all is sent, and cut a client that does not let go: TLS waits for its farewell."""
        http.HTTPChannel.loseConnection(self)
        if self._cut is None:
            clock, limits = self.factory.reactor, self.factory.limits
            self._cut = clock.callLater(limits.timeout, self.transport.abortConnection)

    def pauseProducing(self) -> None:
        """The client reads too slowly."""
        http.HTTPChannel.pauseProducing(self)
        if self._outgoing is not None:
            self._outgoing.pause()

    def resumeProducing(self) -> None:
        """The client has read."""
        http.HTTPChannel.resumeProducing(self)
        if self._outgoing is not None:
            self._outgoing.resume()

    def grant(self, user: str, wallet: str | None) -> Grant:
        """What a user may do who calls over this connection."""
        return Grant(Caller(user, wallet, self.address), self.factory.gate.methods(user))

    def send(self, body: bytes, write: Callable[[bytes], object], done: Callable[[], object]) -> None:
        """Send a body with ``write``, a large one in pieces, and call ``done`` when the client has read most of it."""
        if len(body) <= PIECE:
            write(body)
            if not self._waitingForTransport:
                done()
                return
            body = b""

        def finished() -> None:
            self._outgoing = None
            done()

        clock, limits = self.factory.reactor, self.factory.limits
        self._outgoing = Outgoing(clock, body, write, finished, self.transport.abortConnection, limits.timeout)
        if body:
            self._outgoing.go()
        else:
            self._outgoing.pause()

    def hand_over(self, protocol: IProtocol) -> None:
        """Give the connection to another protocol; what came of the request was read, nothing of an answer sent."""
        transport = self.transport
        self.setTimeout(None)
        transport.unregisterProducer()
        self.factory.left(self)
        if isinstance(transport, ProtocolWrapper):
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)

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
            grant = self._admit(request.path, request.authorization)
            if grant is None or len(request.body) > self.factory.limits.request_bytes:
                return data
            self._waiting = True
            if not (self._has_turn or self.factory.turns.is_open):
                self._hold(data)
                self.factory.turns.wait(self._turn, is_urgent(request.body))
                return b""
            self._has_turn = False
            data = data[request.end :]
            answer = self.factory.dispatcher.answer(request.body, grant)
            if isinstance(answer, Reply):
                self._respond(answer)
            else:
                self._answering = answer
                answer.addCallback(self._respond)
            if self._waiting:
                self._hold(data)
                return b""
        return data

    def _turn(self) -> None:
        """The next turn of the reactor: one request that waited for it is answered."""
        self._has_turn = True
        if self in self.factory.channels:
            self._responded()

    def _admit(self, path: bytes, header: bytes) -> Grant | None:
        """The grant for a header that this connection has not shown to be another's; None leaves it to
        twisted.web, which refuses it."""
        known = self._known
        if known is not None and known[0] == path and compare_digest(known[1], header):
            return known[2]
        user = self.factory.gate.user(header)
        if user is None:
            return None
        self.factory.admitted(self)
        grant = self.grant(user, wallet_of(path))
        self._known = path, header, grant
        return grant

    def _respond(self, reply: Reply) -> None:
        self._answering = None
        if reply.status == 200 and len(reply.body) <= PIECE:
            self.send(_USUAL_HEAD % len(reply.body) + reply.body, self.transport.write, self._responded)
            return
        self.transport.write(head(reply.status, len(reply.body), b"", kind_of(reply)))
        self.send(reply.body, self.transport.write, self._responded)

    def _responded(self) -> None:
        """The answer is sent; go on with what came meanwhile."""
        self._waiting = False
        if self._held:
            held, self._held, self._held_bytes = b"".join(self._held), [], 0
            self.transport.resumeProducing()
            self.dataReceived(held)

    def _hold(self, data: bytes) -> None:
        """Keep what comes before its turn, and slow the client when it is much."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _MAX_HELD:
            self.transport.pauseProducing()


class _Refusal(Protocol):
    """Tells a client that it may not come (403) or that there are too many (503), and closes; over TLS only that."""

    def __init__(self, status: int) -> None:
        self._status = status

    def connectionMade(self) -> None:
        """A client too many."""
        assert self.transport is not None
        if ISSLTransport.providedBy(self.transport):
            # It may never speak TLS, and would be kept for that; nobody counts it.
            self.transport.abortConnection()
            return
        self.transport.write(head(self._status, 0, b"Connection: close\r\n"))
        self.transport.loseConnection()


class RpcFactory(http.HTTPFactory):
    """Makes a channel for each client from where clients may come, up to the limit of connections.

    When there are as many, who came first of those that have shown no password yet gives way: idle connections of
    anybody keep no user out.
    """

    _log = Logger()
    noisy = False

    def __init__(self, reactor: Any, dispatcher: Dispatcher, gate: Gate, limits: Limits) -> None:
        http.HTTPFactory.__init__(self, timeout=limits.timeout, reactor=reactor)
        self.dispatcher = dispatcher
        self.gate = gate
        self.limits = limits
        self.channels: set[RpcChannel] = set()
        self._strangers: dict[RpcChannel, None] = {}
        self.turns = Turns(reactor)
        #: Paths served by others, whose users were admitted here (push).
        self.streams: dict[bytes, Callable[[RpcRequest, Grant], None]] = {}

    def startFactory(self) -> None:
        """Nothing: there is no access log, and responses carry no Date that a timer would have to refresh."""

    def stopFactory(self) -> None:
        """Nothing to undo."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A channel, or a protocol that answers 403 or 503."""
        if not is_allowed(addr, self.limits.allowed):
            return _Refusal(403)
        if len(self.channels) >= self.limits.connections and not self._make_room():
            return _Refusal(503)
        channel = RpcChannel()
        channel.factory = self
        channel.address = text_of(addr)
        channel.timeOut = self.limits.timeout
        channel.callLater = self.reactor.callLater  # type: ignore[method-assign,assignment]
        self.channels.add(channel)
        self._strangers[channel] = None
        return channel

    def admitted(self, channel: RpcChannel) -> None:
        """A client has shown a user's password."""
        self._strangers.pop(channel, None)

    def left(self, channel: RpcChannel) -> None:
        """A client is gone."""
        self.channels.discard(channel)
        self._strangers.pop(channel, None)

    def _make_room(self) -> bool:
        if not self._strangers:
            return False
        stranger = next(iter(self._strangers))
        self.left(stranger)
        stranger.transport.abortConnection()
        return True

    def log(self, request: http.Request) -> None:
        """No line per request."""
