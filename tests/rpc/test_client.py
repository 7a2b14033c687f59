"""Both clients against a real server on loopback."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.rpc.fake_node import NETWORK, FakeNode
from timecoin.primitives.hashes import display
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.client import BlockingClient, RpcFailure, RpcUnreachable, read_batch, read_call, value_of
from timecoin.rpc.service import RpcService


class Nonsense(Protocol):
    """Speaks no HTTP."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"220 mail.example.org ESMTP\r\n\r\n")


class AnswersOnce(Protocol):
    """Answers one request of a connection, and closes it at the second, as a node does that goes down."""

    asked: list[bytes]
    answered = False

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.asked.append(data)
        if self.answered:
            self.transport.loseConnection()
            return
        self.answered = True
        self.transport.write(b'HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{"result":7,"error":null}    ')


class PayingOnceTests(TestCase):
    async def setUp(self) -> None:
        self.cookie = Path(self.mktemp())
        self.cookie.write_text("a:b")
        self.asked: list[bytes] = []
        AnswersOnce.asked = self.asked
        port = reactor.listenTCP(0, Factory.forProtocol(AnswersOnce), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}"

    def paid(self) -> int:
        return b"".join(self.asked).count(b"sendtoaddress")

    async def test_the_async_client(self) -> None:
        client = AsyncClient(reactor, self.url, self.cookie)
        self.addCleanup(client.close)
        await client.call("uptime")
        with self.assertRaises(RpcUnreachable):
            await client.call("sendtoaddress", "x", 1)
        self.assertEqual(self.paid(), 1)

    async def test_the_blocking_client(self) -> None:
        def both() -> Any:
            client = BlockingClient(self.url, self.cookie, 5)
            try:
                client.call("uptime")
                return client.call("sendtoaddress", "x", 1)
            finally:
                client.close()

        self.assertEqual(await deferToThread(both), 7)
        self.assertEqual(b"".join(self.asked).count(b"POST"), 2)


class StrangeAnswerTests(SynchronousTestCase):
    """Whatever stands where the node should be: a client only ever says that there is no node."""

    def test_text_that_is_no_utf_8(self) -> None:
        self.assertRaises(RpcUnreachable, read_call, 200, b'{"result":null,"error":{"me\xff":1}}')
        self.assertRaises(RpcUnreachable, read_batch, 200, b'[{"error":{"me\xff":1}}]')

    def test_a_result_that_cannot_be_read(self) -> None:
        for result in (b'"\xff"', b'"\\ud800"', b"[" * 50_000 + b"]" * 50_000):
            answer = b'{"result":' + result + b"}"
            self.assertRaises(RpcUnreachable, lambda answer=answer: value_of(read_call(200, answer)))
            self.assertRaises(RpcUnreachable, read_batch, 200, b"[" + answer + b"]")

    def test_nested_too_deeply(self) -> None:
        for key in (b"id", b"other", b"error"):
            body = b'{"' + key + b'":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
            self.assertRaises(
                RpcUnreachable, lambda body=body: value_of(read_call(200, b"{" + body[1:])) or self.fail()
            )


class ClientCase(TestCase):
    async def setUp(self) -> None:
        self.cookie = Path(self.mktemp())
        self.node = FakeNode(reactor)  # type: ignore[arg-type]
        await self.serve("tcp:0:interface=127.0.0.1")

    async def serve(self, endpoint: str) -> None:
        self.service = RpcService(reactor, self.node, [endpoint], self.cookie)
        await self.service.startService()
        self.port = self.service.ports[0].getHost().port
        self.url = f"http://127.0.0.1:{self.port}"
        self.addCleanup(self.service.stopService)

    def client(self) -> AsyncClient:
        client = AsyncClient(reactor, self.url, self.cookie)
        self.addCleanup(client.close)
        return client

    async def failing(self, work: Any) -> Exception:
        try:
            await work
        except (RpcFailure, RpcUnreachable) as problem:
            return problem
        raise self.failureException("it did not fail")


