"""Push on real nodes: live, resumed, over a restart and kill -9, and a client that does not read."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.functional.load import SETTLED, Load
from tests.functional.push_clients import Socket, Stream, authorization
from tests.functional.support import FunctionalCase, Node, until

reactor: Any = _reactor
DONE = ["finality:final,archived", "blocks"]


class PushTests(FunctionalCase):
    async def test_no_final_payment_is_missed(self) -> None:
        """Whatever happens to the client and to the node: at least once, in the order of the numbers."""
        net = self.devnet(1, 4)
        node = net.nodes[0]
        await net.up()
        events: list[dict[str, Any]] = []
        client = await deferToThread(Socket, node, DONE, None, 0)
        sse = await deferToThread(Stream, node, DONE)
        load = Load(net, rate=15)
        load.start(self)
        await deferLater(reactor, 3)
        client = await self._again(node, client, events, pause=1.5)
        for _ in range(2):
            node.kill()
            await deferLater(reactor, 0.3)
            node.start()
            await net.votes([node], 40)
            client = await self._again(node, client, events, pause=1.0)
        self.assertTrue(sse.ended())
        self.assertIn("text/event-stream", sse.type)
        await load.stop()
        # While the only node is down nobody takes a payment.
        self.assertGreater(len(load.sent), 2 * len(load.refused))
        await load.all_in(node, SETTLED, 40)
        await node.stop()
        self.assertEqual(client.closed, (1001, "the node stops"))
        node.start()
        await net.votes([node], 40)
        client = await self._again(node, client, events)
        await load.all_in(node, ("archived",), 40)
        wanted = {sent.txid for sent in load.sent}
        await until(lambda: wanted <= _archived([*events, *client.events]), "all are told as archived", 20)
        self._judge(wanted, [*events, *client.events])
        rest = await deferToThread(Stream, node, DONE, sse.last_id)
        await until(lambda: wanted <= _archived([*sse.events, *rest.events]), "the stream goes on", 20)
        await self._page(node, wanted)
        await deferToThread(client.end)
        await self._refusals(node, client)
        await self._slow(node)
        await node.stop()
        self.assertTrue(rest.ended())

    async def _again(self, node: Node, client: Socket, events: list[dict[str, Any]], pause: float = 0.0) -> Socket:
        await deferToThread(client.end)
        events += client.events
        await deferLater(reactor, pause)
        again = await deferToThread(Socket, node, DONE, client.stream, client.number)
        self.assertIsNone(again.error)
        return again

    def _judge(self, wanted: set[str], events: list[dict[str, Any]]) -> None:
        numbers = [event["number"] for event in events]
        self.assertEqual(numbers, sorted(set(numbers)))
        first: dict[str, int] = {}
        final: dict[str, int] = {}
        for event in events:
            if event["type"] == "transaction":
                (final if event["status"] == "final" else first).setdefault(event["txid"], event["number"])
        self.assertEqual(wanted - set(final), set(), "told as final")
        heights = [event["height"] for event in events if event["type"] == "block"]
        self.assertEqual(sorted(set(heights)), list(range(1, max(heights) + 1)))

    async def _page(self, node: Node, wanted: set[str]) -> None:
        """getfinalityevents has the same numbers, also of before this start."""
        found: set[str] = set()
        since = 0
        while not wanted <= found:
            page = await node.call("getfinalityevents", since, 5_000, 100)
            self.assertFalse(page["missed"])
            self.assertTrue(page["events"])
            found |= {event["txid"] for event in page["events"] if event["status"] == "final"}
            since = page["next"]

    async def _refusals(self, node: Node, client: Socket) -> None:
        gone = await deferToThread(Socket, node, ["blocks"], "ab" * 16, 1)
        self.assertEqual((gone.error or {})["code"], -32010)
        self.assertEqual((gone.error or {})["data"]["stream"], client.stream)
        await deferToThread(gone.end)
        await self._status(410, node, ["blocks"], "ab" * 16 + "-1")
        await self._status(410, node, ["blocks"], str(1 << 40))
        await self._status(400, node, ["nonsense"])
        cookie = node.files.cookie.read_bytes()
        node.files.cookie.write_bytes(b"__cookie__:wrong")
        try:
            await self._status(401, node, ["blocks"])
        finally:
            node.files.cookie.write_bytes(cookie)

    async def _status(self, status: int, node: Node, topics: list[str], since: str = "") -> None:
        error = await self.assertFailure(deferToThread(Stream, node, topics, "", since), urllib.error.HTTPError)
        self.assertEqual(error.code, status)
        error.close()

    async def _slow(self, node: Node) -> None:
        """One that asks for everything and reads nothing is cut; the node did not keep it in memory."""
        before = time.monotonic()
        held = await deferToThread(_ask_and_do_not_read, node)
        self.assertLess(time.monotonic() - before, 40)
        self.assertLess(held, 1_000_000)
        await node.call("getblockcount")


def _archived(events: list[dict[str, Any]]) -> set[str]:
    return {event["txid"] for event in events if event.get("status") == "archived"}


def _ask_and_do_not_read(node: Node) -> int:
    """How many bytes came until the end, read after a long while."""
    host, port = node.files.rpc_url.removeprefix("http://").rstrip("/").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(20)
        client.connect((host, int(port)))
        head = (
            f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: {authorization(node)}\r\n\r\n"
        )
        client.sendall(head.encode())
        assert b"101" in client.recv(200)
        call = {"jsonrpc": "2.0", "method": "subscribe", "params": {"topics": ["finality"], "since": 0}}
        # Ever again from the beginning: more than any buffer takes.
        for _ in range(60):
            client.sendall(_frame(json.dumps(call).encode()))
            time.sleep(0.05)
        time.sleep(13)
        count = 0
        try:
            while data := client.recv(65_536):
                count += len(data)
        except ConnectionResetError:
            pass
        return count


def _frame(payload: bytes) -> bytes:
    """A masked text frame (RFC 6455); the mask is zero."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload
