"""The transports over RPC's own channel, in memory: what goes over the wire, who is refused, who is cut."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.push.fakes import STREAM, Source, block, change
from timecoin.push.hub import Hub, Limits
from timecoin.push.service import PushService
from timecoin.rpc.auth import Gate, Users, WhiteList
from timecoin.rpc.server import Limits as RpcLimits
from timecoin.rpc.server import RpcFactory

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class OneUser:
    """A cookie whose password is known."""

    user = "__cookie__"

    def admits(self, header: bytes) -> bool:
        return header == b"Basic " + b64encode(b"__cookie__:good")


class Transport(StringTransport):
    """Remembers its end; like a socket that does not take anything while ``full``."""

    full = False
    aborted = False
    protocol: Any = None

    def abortConnection(self) -> None:
        self.aborted = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As sockets have it."""

    def unregisterProducer(self) -> None:
        """Sockets do not mind when there is none."""
        self.producer = None


class ServingTestCase(SynchronousTestCase):
    origins: tuple[str, ...] = ("https://shop.example",)
    white_lists: tuple[WhiteList, ...] = ()

    def setUp(self) -> None:
        self.clock, self.source = Clock(), Source()
        self.source.publish(change(1), block(2))
        self.hub = Hub(self.clock, self.source, "timed", Limits(clients=2))
        gate = Gate(OneUser(), Users(white_lists=self.white_lists))  # type: ignore[arg-type]
        self.factory = RpcFactory(self.clock, None, gate, RpcLimits())  # type: ignore[arg-type]
        self.service = PushService(self.clock, self.hub, self.factory, self.origins)
        self.service.startService()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if self.service.running:
            stopped = self.service.stopService()
            self.clock.pump([0.1] * 30)
            self.successResultOf(stopped)

    def get(self, path: str, more: str = "", password: str = "good", method: str = "GET") -> Transport:
        transport = Transport()
        channel = self.factory.buildProtocol(None)
        transport.protocol = channel
        channel.makeConnection(transport)
        secret = b64encode(f"__cookie__:{password}".encode()).decode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {secret}\r\n{more}\r\n"
        channel.dataReceived(head.encode())
        self.clock.pump([0.3])
        return transport

    def status(self, transport: Transport) -> int:
        return int(transport.value().split(b" ", 2)[1])

    def lose(self, transport: Transport) -> None:
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        transport.protocol.connectionLost(Failure(ConnectionDone()))


class RefusedTest(ServingTestCase):
    def test_who_is_refused(self) -> None:
        for path in ("/ws", "/events?topic=blocks"):
            self.assertEqual(self.status(self.get(path, password="bad")), 401)
            self.assertEqual(self.status(self.get(path, method="POST", more="Content-Length: 0\r\n")), 405)
            self.assertEqual(self.status(self.get(path, "Origin: https://evil.example\r\n")), 403)
            self.assertEqual(self.status(self.get(path, "Origin: null\r\n")), 403)
        self.assertEqual(self.status(self.get("/ws")), 426)
        for query in ("", "?topic=", "?topic=x", "?topic=blocks&since=x", "?topic=blocks&since=-1", "?topic=%ff"):
            self.assertEqual(self.status(self.get("/events" + query)), 400, query)
        self.assertEqual((len(self.hub.clients), self.hub.subscriptions), (0, 0))

    def test_events_that_are_not_held(self) -> None:
        gone = self.get("/events?topic=blocks&since=9")
        self.assertEqual(self.status(gone), 410)
        self.assertEqual(json.loads(gone.value().partition(b"\r\n\r\n")[2]), {"stream": STREAM, "first": 1, "last": 2})
        self.assertEqual(self.status(self.get("/events?topic=blocks", f"Last-Event-ID: {'cd' * 16}-1\r\n")), 410)

    def test_too_many(self) -> None:
        for _ in range(2):
            self.assertEqual(self.status(self.get("/events?topic=blocks")), 200)
        self.assertEqual(self.status(self.get("/events?topic=blocks")), 503)
        self.assertEqual(self.status(self.get("/ws", UPGRADE)), 503)
        self.assertEqual(len(self.factory.channels), 2)

    def test_after_the_end(self) -> None:
        self.stop()
        self.assertEqual(self.status(self.get("/events?topic=blocks")), 503)


class WhiteListTest(ServingTestCase):
    white_lists = (WhiteList("__cookie__", frozenset({"getblockcount"})),)

    def test_who_may_not_subscribe(self) -> None:
        self.assertEqual(self.status(self.get("/events?topic=blocks")), 403)
        self.assertEqual(self.status(self.get("/ws", UPGRADE)), 403)


