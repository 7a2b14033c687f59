"""Targets of RPC: request bodies, whole HTTP connections, answers that a client reads."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.fuzz.checking import NotTheSame, Target
from tests.rpc.fake_node import FakeNode
from timecoin.rpc import errors, server
from timecoin.rpc.auth import Gate
from timecoin.rpc.client import RpcFailure, RpcUnreachable, read_batch, read_call, value_of
from timecoin.rpc.cookie import Cookie, basic
from timecoin.rpc.dispatch import Bounds, Dispatcher, Reply
from timecoin.rpc.errors import RpcError
from timecoin.rpc.methods import all_methods
from timecoin.rpc.server import Limits, RpcFactory
from timecoin.rpc.table import Context

PASSWORD = "__cookie__:" + "0" * 64
AUTHORIZATION = basic(PASSWORD)
_NAMES = sorted(name.encode() for name in all_methods())
_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.I | re.M)


class StrictDispatcher(Dispatcher):
    """Remembers what would be logged as a bug of a method."""

    bug: BaseException | None = None

    def _error_of(self, failure: Failure) -> RpcError:
        assert failure.value is not None
        if errors.from_exception(failure.value) is None and not isinstance(failure.value, CancelledError):
            self.bug = failure.value
            return RpcError(errors.MISC_ERROR, "bug")
        return super()._error_of(failure)


def _dispatcher() -> tuple[Clock, StrictDispatcher]:
    clock = Clock()
    return clock, StrictDispatcher(clock, Context(FakeNode(clock), all_methods()), Bounds(batch=20))


def _body(data: bytes) -> None:
    """A request body: answered, by no bug of any method, with JSON."""
    clock, dispatcher = _dispatcher()
    answer = dispatcher.answer(data)
    if isinstance(answer, Deferred):
        replies: list[Any] = []
        answer.addBoth(replies.append)
        clock.pump([0] * 60)
        if not replies:
            answer.cancel()
        answer = replies[0]
    if dispatcher.bug is not None:
        raise dispatcher.bug
    if not isinstance(answer, Reply):
        raise NotTheSame(f"{answer!r}")
    if answer.body:
        read_answer(answer)


def _call(data: bytes) -> None:
    """A method, named or picked by what stands in the first line, and its parameters in the others."""
    name, _, params = data.partition(b"\n")
    if name not in _NAMES:
        name = _NAMES[crc32(name) % len(_NAMES)]
    _body(b'{"method":"%b","params":%b,"id":1}' % (name, params))


def read_answer(reply: Reply) -> None:
    """Whatever is answered, a client reads it or says that there is no node."""
    with suppress(RpcFailure, RpcUnreachable):
        value_of(read_call(reply.status, reply.body))
    with suppress(RpcFailure, RpcUnreachable):
        read_batch(reply.status, reply.body)


class Transport(StringTransport):
    """As TCP: what is written after the end is lost, and ending twice is harmless."""

    def write(self, data: bytes) -> None:
        if not self.disconnecting:
            super().write(data)

    def unregisterProducer(self) -> None:
        self.producer = None

    def abortConnection(self) -> None:
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is nothing to delay."""


def _connection(data: bytes, size: int, *, quick: bool) -> tuple[list[tuple[bytes, bytes]], bool]:
    """What a client gets that sends ``data`` in pieces of ``size`` bytes: (status, body) each, and whether it is
    closed.
    """
    clock, dispatcher = _dispatcher()
    cookie = Cookie(Path("nowhere"))
    cookie._text, cookie.header = PASSWORD, AUTHORIZATION
    factory = RpcFactory(clock, dispatcher, Gate(cookie), Limits(2, 5_000, 30))
    channel, transport = factory.buildProtocol(None), Transport()
    with patch.object(server, "recognise", server.recognise if quick else lambda data: None):
        channel.makeConnection(transport)
        for at in range(0, len(data), size):
            if transport.disconnecting:
                break
            channel.dataReceived(data[at : at + size])
            clock.pump([0] * 3)
        clock.pump([1] * 3)
    if dispatcher.bug is not None:
        raise dispatcher.bug
    answers = _answers(transport.value())
    closed = transport.disconnecting
    channel.connectionLost(Failure(CancelledError()))
    return answers, closed


def _answers(written: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    while written:
        head, blank, rest = written.partition(b"\r\n\r\n")
        if not blank or not head.startswith(b"HTTP/1."):
            raise NotTheSame(f"an answer that is no HTTP: {written[:80]!r}")
        length = _LENGTH.search(head + b"\r")
        end = int(length[1]) if length else 0
        found.append((head[9:12], rest[:end]))
        written = rest[end:]
    return found


def _http(data: bytes) -> None:
    """Both ways through the server give the same answers, in one piece; in pieces nothing breaks."""
    size, stream = (data[:1] or b"\0")[0] + 1, data[1:]
    short, long = (_connection(stream, len(stream) + 1, quick=quick) for quick in (True, False))
    if short != long:
        raise NotTheSame(f"the short cut answers {short}, twisted.web {long}")
    _connection(stream, size, quick=True)


def _client(data: bytes) -> None:
    """An answer of whatever stands where the node should: the first byte chooses status and reader."""
    choice, body = (data[:1] or b"\0")[0], data[1:]
    read_answer(Reply((200, 401, 404, 500)[choice & 3], body))


RPC = (
    Target("rpc_body", _body, (), 2_048, slow=True),
    Target("rpc_call", _call, (), 1_024, slow=True),
    Target("rpc_http", _http, (), 2_048, slow=True),
    Target("rpc_client", _client, (), 1_024),
)
