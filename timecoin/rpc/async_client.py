"""Calling a node from Twisted code: one connection, calls pipelined on it.

A load generator shares the machine with the nodes it measures, so this is a small protocol of its own: about
60 µs a call, where ``twisted.web.client.Agent`` takes a millisecond.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, TLSVersion, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.rpc.client import RpcUnreachable, batch_body, call_body, pays, read_batch, read_call, value_of
from timecoin.rpc.target import Login, Target, authorization

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,10})[ \t]*\r\n", re.I)
_MAX_HEAD = 16_384
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.S)

Response = tuple[int, bytes]


@implementer(IHandshakeListener)
class _Pipeline(Protocol):
    """Requests out, responses in, in order; over TLS from :attr:`ready` on, when the node has shown who it is."""

    def __init__(self) -> None:
        self.ready: Deferred[None] = Deferred()
        self.waiting: deque[Deferred[Response]] = deque()
        self.alive = True
        self._received = bytearray()

    def handshakeCompleted(self) -> None:
        """The certificate is the node's."""
        self.ready.callback(None)

    def ask(self, request: bytes) -> Deferred[Response]:
        """Send a whole request; fires with its status and body, fails with ``RpcUnreachable``."""
        if not self.alive:
            return fail(RpcUnreachable("the node closed the connection"))
        answer: Deferred[Response] = Deferred()
        self.waiting.append(answer)
        assert self.transport is not None
        self.transport.write(request)
        return answer

    def dataReceived(self, data: bytes) -> None:
        """Bytes of responses."""
        self._received += data
        while self.waiting and self._one():
            continue

    def _one(self) -> bool:
        """Hand out the first response if it is complete."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return self._check(len(self._received) <= _MAX_HEAD)
        head = bytes(self._received[: end + 4])
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or (length is None and status[1] != b"204"):
            return self._check(False)
        stop = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < stop:
            return False
        body = bytes(self._received[end + 4 : stop])
        del self._received[:stop]
        self.waiting.popleft().callback((int(status[1]), body))
        return True

    def _check(self, fine: bool) -> bool:
        """Drop a connection that does not speak HTTP; never complete."""
        if not fine:
            assert self.transport is not None
            self.transport.loseConnection()
        return False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """No more responses."""
        self.alive = False
        if not self.ready.called:
            self.ready.errback(reason)
            self.ready.addErrback(lambda _: None)
        waiting, self.waiting = self.waiting, deque()
        for each in waiting:
            each.errback(RpcUnreachable("the node closed the connection"))


class AsyncClient:
    """Calls the node at ``url`` (``http://host:port`` or ``https://``, with ``/wallet/NAME`` for a wallet).
    ``who``: the cookie file, or a user's :class:`Login`. ``ca_file``: certificates (PEM) one of which must have
    signed the node's, instead of those that the system trusts.

    Calls go out at once and are answered in order: a call that waits (``waitforfinality``) holds up those
    after it, so give it a client of its own. Numbers with decimals come as ``Decimal``. Raises ValueError for a
    bad URL, OSError for an unreadable ``ca_file``.
    """

    def __init__(self, reactor: Any, url: str, who: Path | Login, ca_file: Path | None = None) -> None:
        self._target = Target.parse(url)
        self._endpoint: Any = HostnameEndpoint(reactor, self._target.host, self._target.port)
        if self._target.secure:
            self._endpoint = wrapClientTLS(_options(self._target.host, ca_file), self._endpoint)
        self._who = who
        self._head = b""
        self._pipeline: _Pipeline | None = None
        self._connecting: list[Deferred[_Pipeline]] = []

    async def call(self, method: str, *params: Any) -> Any:
        """The result of a call. Raises ``RpcFailure``, ``RpcUnreachable``."""
        return value_of(read_call(*await self.post(call_body(method, params))))

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of several calls in one request; a call that failed gives its ``RpcFailure``."""
        return read_batch(*await self.post(batch_body(calls)))

    async def post(self, body: bytes) -> Response:
        """Status and body of the response to a request body.

        A kept connection that breaks is replaced once, also after a new cookie; what pays is not sent again, because
        nobody knows whether it was paid. Raises ``RpcUnreachable``.
        """
        kept = self._pipeline is not None and self._pipeline.alive
        try:
            status, answer = await self._exchange(body)
        except RpcUnreachable:
            if not kept or pays(body):
                raise
            return await self._exchange(body)
        if status == 401 and kept:
            self.close()
            return await self._exchange(body)
        return status, answer

    def close(self) -> None:
        """Close the connection; the next call opens another and reads the cookie again."""
        if self._pipeline is not None and self._pipeline.transport is not None:
            self._pipeline.transport.loseConnection()
        self._pipeline = None

    async def _exchange(self, body: bytes) -> Response:
        pipeline = await self._connected()
        return await pipeline.ask(self._head % len(body) + body)

    def _connected(self) -> Deferred[_Pipeline]:
        if self._pipeline is not None and self._pipeline.alive:
            return succeed(self._pipeline)
        waiting: Deferred[_Pipeline] = Deferred()
        self._connecting.append(waiting)
        if len(self._connecting) == 1:
            Deferred.fromCoroutine(self._connect()).addBoth(self._tell)
        return waiting

    async def _connect(self) -> _Pipeline:
        try:
            password = authorization(self._who)
        except OSError as problem:
            raise RpcUnreachable(f"{self._who}: {problem.strerror}: is the node running?") from None
        target = self._target
        fields = f"POST {target.path} HTTP/1.1\r\nHost: {target.place}\r\nAuthorization: {password}\r\n"
        self._head = fields.replace("%", "%%").encode("ascii")
        self._head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        try:
            pipeline = cast(_Pipeline, await self._endpoint.connect(Factory.forProtocol(_Pipeline)))
            if target.secure:
                await pipeline.ready
        except Exception as problem:
            raise RpcUnreachable(f"cannot reach {target.place}: {_reason(problem)}") from None
        self._pipeline = pipeline
        return pipeline

    def _tell(self, outcome: _Pipeline | Failure) -> None:
        waiting, self._connecting = self._connecting, []
        for each in waiting:
            each.callback(outcome)


def _options(host: str, ca_file: Path | None) -> Any:
    """TLS 1.2 or later; service-identity checks the name or the IP address of the node's certificate."""
    trust = platformTrust() if ca_file is None else trustRootFromCertificates(_certificates(ca_file.read_bytes()))
    return optionsForClientTLS(host, trust, extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2})


def _certificates(pem: bytes) -> list[Certificate]:
    return [Certificate.loadPEM(each) for each in _PEM.findall(pem)]


def _reason(problem: Exception) -> str:
    """What to tell of a failed connection; OpenSSL's errors are lists of tuples."""
    inner = problem.args[0] if problem.args else ""
    if isinstance(inner, list) and inner and isinstance(inner[0], tuple):
        return f"TLS: {inner[0][-1]}"
    return str(problem) or type(problem).__name__