class AsyncClientTests(ClientCase):
    async def test_calls(self) -> None:
        client = self.client()
        self.assertEqual(await client.call("getblockcount"), 1)
        fund = NETWORK.funds[1]
        self.assertEqual((await client.call("gettxout", display(fund.txid), fund.vout))["value"], Decimal(5))
        problem = await self.failing(client.call("getblockhash", 9))
        assert isinstance(problem, RpcFailure)
        self.assertEqual((problem.code, problem.message), (-8, "Block height out of range"))

    async def test_side_by_side_on_one_connection(self) -> None:
        client = self.client()
        calls = [Deferred.fromCoroutine(client.call("getblockhash", n % 2)) for n in range(200)]
        answers = await gatherResults(calls)
        hashes = [display(block.header.hash) for block in self.node.blocks]
        self.assertEqual(answers, hashes * 100)
        self.assertEqual(len(self.service.factory.channels), 1)

    async def test_batch(self) -> None:
        answers = await self.client().batch([("getblockcount", []), ("getblockhash", [9]), ("uptime", [])])
        self.assertEqual((answers[0], answers[2] >= 61), (1, True))
        self.assertEqual(answers[1].code, -8)

    async def test_a_node_that_comes_back_with_another_cookie(self) -> None:
        client = self.client()
        await client.call("getblockcount")
        await self.service.stopService()
        self.assertIsInstance(await self.failing(client.call("getblockcount")), RpcUnreachable)
        await self.serve(f"tcp:{self.port}:interface=127.0.0.1")
        self.assertEqual(await client.call("getblockcount"), 1)

    async def test_nobody_there(self) -> None:
        await self.service.stopService()
        problem = await self.failing(self.client().call("getblockcount"))
        self.assertIn("is the node running?", str(problem))
        self.cookie.write_text("__cookie__:00")
        self.assertIn("cannot reach 127.0.0.1", str(await self.failing(self.client().call("getblockcount"))))

    async def test_the_wrong_cookie(self) -> None:
        self.cookie.write_text("__cookie__:00")
        problem = await self.failing(self.client().call("getblockcount"))
        self.assertIn("does not accept the cookie", str(problem))
        self.assertIn("cookie", str(await self.failing(self.client().batch([("uptime", [])]))))

    async def test_something_else_there(self) -> None:
        port = reactor.listenTCP(0, Factory.forProtocol(Nonsense), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        client = AsyncClient(reactor, f"http://127.0.0.1:{port.getHost().port}", self.cookie)
        self.assertIsInstance(await self.failing(client.call("getblockcount")), RpcUnreachable)


class BlockingClientTests(ClientCase):
    def run_in_thread(self, work: Any) -> Deferred[Any]:
        client = BlockingClient(self.url, self.cookie, timeout=5)
        return deferToThread(work, client).addBoth(lambda result: (client.close(), result)[1])

    async def test_calls(self) -> None:
        def work(client: BlockingClient) -> list[Any]:
            first = client.call("getblockhash", 0)
            return [first, client.call("getblockhash", height=0), client.batch([("getblockcount", [])])]

        first = display(self.node.blocks[0].header.hash)
        self.assertEqual(await self.run_in_thread(work), [first, first, [1]])

    async def test_amounts_as_the_node_wrote_them(self) -> None:
        fund = NETWORK.funds[1]
        raw = await self.run_in_thread(lambda client: client.call_raw("gettxout", [display(fund.txid), fund.vout]))
        self.assertIn(b'"value":5.00000000,', raw)

    async def test_failures(self) -> None:
        problem = await self.failing(self.run_in_thread(lambda client: client.call("getblockhash", 9)))
        self.assertEqual(str(problem), "Block height out of range (code -8)")
        self.cookie.write_text("__cookie__:00")
        problem = await self.failing(self.run_in_thread(lambda client: client.call("getblockcount")))
        self.assertIn("does not accept the cookie", str(problem))

    async def test_a_connection_that_the_node_closed_is_replaced(self) -> None:
        client = BlockingClient(self.url, self.cookie, timeout=5)
        self.addCleanup(client.close)
        self.assertEqual(await deferToThread(client.call, "getblockcount"), 1)
        for channel in list(self.service.factory.channels):
            channel.transport.loseConnection()
        self.assertEqual(await deferToThread(client.call, "getblockcount"), 1)


class ServiceTests(ClientCase):
    async def test_the_cookie_is_there_while_it_runs(self) -> None:
        self.assertTrue(self.cookie.exists())
        await self.service.stopService()
        self.assertFalse(self.cookie.exists())

    async def test_a_port_in_use_leaves_no_cookie(self) -> None:
        other = Path(self.mktemp())
        second = RpcService(reactor, self.node, [f"tcp:{self.port}:interface=127.0.0.1"], other)
        try:
            await second.startService()
        except Exception as problem:
            self.assertIn("in use", str(problem))
        self.assertFalse(other.exists())
