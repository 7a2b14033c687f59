"""The HTTP side: authentication, limits, pipelining, the short way and the long one."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from tests.rpc.fake_node import FakeNode, pay
from timecoin.rpc.auth import Gate
from timecoin.rpc.cookie import Cookie
from timecoin.rpc.dispatch import Dispatcher
from timecoin.rpc.methods import all_methods
from timecoin.rpc.quick import recognise
from timecoin.rpc.server import Limits, RpcChannel, RpcFactory
from timecoin.rpc.table import Context

COUNT = b'{"method":"getblockcount","id":1}'
ANSWER = b'{"result":1,"error":null,"id":1}\n'


class Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = enabled


class ServerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.node = FakeNode(self.clock)
        self.cookie = Cookie(Path(self.mktemp()))
        dispatcher = Dispatcher(self.clock, Context(self.node, all_methods()))
        self.factory = RpcFactory(self.clock, dispatcher, Gate(self.cookie), Limits(2, 5_000, 30))
        self.channel, self.transport = self.connect()

    def connect(self) -> tuple[Any, Transport]:
        channel, transport = self.factory.buildProtocol(None), Transport()
        channel.makeConnection(transport)
        return channel, transport

    def request(
        self, body: bytes = COUNT, *more: bytes, start: bytes = b"POST / HTTP/1.1", auth: bytes | None = None
    ) -> bytes:
        lines = [
            start,
            b"Host: localhost",
            b"Authorization: " + (self.cookie.header if auth is None else auth),
            b"Content-Length: %d" % len(body),
            *more,
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def send(self, data: bytes) -> bytes:
        self.channel.dataReceived(data)
        return self.taken()

    def taken(self) -> bytes:
        answer = self.transport.value()
        self.transport.clear()
        return answer

    def assertAnswered(self, response: bytes, times: int = 1) -> None:
        self.assertEqual(response.count(b"HTTP/1.1 200 OK\r\n"), times)
        self.assertEqual(response.count(ANSWER), times)


class UsualTests(ServerCase):
    def test_a_request_in_one_piece(self) -> None:
        response = self.send(self.request())
        self.assertAnswered(response)
        self.assertIn(b"Content-Type: application/json\r\n", response)
        self.assertIn(b"Content-Length: %d\r\n" % len(ANSWER), response)

    def test_a_request_in_pieces_of_every_size(self) -> None:
        request = self.request()
        for cut in range(1, len(request)):
            self.channel.dataReceived(request[:cut])
            self.assertAnswered(self.send(request[cut:]))
        for size in (1, 2, 7):
            for at in range(0, len(request), size):
                self.channel.dataReceived(request[at : at + size])
            self.assertAnswered(self.taken())

    def test_the_long_way_answers_the_same(self) -> None:
        for more in (b"Connection: Keep-Alive, x", b"Expect: nothing", b"TE: trailers", b"Upgrade: h2c"):
            self.assertAnswered(self.send(self.request(COUNT, more)))

    def test_pipelined(self) -> None:
        self.assertAnswered(self.send(self.request() * 50), 50)

    def test_pipelined_short_and_long_ways_mixed_and_cut_anywhere(self) -> None:
        stream = (self.request() + self.request(COUNT, b"TE: trailers")) * 3 + self.request()
        for cut in range(0, len(stream), 11):
            self.channel.dataReceived(stream[:cut])
            self.channel.dataReceived(stream[cut:])
            self.assertAnswered(self.taken(), 7)

    def test_chunked(self) -> None:
        head = self.request(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
        self.assertAnswered(self.send(head + b"%x\r\n" % len(COUNT) + COUNT + b"\r\n0\r\n\r\n"))
        self.assertAnswered(self.send(self.request()))

    def test_other_methods_and_paths(self) -> None:
        self.assertIn(b"HTTP/1.1 405 ", self.send(self.request(b"", start=b"GET / HTTP/1.1")))
        self.assertIn(b"HTTP/1.1 404 ", self.send(self.request(start=b"POST /other HTTP/1.1")))
        self.assertAnswered(self.send(self.request()))

    def test_no_http(self) -> None:
        self.assertIn(b"HTTP/1.1 400 ", self.send(b"\x16\x03\x01\x02\x00\x01\r\n\r\n"))
        self.assertTrue(self.transport.disconnecting)

    def test_connection_close(self) -> None:
        self.assertAnswered(self.send(self.request(COUNT, b"Connection: close")))
        self.assertTrue(self.transport.disconnecting)

    def test_http_1_0(self) -> None:
        self.assertIn(ANSWER, self.send(self.request(start=b"POST / HTTP/1.0")))
        self.assertTrue(self.transport.disconnecting)

    def test_contradicting_lengths(self) -> None:
        request = self.request(COUNT, b"Content-Length: 3")
        self.assertIn(b"HTTP/1.1 400 ", self.send(request))

    def test_statuses_of_errors(self) -> None:
        self.assertIn(b"HTTP/1.1 404 ", self.send(self.request(b'{"method":"nothing"}')))
        self.assertIn(b"HTTP/1.1 500 ", self.send(self.request(b"{")))
        self.assertIn(b"HTTP/1.1 204 ", self.send(self.request(b'{"jsonrpc":"2.0","method":"uptime"}')))


class WaitingTests(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.gate: Deferred[Any] = Deferred()
        self.node.submit_answer = self.gate
        self.slow = b'{"method":"sendrawtransaction","params":["%b"],"id":2}' % pay(1).raw.hex().encode()

    def test_later_requests_wait_their_turn(self) -> None:
        for more in ((), (b"TE: trailers",)):
            self.setUp()
            self.assertEqual(self.send(self.request(self.slow, *more) + self.request()), b"")
            self.assertEqual(self.send(self.request()), b"")
            self.gate.callback(None)
            response = self.taken()
            self.assertLess(response.index(b'"id":2'), response.index(ANSWER))
            self.assertAnswered(response[response.index(b'"id":2') :], 2)

    def test_who_sends_much_before_its_turn_is_slowed(self) -> None:
        self.send(self.request(self.slow))
        self.send(self.request() * 1_000)
        self.assertEqual(self.transport.producerState, "paused")
        self.gate.callback(None)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.taken().count(ANSWER), 1_000)

    def test_who_does_not_read_gets_no_more_answers(self) -> None:
        for more in ((), (b"TE: trailers",)):
            self.transport.streaming = True
            self.channel.pauseProducing()
            data = self.request(COUNT, *more) * 20
            self.assertAnswered(self.send(data), 1)
            self.channel.resumeProducing()
            self.channel.pauseProducing()
            self.clock.pump([0] * 9)
            self.assertEqual(self.taken(), b"")
            self.channel.resumeProducing()
            self.clock.pump([0] * 50)
            self.assertAnswered(self.taken(), 19)

    def test_who_does_not_read_for_long_is_cut(self) -> None:
        self.channel.pauseProducing()
        self.send(self.request() * 2)
        self.clock.advance(31)
        self.assertTrue(self.transport.aborted)

    def test_waiting_is_no_idling(self) -> None:
        self.send(self.request(self.slow))
        self.clock.pump([10.0] * 10)
        self.assertFalse(self.transport.disconnecting)
        self.gate.callback(None)
        self.assertIn(b'"id":2', self.taken())
        self.clock.pump([10.0] * 4)
        self.assertTrue(self.transport.disconnecting)

    def test_a_client_that_leaves_gives_up_its_call(self) -> None:
        body = b'{"method":"waitforfinality","params":["%b",9000]}' % (b"11" * 32)
        for more in ((), (b"TE: trailers",)):
            self.setUp()
            self.send(self.request(body, *more))
            self.channel.connectionLost(Failure(ConnectionDone()))
            self.assertTrue(self.node.waiting[-1].called)
            self.assertEqual(self.factory.channels, set())


class LimitTests(ServerCase):
    def test_wrong_password(self) -> None:
        for auth in (
            b"Basic " + base64.b64encode(b"__cookie__:" + b"00" * 32),
            b"Basic !",
            b"",
            b"Bearer x",
            self.cookie.header[:-1],
            self.cookie.header + b"x",
        ):
            self.channel, self.transport = self.connect()
            self.assertEqual(self.send(self.request(auth=auth)), b"")
            self.clock.advance(0.25)
            response = self.taken()
            self.assertIn(b"HTTP/1.1 401 Unauthorized\r\n", response)
            self.assertIn(b'WWW-Authenticate: Basic realm="jsonrpc"\r\n', response)
            self.assertTrue(self.transport.disconnecting)
            self.channel.connectionLost(Failure(ConnectionDone()))

    def test_a_stranger_is_refused_before_its_body_is_read(self) -> None:
        self.channel.dataReceived(b"POST / HTTP/1.1\r\nContent-Length: 4000\r\n\r\n" + bytes(100))
        self.assertEqual(self.transport.producerState, "paused")
        self.channel.dataReceived(bytes(5_000))
        self.clock.advance(0.25)
        self.assertIn(b"HTTP/1.1 401 ", self.taken())

    def test_the_password_in_other_words(self) -> None:
        self.assertAnswered(self.send(self.request(auth=b"basic  " + self.cookie.header[6:])))

    def test_too_large(self) -> None:
        for head in (b"Content-Length: 5001", b"Transfer-Encoding: chunked"):
            self.channel, self.transport = self.connect()
            start = b"POST / HTTP/1.1\r\nAuthorization: " + self.cookie.header + b"\r\n" + head + b"\r\n\r\n"
            self.channel.dataReceived(start)
            self.channel.dataReceived(b"1389\r\n" + bytes(5_001) + b"\r\n")
            self.clock.advance(0)
            self.assertIn(b"HTTP/1.1 413 ", self.taken())
            self.assertTrue(self.transport.disconnecting)
            self.channel.connectionLost(Failure(ConnectionDone()))

    def test_too_large_in_one_piece(self) -> None:
        self.channel.dataReceived(self.request(b" " * 5_000 + COUNT))
        self.clock.advance(0)
        self.assertIn(b"HTTP/1.1 413 ", self.taken())

    def test_as_large_as_allowed(self) -> None:
        self.assertAnswered(self.send(self.request(b" " * (5_000 - len(COUNT)) + COUNT)))

    def test_endless_head(self) -> None:
        self.channel.dataReceived(b"POST / HTTP/1.1\r\n")
        for _ in range(300):
            if self.transport.disconnecting:
                break
            self.channel.dataReceived(b"X-Filler: " + b"x" * 90 + b"\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_web_pages_may_not_call(self) -> None:
        for origin in (b"https://evil.example", b"null", b"http://localhost:1"):
            for kind in (b"text/plain", b"application/json"):
                response = self.send(self.request(COUNT, b"origin: " + origin, b"Content-Type: " + kind))
                self.assertTrue(response.startswith(b"HTTP/1.1 403 "), response)
                self.assertNotIn(b"result", response)
        self.assertAnswered(self.send(self.request()))

    def test_forms_are_not_parsed(self) -> None:
        form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
        for kind in (b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded"):
            with patch("twisted.web.http._getMultiPartArgs", self.fail), patch("twisted.web.http.parse_qs", self.fail):
                response = self.send(self.request(form, b"TE: trailers", b"Content-Type: " + kind))
            self.assertIn(b'"Parse error"', response)

    def test_a_refused_client_that_does_not_let_go_is_cut(self) -> None:
        # Over TLS a connection is closed only when the other side says farewell, too.
        self.send(self.request(b"", auth=b"Basic eDp5"))
        self.clock.advance(1)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(30)
        self.assertTrue(self.transport.aborted)

    def test_nothing_cuts_a_client_that_is_gone(self) -> None:
        self.send(self.request(COUNT, b"Connection: close"))
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.clock.advance(31)
        self.assertFalse(self.transport.aborted)

    def test_too_many_over_tls_are_not_waited_for(self) -> None:
        for channel in (self.channel, self.connect()[0]):
            channel.dataReceived(self.request())
        refusal, transport = self.factory.buildProtocol(None), Transport()
        directlyProvides(transport, ISSLTransport)
        refusal.makeConnection(transport)
        self.assertTrue(transport.aborted)
        self.assertEqual(transport.value(), b"")

    def test_idle(self) -> None:
        self.clock.pump([1.0] * 31)
        self.assertTrue(self.transport.disconnecting)

    def test_a_request_that_trickles(self) -> None:
        for byte in self.request():
            if self.transport.aborted:
                break
            self.channel.dataReceived(bytes([byte]))
            self.clock.advance(1.0)
        self.assertTrue(self.transport.aborted)
        self.assertLess(self.clock.seconds(), 40)

    def test_too_many_connections(self) -> None:
        second, _ = self.connect()
        for channel in (self.channel, second):
            channel.dataReceived(self.request())
        _, transport = self.connect()
        self.assertIn(b"HTTP/1.1 503 ", transport.value())
        self.assertTrue(transport.disconnecting)
        second.connectionLost(Failure(ConnectionDone()))
        self.assertIsInstance(self.connect()[0], RpcChannel)

    def test_idle_strangers_keep_no_user_out(self) -> None:
        """Whoever shows no password gives way, the first that came first; who has shown one stays."""
        self.send(self.request())
        _, stranger = self.connect()
        wrong, other = self.connect()
        self.assertTrue(stranger.aborted)
        wrong.dataReceived(self.request(auth=b"Basic eDp5"))
        user, transport = self.connect()
        self.assertTrue(other.aborted)
        user.dataReceived(self.request(COUNT, b"TE: trailers"))
        self.assertAnswered(transport.value())
        self.assertFalse(self.transport.aborted)
        self.assertEqual(self.factory.channels, {self.channel, user})
        self.assertIn(b"HTTP/1.1 503 ", self.connect()[1].value())


class QuickTests(SynchronousTestCase):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic abc\r\nContent-Length: 2\r\n"

    def test_recognised(self) -> None:
        found = recognise(self.head + b"connection: keep-alive\r\n\r\n{}rest")
        assert found is not None
        self.assertEqual((found.authorization, found.body), (b"Basic abc", b"{}"))

    def test_left_alone(self) -> None:
        for data in (
            b"",
            self.head,
            self.head + b"\r\n{",
            self.head.replace(b"POST", b"GET") + b"\r\n{}",
            self.head.replace(b"/ HTTP", b"/x HTTP") + b"\r\n{}",
            self.head.replace(b"1.1", b"1.0") + b"\r\n{}",
            self.head + b"Content-Length: 2\r\n\r\n{}",
            self.head + b"Content-Length : 2\r\n\r\n{}",
            self.head + b"Authorization: Basic abd\r\n\r\n{}",
            self.head + b"Transfer-Encoding: chunked\r\n\r\n{}",
            self.head + b"Connection: close\r\n\r\n{}",
            self.head + b"Expect: 100-continue\r\n\r\n{}",
            self.head + b" folded\r\n\r\n{}",
            self.head + b"no colon\r\n\r\n{}",
            self.head.replace(b"Length: 2", b"Length: +2") + b"\r\n{}",
            self.head.replace(b"Length: 2", b"Length: 2, 2") + b"\r\n{}",
            self.head.replace(b"\r\n", b"\n") + b"\n{}",
            self.head + b"X: " + b"x" * 9_000 + b"\r\n\r\n{}",
        ):
            self.assertIsNone(recognise(data), data)


class CookieTests(SynchronousTestCase):
    def test_the_file(self) -> None:
        path = Path(self.mktemp())
        path.write_text("old")
        path.chmod(0o644)
        cookie = Cookie(path)
        cookie.write()
        self.assertRegex(path.read_text(), r"\A__cookie__:[0-9a-f]{64}\Z")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertTrue(cookie.admits(b"Basic " + base64.b64encode(path.read_bytes())))
        cookie.remove()
        self.assertFalse(path.exists())
        cookie.remove()

    def test_the_file_of_a_later_server_stays(self) -> None:
        path = Path(self.mktemp())
        first, second = Cookie(path), Cookie(path)
        first.write()
        second.write()
        first.remove()
        self.assertTrue(path.exists())
        self.assertFalse(first.admits(second.header))