class WhiteListedTest(ServingTestCase):
    white_lists = (WhiteList("__cookie__", frozenset({"subscribe"})),)

    def test_who_may(self) -> None:
        self.assertEqual(self.status(self.get("/events?topic=blocks")), 200)


class StreamTest(ServingTestCase):
    def text(self, transport: Transport) -> str:
        raw, body = transport.value().partition(b"\r\n\r\n")[2], b""
        while raw:
            size, _, rest = raw.partition(b"\r\n")
            body, raw = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body.decode()

    def test_the_stream(self) -> None:
        transport = self.get("/events?topic=blocks&topic=finality", f"Last-Event-ID: {STREAM}-1\r\n")
        head = transport.value().partition(b"\r\n\r\n")[0].lower()
        self.assertIn(b"content-type: text/event-stream", head)
        self.assertNotIn(b"access-control", head)
        self.source.publish(change(3))
        block_data = '{"type":"block","number":2,"blockhash":"' + "68" * 32 + '","height":1,"epoch":2,"closing":true,'
        self.assertEqual(
            self.text(transport).split("\n\n"),
            [
                f"retry: 2000\nid: {STREAM}-1",
                f'id: {STREAM}-2\nevent: block\ndata: {block_data}"time_ms":1002,"topics":["blocks"]}}',
                f'id: {STREAM}-3\nevent: transaction\ndata: {{"type":"transaction","number":3,"txid":"{"00" * 31}01",'
                '"status":"final","time_ms":1003,"topics":["finality"]}',
                "",
            ],
        )

    def test_it_shows_that_it_lives(self) -> None:
        transport = self.get("/events?topic=finality:rejected")
        self.source.publish(change(3))
        self.clock.pump([1.0] * 15)
        self.assertIn(f": alive\nid: {STREAM}-3\n\n", self.text(transport))

    def test_an_allowed_page(self) -> None:
        head = self.get("/events?topic=blocks", "Origin: https://shop.example\r\n").value().lower()
        self.assertIn(b"access-control-allow-origin: https://shop.example", head)

    def test_a_client_that_goes(self) -> None:
        transport = self.get("/events?topic=blocks")
        self.lose(transport)
        self.assertEqual((len(self.hub.clients), self.service.gate.streams), (0, set()))

    def test_a_slow_one_is_cut(self) -> None:
        transport = self.get("/events?topic=finality")
        transport.producer.pauseProducing()  # type: ignore[union-attr]
        self.source.publish(*[change(number) for number in range(3, 100)])
        self.clock.pump([1.0] * 11)
        self.assertNotIn('"number":3', self.text(transport))
        self.assertIn(": too slow", self.text(transport))
        self.assertTrue(transport.disconnecting and transport.aborted)
        self.assertEqual((self.hub.counts.cut, len(self.hub.clients)), (1, 0))

    def test_one_that_reads_again(self) -> None:
        transport = self.get("/events?topic=finality")
        transport.producer.pauseProducing()  # type: ignore[union-attr]
        self.source.publish(*[change(number) for number in range(3, 100)])
        transport.producer.resumeProducing()  # type: ignore[union-attr]
        self.source.publish(change(100))
        found = [int(line.rpartition("-")[2]) for line in self.text(transport).split("\n") if line.startswith("id")]
        self.assertEqual(found, list(range(2, 101)))

    def test_the_node_stops(self) -> None:
        transport = self.get("/events?topic=finality")
        self.stop()
        self.assertIn(": the node stops", self.text(transport))
        self.assertTrue(transport.disconnecting)


