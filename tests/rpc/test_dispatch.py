"""JSON-RPC: forms of requests, errors, batches, notifications. Expected answers are Bitcoin Core 28's."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_node import FakeNode, pay
from timecoin.primitives.hashes import display
from timecoin.rpc.dispatch import Bounds, Dispatcher, Reply
from timecoin.rpc.methods import all_methods
from timecoin.rpc.table import Context


class DispatchCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.node = FakeNode(self.clock)
        self.dispatcher = Dispatcher(self.clock, Context(self.node, all_methods()), Bounds(batch=1000))

    def answer(self, body: bytes) -> Reply:
        answer = self.dispatcher.answer(body)
        if isinstance(answer, Deferred):
            self.clock.pump([0] * 50)
            answer = self.successResultOf(answer)
        return answer

    def error(self, body: bytes) -> tuple[int, int, Any]:
        reply = self.answer(body)
        shown = json.loads(reply.body)
        self.assertIsNone(shown["result"])
        return reply.status, shown["error"]["code"], shown["id"]


class SingleTests(DispatchCase):
    def test_an_answer(self) -> None:
        reply = self.answer(b'{"method":"getblockcount","params":[],"id":"x"}')
        self.assertEqual(reply, Reply(200, b'{"result":1,"error":null,"id":"x"}\n'))

    def test_what_may_be_left_out(self) -> None:
        self.assertEqual(self.answer(b'{"method":"getblockcount"}').body, b'{"result":1,"error":null,"id":null}\n')
        self.assertEqual(self.answer(b'{"method":"getblockcount","params":null,"jsonrpc":"1.0"}').status, 200)

    def test_no_json(self) -> None:
        for body in (
            b"",
            b"{",
            b"nonsense",
            b'{"method":"a"}x',
            b'"\xff"',
            b"[" * 10_000,
            b"[1e" + b"1" * 60 + b"]",
            b"[1." + b"1" * 200 + b"]",
            b'{"a":NaN}',
        ):
            self.assertEqual(self.error(body), (500, -32700, None))

    def test_no_request(self) -> None:
        for body in (b"1", b'"x"', b"null", b"true"):
            self.assertEqual(self.error(body), (500, -32700, None))
        for body in (
            b'{"id":5}',
            b'{"id":5,"method":7}',
            b'{"id":5,"method":"getblockcount","params":3}',
            b'{"id":5,"method":"getblockcount","params":"x"}',
            b'{"id":5,"method":"getblockcount","jsonrpc":2.0}',
            b'{"id":5,"method":"getblockcount","jsonrpc":"3.0"}',
        ):
            self.assertEqual(self.error(body), (400, -32600, 5))

    def test_statuses(self) -> None:
        self.assertEqual(self.error(b'{"method":"nothing","id":1}'), (404, -32601, 1))
        self.assertEqual(self.error(b'{"method":"getblockhash","params":[9],"id":1}'), (500, -8, 1))

    def test_numbers_and_ids_come_back_as_they_came(self) -> None:
        for identity in (b'"a"', b"12345678901234567890", b"null", b'{"a":[1]}', b"1.50"):
            reply = self.answer(b'{"method":"getblockcount","id":' + identity + b"}")
            self.assertTrue(reply.body.endswith(b'"id":' + identity + b"}\n"), reply.body)


class ModernTests(DispatchCase):
    def test_an_answer_has_one_of_result_and_error(self) -> None:
        reply = self.answer(b'{"jsonrpc":"2.0","method":"getblockcount","id":1}')
        self.assertEqual(reply, Reply(200, b'{"jsonrpc":"2.0","result":1,"id":1}\n'))
        reply = self.answer(b'{"jsonrpc":"2.0","method":"nothing","id":1}')
        self.assertEqual(reply.status, 200)
        self.assertEqual(json.loads(reply.body)["error"]["code"], -32601)
        self.assertNotIn("result", json.loads(reply.body))

    def test_notifications_are_done_and_not_answered(self) -> None:
        self.assertEqual(self.answer(b'{"jsonrpc":"2.0","method":"stop"}'), Reply(204, b""))
        self.assertTrue(self.node.stopped)
        self.assertEqual(self.answer(b'{"jsonrpc":"2.0","method":"nothing"}'), Reply(204, b""))
        self.assertEqual(self.answer(b'{"jsonrpc":"2.0","method":"getblockcount","id":null}').status, 200)


class BatchTests(DispatchCase):
    def batch(self, *calls: Any) -> list[Any]:
        reply = self.answer(json.dumps(calls).encode())
        self.assertEqual(reply.status, 200)
        shown: list[Any] = json.loads(reply.body)
        return shown

    def test_answers_in_order_errors_beside_results(self) -> None:
        shown = self.batch(
            {"method": "getblockcount", "id": 1},
            7,
            {"method": "nothing", "id": 2},
            {"method": "uptime", "id": 3},
        )
        self.assertEqual([each["id"] for each in shown], [1, None, 2, 3])
        self.assertEqual(shown[0], {"result": 1, "error": None, "id": 1})
        self.assertEqual([each["error"]["code"] for each in shown[1:3]], [-32600, -32601])

    def test_empty(self) -> None:
        self.assertEqual(self.answer(b"[]"), Reply(200, b"[]\n"))

    def test_only_notifications(self) -> None:
        self.assertEqual(self.answer(b'[{"jsonrpc":"2.0","method":"uptime"}]'), Reply(204, b""))

    def test_the_limit(self) -> None:
        call = {"method": "getblockcount"}
        self.assertEqual(len(self.batch(*[call] * 1000)), 1000)
        status, code, _ = self.error(json.dumps([call] * 1001).encode())
        self.assertEqual((status, code), (400, -32600))

    def test_calls_of_one_method_wait_together(self) -> None:
        self.node.submit_answer = gate = Deferred()
        txs = [pay(n) for n in range(3)]
        calls = [{"method": "sendrawtransaction", "params": [tx.raw.hex()], "id": n} for n, tx in enumerate(txs)]
        answer = self.dispatcher.answer(json.dumps([*calls, {"method": "stop"}]).encode())
        assert isinstance(answer, Deferred)
        self.assertEqual(self.node.submitted, txs)
        self.assertFalse(self.node.stopped, "a call of another method waits for those before it")
        gate.callback(None)
        shown = json.loads(self.successResultOf(answer).body)
        self.assertEqual([each["result"] for each in shown[:3]], [display(tx.txid) for tx in txs])
        self.assertTrue(self.node.stopped)

    def test_a_long_batch_lets_others_have_the_reactor(self) -> None:
        answer = self.dispatcher.answer(json.dumps([{"method": "getblockcount"}] * 120).encode())
        assert isinstance(answer, Deferred)
        self.assertNoResult(answer)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(answer).body.count(b"result"), 120)

    def test_one_that_fails_leaves_the_others(self) -> None:
        self.node.submit_answer = ZeroDivisionError()
        raw = pay(1).raw.hex()
        shown = self.batch({"method": "sendrawtransaction", "params": [raw]}, {"method": "getblockcount"})
        self.assertEqual((shown[0]["error"]["code"], shown[1]["result"]), (-1, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
