"""The HTTP side towards clients: from where they come, for which wallet they call, large answers, slow readers."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_node import FakeNode
from tests.rpc.test_server import ServerCase, Transport
from timecoin.rpc.access import is_allowed, is_local, parse_network, text_of
from timecoin.rpc.auth import Gate, Salted, Users, WhiteList
from timecoin.rpc.cookie import basic
from timecoin.rpc.dispatch import Dispatcher
from timecoin.rpc.outgoing import PIECE, Outgoing
from timecoin.rpc.server import Limits, RpcFactory
from timecoin.rpc.table import Context, make_table, method


def who(context: Context) -> list[str | None]:
    """Who calls."""
    return [context.caller.user, context.caller.wallet, context.caller.address]


def large(context: Context, size: int) -> str:
    """A text of some size."""
    return "x" * size


class AccessTests(SynchronousTestCase):
    networks = tuple(map(parse_network, ("10.1.0.0/16", "192.168.1.7", "172.16.0.0/255.240.0.0", "fd00::/8")))

    def allowed(self, host: str) -> bool:
        address: IAddress = (IPv6Address if ":" in host else IPv4Address)("TCP", host, 5)
        return is_allowed(address, self.networks)

    def test_addresses(self) -> None:
        for host in ("127.0.0.1", "127.9.9.9", "::1", "10.1.255.255", "192.168.1.7", "172.31.0.1", "fd12::3"):
            self.assertTrue(self.allowed(host), host)
        for host in ("::ffff:10.1.2.3", "::ffff:127.0.0.1"):
            self.assertTrue(self.allowed(host), host)
        for host in ("10.2.0.0", "192.168.1.8", "172.32.0.1", "fe80::1%eth0", "::ffff:10.2.0.1", "8.8.8.8"):
            self.assertFalse(self.allowed(host), host)
        self.assertTrue(is_allowed(UNIXAddress("/tmp/x"), ()))

    def test_networks_that_are_none(self) -> None:
        for text in ("", "example.org", "10.0.0.0/33", "10.0.0", "fd00::/129", "1.2.3.4/0.255.0.1"):
            self.assertRaises(ValueError, parse_network, text)

    def test_endpoints(self) -> None:
        for text in (
            "tcp:1:interface=127.0.0.1",
            "unix:x",
            "tcp6:1:interface=\\:\\:1",
            "ssl:1:interface=127.0.0.1:a=b",
        ):
            self.assertTrue(is_local(text), text)
        for text in ("tcp:1", "tcp:1:interface=", "tcp6:1:interface=\\:\\:", "onion:1", "systemd:domain=INET:index=0"):
            self.assertFalse(is_local(text), text)

    def test_names(self) -> None:
        self.assertEqual(text_of(IPv4Address("TCP", "1.2.3.4", 5)), "1.2.3.4:5")
        self.assertEqual(text_of(UNIXAddress("/tmp/x")), "")


class CallerCase(ServerCase):
    """As :class:`ServerCase`, with methods of its own, two users and a white list."""

    address: IAddress | None = IPv4Address("TCP", "10.0.0.9", 777)

    def setUp(self) -> None:
        super().setUp()
        users = Users((Salted.make("alice", "a"), Salted.make("bob", "b")), (WhiteList.parse("bob:who"),), strict=False)
        table = make_table([[method("Test", who), method("Test", large)]])
        dispatcher = Dispatcher(self.clock, Context(FakeNode(self.clock), table))
        limits = Limits(3, 5_000, 30, (parse_network("10.0.0.0/8"),))
        self.factory = RpcFactory(self.clock, dispatcher, Gate(self.cookie, users), limits)
        self.channel, self.transport = self.connect()

    def connect(self) -> tuple[Any, Transport]:
        channel, transport = self.factory.buildProtocol(self.address), Transport()
        channel.makeConnection(transport)
        return channel, transport

    def result(self, response: bytes) -> Any:
        return json.loads(response.partition(b"\r\n\r\n")[2])["result"]


class CallerTests(CallerCase):
    def ask(self, path: bytes, user: str, *more: bytes) -> bytes:
        start = b"POST " + path + b" HTTP/1.1"
        return self.send(self.request(b'{"method":"who"}', *more, start=start, auth=basic(user)))

    def test_both_ways_tell_the_same(self) -> None:
        for more in ((), (b"TE: trailers",)):
            for path, user, expected in (
                (b"/", "alice:a", ["alice", None, "10.0.0.9:777"]),
                (b"/wallet/w1", "alice:a", ["alice", "w1", "10.0.0.9:777"]),
                (b"/wallet/", "bob:b", ["bob", "", "10.0.0.9:777"]),
                (b"/wallet/a%20%C3%BC", "bob:b", ["bob", "a ü", "10.0.0.9:777"]),
                (b"/wallet/a/b", "bob:b", ["bob", "a/b", "10.0.0.9:777"]),
                (b"/", "bob:b", ["bob", None, "10.0.0.9:777"]),
            ):
                self.assertEqual(self.result(self.ask(path, user, *more)), expected)

    def test_paths_that_are_none(self) -> None:
        for path in (b"/wallet", b"/x", b"//", b"/?a", b"/wallet/%ff", b"*", b"http://h/"):
            self.assertIn(b"HTTP/1.1 404 ", self.ask(path, "alice:a"), path)

    def test_another_user_on_the_same_connection(self) -> None:
        self.assertEqual(self.result(self.ask(b"/", "alice:a"))[0], "alice")
        self.assertEqual(self.result(self.ask(b"/", "bob:b"))[0], "bob")
        self.assertEqual(self.ask(b"/", "bob:a"), b"")
        self.clock.advance(0.25)
        self.assertIn(b"HTTP/1.1 401 ", self.taken())

    def test_a_white_list(self) -> None:
        body = b'{"method":"large","params":[1]}'
        for more in ((), (b"TE: trailers",)):
            self.assertIn(b"HTTP/1.1 200 ", self.send(self.request(body, *more, auth=basic("alice:a"))))
            response = self.send(self.request(body, *more, auth=basic("bob:b")))
            self.assertIn(b"HTTP/1.1 403 Forbidden\r\n", response)
            self.assertIn(b"Content-Length: 0\r\n", response.title())

    def test_what_is_json(self) -> None:
        for body, words, kind in (
            (b'{"method":"nothing"}', b"404 Not Found", b"application/json"),
            (b"{", b"500 Internal Server Error", b"application/json"),
            (b'{"jsonrpc":"2.0","method":"who"}', b"204 No Content", b"application/json"),
        ):
            for more in ((), (b"TE: trailers",)):
                response = self.send(self.request(body, *more, auth=basic("alice:a"))).lower()
                self.assertIn(b"http/1.1 " + words.lower(), response)
                self.assertIn(b"content-type: " + kind, response)
        response = self.send(self.request(b"", start=b"GET / HTTP/1.1")).lower()
        self.assertIn(b"content-type: text/plain", response)

    def test_from_elsewhere(self) -> None:
        self.address = IPv4Address("TCP", "8.8.8.8", 777)
        _, transport = self.connect()
        self.assertIn(b"HTTP/1.1 403 Forbidden\r\n", transport.value())
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.factory.channels), 1)


class LargeAnswerTests(CallerCase):
    size = 3 * PIECE

    def ask_large(self, *more: bytes) -> None:
        body = b'{"method":"large","params":[%d]}' % self.size
        self.channel.dataReceived(self.request(body, *more) + self.request(b'{"method":"who"}'))

    def check(self, response: bytes) -> None:
        body = response.partition(b"\r\n\r\n")[2]
        first, _, rest = body.partition(b"\n")
        self.assertEqual(len(json.loads(first)["result"]), self.size)
        self.assertEqual(rest.count(b"HTTP/1.1 200 OK"), 1)

    def test_in_pieces_and_then_the_next(self) -> None:
        for more in ((), (b"TE: trailers",)):
            self.channel, self.transport = self.connect()
            self.ask_large(*more)
            self.assertLess(len(self.transport.value()), 2 * PIECE)
            self.clock.pump([0] * 10)
            self.check(self.taken())
            self.channel.connectionLost(Failure(ConnectionDone()))

    def test_a_slow_reader(self) -> None:
        for more in ((), (b"TE: trailers",)):
            self.channel, self.transport = self.connect()
            self.ask_large(*more)
            self.channel.pauseProducing()
            written = len(self.transport.value())
            self.clock.pump([1] * 20)
            self.assertEqual(len(self.transport.value()), written)
            self.channel.resumeProducing()
            self.clock.pump([0] * 10)
            self.check(self.taken())
            self.channel.connectionLost(Failure(ConnectionDone()))

    def test_who_never_reads_is_cut(self) -> None:
        for more in ((), (b"TE: trailers",)):
            self.channel, self.transport = self.connect()
            self.ask_large(*more)
            self.channel.pauseProducing()
            self.clock.pump([1] * 31)
            self.assertTrue(self.transport.aborted)
            self.channel.connectionLost(Failure(ConnectionDone()))
            self.clock.pump([1] * 31)

    def test_who_leaves(self) -> None:
        for more in ((), (b"TE: trailers",)):
            self.channel, self.transport = self.connect()
            self.ask_large(*more)
            self.channel.connectionLost(Failure(ConnectionDone()))
            written = len(self.transport.value())
            self.clock.pump([1] * 40)
            self.assertEqual(len(self.transport.value()), written)


class OutgoingTests(SynchronousTestCase):
    def test_paused_by_its_last_piece(self) -> None:
        clock, written, ended = Clock(), [], []

        def write(piece: bytes) -> None:
            written.append(piece)
            outgoing.pause()

        outgoing = Outgoing(clock, b"x" * (PIECE + 1), write, lambda: ended.append(1), lambda: ended.append(2), 5)
        outgoing.go()
        self.assertEqual((len(written), ended), (1, []))
        outgoing.resume()
        clock.advance(0)
        self.assertEqual((len(written), ended), (2, []))
        for _ in range(2):
            outgoing.resume()
            clock.advance(0)
            outgoing.pause()
            clock.advance(10)
            self.assertEqual((len(written), ended), (2, [1]))