class SocketTest(ServingTestCase):
    def open(self) -> Transport:
        transport = self.get("/ws", UPGRADE)
        self.assertEqual(self.status(transport), 101)
        transport.clear()
        return transport

    def send(self, transport: Transport, payload: bytes, opcode: int = 1) -> None:
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        transport.protocol.dataReceived(bytes([0x80 | opcode]) + size + bytes(4) + payload)
        self.clock.advance(0)

    def call(self, transport: Transport, *topics: str, since: int | None = None) -> None:
        call = {"id": 1, "method": "subscribe", "params": {"topics": topics, "since": since}}
        self.send(transport, json.dumps(call).encode())

    def frames(self, transport: Transport) -> list[tuple[int, bytes]]:
        data, found = transport.value(), []
        while data:
            opcode, size, start = data[0] & 15, data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            found.append((opcode, data[start : start + size]))
            data = data[start + size :]
        transport.clear()
        return found

    def test_subscribed(self) -> None:
        transport = self.open()
        self.assertEqual(self.factory.channels, set())
        self.call(transport, "blocks", "finality", since=1)
        self.source.publish(change(3))
        told = [json.loads(payload) for _, payload in self.frames(transport)]
        self.assertEqual(told[0]["result"], {"stream": STREAM, "number": 1, "topics": ["blocks", "finality"]})
        self.assertEqual([each["params"]["number"] for each in told[1:]], [2, 3])
        self.assertEqual({each["method"] for each in told[1:]}, {"event"})

    def test_credentials_go_no_further(self) -> None:
        transport = self.open()
        self.assertNotIn("authorization", transport.protocol.http_headers)

    def test_binary_and_large_messages(self) -> None:
        transport = self.open()
        self.send(transport, b"{}", opcode=2)
        self.assertEqual([(op, int.from_bytes(data[:2], "big")) for op, data in self.frames(transport)], [(8, 1003)])
        transport = self.open()
        transport.protocol.dataReceived(b"\x81\xff" + (1 << 20).to_bytes(8, "big") + bytes(4) + b"x")
        self.assertEqual([(op, int.from_bytes(data[:2], "big")) for op, data in self.frames(transport)], [(8, 1009)])

    def test_a_call_that_fails_ends_the_connection(self) -> None:
        transport = self.open()
        self.patch(self.hub, "subscribe", lambda *given: 1 / 0)
        self.call(transport, "blocks")
        self.assertEqual([(op, int.from_bytes(data[:2], "big")) for op, data in self.frames(transport)], [(8, 1011)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.hub.clients), 0)

    def test_no_call_is_taken_while_answers_are_not_read(self) -> None:
        transport = self.open()
        call = b'{"id":1,"method":"subscribe","params":{"topics":["blocks"]}}'
        frame = bytes([0x81, 0x80 | len(call)]) + bytes(4) + call
        transport.producer.pauseProducing()  # type: ignore[union-attr]
        transport.protocol.dataReceived(frame * 500)
        self.clock.pump([0] * 600)
        self.assertEqual((transport.value(), transport.producerState), (b"", "paused"))
        transport.producer.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual((len(self.frames(transport)), transport.producerState), (1, "paused"))
        self.clock.pump([0] * 600)
        self.assertEqual((len(self.frames(transport)), transport.producerState), (499, "producing"))

    def test_calls_that_take_long_leave_as_much_to_others(self) -> None:
        transport = self.open()
        real = self.hub.subscribe

        def slow(*given: Any) -> int:
            self.clock.rightNow += 0.05
            return real(*given)

        self.patch(self.hub, "subscribe", slow)
        for _ in range(3):
            self.call(transport, "blocks")
        self.assertEqual(len(self.frames(transport)), 1)
        self.clock.advance(0.05)
        self.assertEqual(len(self.frames(transport)), 1)
        self.lose(transport)
        self.clock.advance(1)
        self.assertEqual(self.frames(transport), [])

    def test_a_slow_one_is_cut(self) -> None:
        transport = self.open()
        self.call(transport, "finality")
        self.frames(transport)
        transport.producer.pauseProducing()  # type: ignore[union-attr]
        self.assertEqual(transport.producerState, "paused")
        self.source.publish(*[change(number) for number in range(3, 100)])
        self.clock.pump([1.0] * 11)
        self.assertEqual(self.frames(transport), [(8, (1008).to_bytes(2, "big") + b"too slow")])
        self.assertEqual((self.hub.counts.cut, len(self.hub.clients)), (1, 0))

    def test_a_gap_and_the_end(self) -> None:
        one, two = self.open(), self.open()
        self.call(one, "finality")
        self.frames(one)
        self.hub._gap(next(iter(self.hub.clients)))
        note, close = self.frames(one)
        self.assertEqual(json.loads(note[1])["params"], {"stream": STREAM, "first": 1, "last": 2})
        self.assertEqual(close, (8, (4410).to_bytes(2, "big") + b"gap"))
        stopping = self.service.stopService()
        self.assertEqual(self.frames(two), [(8, (1001).to_bytes(2, "big") + b"the node stops")])
        self.assertNoResult(stopping)
        self.lose(one)
        self.lose(two)
        self.clock.pump([0.1] * 3)
        self.successResultOf(stopping)

    def test_a_client_that_goes(self) -> None:
        transport = self.open()
        self.call(transport, "finality")
        self.lose(transport)
        self.assertEqual((len(self.hub.clients), self.hub.subscriptions, self.service.sockets.protocols), (0, 0, set()))
