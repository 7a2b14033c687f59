"""All of HTTP and JSON that a client may send, good, broken and absurd: never a traceback, never a stall.

Three things are held for every stream of bytes, cut anywhere: nothing is logged as a failure; what is answered
is HTTP with whole JSON bodies; and afterwards the connection either is closed, or answers the next request.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.rpc_targets import AUTHORIZATION, PASSWORD, StrictDispatcher, Transport
from tests.rpc.fake_node import FakeNode
from timecoin.rpc.auth import Gate, Salted, Users, WhiteList
from timecoin.rpc.cookie import Cookie, basic
from timecoin.rpc.dispatch import Bounds
from timecoin.rpc.methods import all_methods
from timecoin.rpc.server import Limits, RpcFactory
from timecoin.rpc.slices import Slices
from timecoin.rpc.table import Context

GOOD = b'{"method":"uptime","id":"good"}'
_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.I | re.M)
METHODS = all_methods()
_ENDLESS = {"stop", "waitforfinality", "waitfornewblock", "waitforblock", "waitforblockheight"}
SETTINGS = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def request(body: bytes, *fields: bytes, start: bytes = b"POST / HTTP/1.1", auth: bytes = AUTHORIZATION) -> bytes:
    lines = [start, b"Host: h", b"Authorization: " + auth, *fields]
    if not any(each.lower().startswith((b"content-length", b"transfer-encoding")) for each in fields):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    whole = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces)
    return request(whole + b"0\r\n\r\n", b"Transfer-Encoding: chunked")


# JSON of all sorts: deep, wide, odd numbers, odd text, no JSON at all.
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.sampled_from(["", "00" * 32, "gg" * 32, "\u202e", "\0", "é" * 64, "1" * 64, "-0", "tb1q", "/wallet/x"]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_PARAMS = (
    st.lists(_VALUES, max_size=5)
    | st.dictionaries(st.sampled_from(["args", "txid", "verbosity", "options", "x"]), _VALUES, max_size=4)
    | _VALUES
)
_CALLS = st.fixed_dictionaries(
    {"method": st.sampled_from(sorted(set(METHODS) - _ENDLESS)) | _VALUES},
    optional={"params": _PARAMS, "id": _VALUES, "jsonrpc": st.sampled_from(["1.0", "1.1", "2.0"]) | _VALUES},
)
_JSON = st.one_of(_CALLS, st.lists(_CALLS, max_size=4), _VALUES).map(lambda value: json.dumps(value).encode())
_ODD = st.sampled_from(
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"method":"\xc3\x28"}',
        b'{"method":"\\ud800","id":1}',
        b'{"id":"\\ud800","method":"uptime"}',
        b"[" * 3_000,
        b'{"a":' * 1_500,
        b"[" * 500 + b"]" * 500,
        b'{"id":' + b"[" * 400 + b"]" * 400 + b',"method":"uptime"}',
        b'{"id":1e999,"method":"uptime"}',
        b'{"id":1e-99999999999999999999,"method":"uptime"}',
        b'{"id":' + b"9" * 4_000 + b',"method":"uptime"}',
        b'{"id":0.' + b"9" * 4_000 + b',"method":"uptime"}',
        b'{"id":-0.0,"method":"uptime"}',
        b'{"method":"getblockhash","params":[1e400]}',
        b'{"method":"getblockhash","params":[1.0]}',
        b'{"method":"uptime","method":"getblockcount"}',
        b"[]",
        b"[" + b"1," * 30 + b"1]",
        b"[" + b"[]," * 2_000 + b"1]",
        b'"' + b"x" * 4_900 + b'"',
    ]
)
_BODIES = _JSON | _ODD | st.binary(max_size=60)
_FIELDS = st.sampled_from(
    [
        b"Content-Type: text/plain",
        b"Connection: close",
        b"Connection: keep-alive",
        b"Connection: x, close",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"TE: trailers",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 0x10",
        b"Content-Length : 3",
        b"content-length: 4",
        b" folded",
        b"\tfolded",
        b"no colon",
        b":empty",
        b"X: \xff\xfe",
        b"X: \0",
        b"X\0: 1",
        b"X: " + b"y" * 20_000,
        b"Authorization: Basic !",
        b"Host: a\rb",
    ]
)
_STARTS = st.sampled_from(
    [
        b"POST / HTTP/1.1",
        b"POST / HTTP/1.0",
        b"POST /wallet/w HTTP/1.1",
        b"POST /wallet/%zz%00%ff HTTP/1.1",
        b"POST /wallet/" + b"a" * 3_000 + b" HTTP/1.1",
        b"GET / HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"HEAD / HTTP/1.1",
        b"CONNECT h:1 HTTP/1.1",
        b"POST http://h/ HTTP/1.1",
        b"POST / HTTP/2.0",
        b"PRI * HTTP/2.0",
        b"POST  / HTTP/1.1",
        b"POST /",
        b"post / http/1.1",
        b"\x16\x03\x01\x02\x00",
        b"POST /\xff HTTP/1.1",
        b"",
        b"\r\n",
    ]
)
_AUTHS = st.sampled_from(
    [
        AUTHORIZATION,
        AUTHORIZATION,
        AUTHORIZATION,
        basic("alice:x"),
        b"",
        b"Basic",
        b"Basic " + b"A" * 5_000,
        b"Basic \xff",
        b"Bearer x",
    ]
)
_REQUESTS = st.one_of(
    st.builds(request, _BODIES),
    st.builds(
        lambda body, fields, start, auth: request(body, *fields, start=start, auth=auth),
        _BODIES,
        st.lists(_FIELDS, max_size=3),
        _STARTS,
        _AUTHS,
    ),
    st.builds(chunked, _BODIES, st.integers(1, 50)),
    st.builds(lambda body: request(body, b"Transfer-Encoding: chunked"), _BODIES),
    st.binary(max_size=80),
)
_STREAMS = st.lists(_REQUESTS, min_size=1, max_size=4)
_CUTS = st.lists(st.integers(1, 4_000), max_size=6)


class Conversation:
    """A client and the server in memory; ``failures`` are what the server logged."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000)
        cookie = Cookie(Path("nowhere"))
        cookie._text, cookie.header = PASSWORD, AUTHORIZATION
        users = Users((Salted.make("alice", "x"),), (WhiteList.parse("alice:uptime,help"),), strict=False)
        context = Context(FakeNode(self.clock), METHODS, slices=Slices(self.clock).collect)
        self.dispatcher = StrictDispatcher(self.clock, context, Bounds(batch=20, answer_bytes=50_000, seconds=5))
        self.factory = RpcFactory(self.clock, self.dispatcher, Gate(cookie, users), Limits(2, 5_000, 30))
        self.channel: Any = self.factory.buildProtocol(None)
        self.transport = Transport()
        self.channel.makeConnection(self.transport)
        self.failures: list[Any] = []
        globalLogPublisher.addObserver(self._observe)

    def _observe(self, event: Any) -> None:
        if event.get("log_failure") is not None or event.get("isError"):
            self.failures.append(event)

    @property
    def is_closed(self) -> bool:
        return self.transport.disconnecting

    def send(self, data: bytes) -> None:
        if not self.is_closed:
            self.channel.dataReceived(data)
            self.turn()

    def turn(self) -> None:
        for _ in range(6):
            self.clock.advance(0.3)
            self.dispatcher.cut_late()

    def end(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.clock.pump([1] * 70)
        globalLogPublisher.removeObserver(self._observe)

    def answers(self) -> list[tuple[int, bytes]]:
        """What was answered, checked to be HTTP."""
        found, written = [], self.transport.value()
        while written:
            head, blank, rest = written.partition(b"\r\n\r\n")
            assert blank and head.startswith(b"HTTP/1."), written[:80]
            if head[9:12] == b"100":
                written = rest
                continue
            length = _LENGTH.search(head + b"\r")
            end = int(length[1]) if length else 0
            if head[9:12] == b"405" and rest[:1] != b"J":
                end = 0  # To HEAD: the length that another method's answer would have, and nothing behind it.
            assert len(rest) >= end, "half an answer"
            found.append((int(head[9:12]), rest[:end]))
            written = rest[end:]
        return found


class HttpFuzz(SynchronousTestCase):
    def check(self, talk: Conversation) -> None:
        try:
            self.check_answers(talk)
            self.check_goes_on(talk)
        finally:
            talk.end()
        self.assertEqual(talk.failures, [])
        self.assertIsNone(talk.dispatcher.bug)
        self.assertEqual(talk.factory.channels, set())
        self.assertEqual(talk.dispatcher._context.active, {})

    def check_answers(self, talk: Conversation) -> None:
        for status, body in talk.answers():
            self.assertIn(status, (200, 204, 400, 401, 403, 404, 405, 413, 500, 503))
            if body[:1] in (b"{", b"["):
                json.loads(body)

    def check_goes_on(self, talk: Conversation) -> None:
        """Closed, or answering, or waiting for the rest of a request until its time is over."""
        for _ in range(3):
            talk.send(request(GOOD))
        if b'"id":"good"' not in talk.transport.value() and not talk.is_closed:
            talk.clock.pump([1] * 70)
            self.assertTrue(talk.is_closed or b'"id":"good"' in talk.transport.value())

    @SETTINGS
    @given(_STREAMS, _CUTS)
    def test_streams(self, stream: list[bytes], cuts: list[int]) -> None:
        talk, data = Conversation(), b"".join(stream)
        for cut in cuts:
            talk.send(data[:cut])
            data = data[cut:]
        talk.send(data)
        self.check(talk)

    @SETTINGS
    @given(_BODIES)
    def test_bodies(self, body: bytes) -> None:
        talk = Conversation()
        talk.send(request(body))
        if len(body) <= 5_000:
            self.assertEqual(len(talk.answers()), 1)
        self.check(talk)

    @SETTINGS
    @given(_STREAMS, st.integers(0, 400), st.booleans())
    def test_half_a_request_and_gone(self, stream: list[bytes], end: int, late: bool) -> None:
        talk = Conversation()
        talk.send(b"".join(stream)[:end])
        if late:
            talk.clock.pump([1] * 35)
            self.assertTrue(talk.is_closed)
        talk.end()
        self.assertEqual((talk.failures, talk.dispatcher.bug), ([], None))

    def test_byte_by_byte(self) -> None:
        talk = Conversation()
        for byte in chunked(GOOD, 3) + request(GOOD) + request(b"{", b"TE: x"):
            talk.channel.dataReceived(bytes([byte]))
        self.assertEqual([status for status, _ in talk.answers()], [200, 200, 500])
        self.check(talk)

    def test_a_thousand_pipelined(self) -> None:
        talk = Conversation()
        talk.send((request(GOOD) + request(b"{") + request(GOOD, b"TE: x")) * 333)
        for _ in range(400):
            talk.turn()
        self.assertEqual(len(talk.answers()), 999)
        self.check(talk)

    def test_a_body_that_trickles_in_and_one_that_stops(self) -> None:
        talk = Conversation()
        data = request(b" " * 4_000 + GOOD)
        talk.send(data[:1_000])
        for at in range(1_000, 1_200):
            talk.send(data[at : at + 1])
            talk.clock.advance(1)
        self.assertTrue(talk.is_closed)
        self.check(talk)
        stopped = Conversation()
        stopped.send(data[:1_000])
        stopped.clock.pump([1] * 70)
        self.assertTrue(stopped.is_closed)
        self.check(stopped)
