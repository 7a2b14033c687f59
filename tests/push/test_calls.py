"""Calls of WebSocket clients: answers, every documented error, and what is thrown at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.push.fakes import STREAM, NotedSink, Source, block, change
from timecoin.node.gauges import add_push_figures
from timecoin.ops.metrics import NodeMetrics
from timecoin.push import asyncapi
from timecoin.push.calls import answer
from timecoin.push.hub import Hub, Limits
from timecoin.push.messages import CLOSES, ERRORS, event_of
from timecoin.push.topics import parse

DOCS = Path(__file__).parents[2] / "docs"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


class CallsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = Source()
        self.source.publish(change(1), block(2))
        self.hub = Hub(Clock(), self.source, "timed", Limits(topics=2))
        self.client = self.hub.join(NotedSink())

    def call(self, method: str, call_id: Any = 1, **params: Any) -> dict[str, Any]:
        return self.send(json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}).encode())

    def send(self, message: bytes) -> dict[str, Any]:
        reply = answer(self.hub, self.client, message)
        assert reply is not None
        found: dict[str, Any] = json.loads(reply)
        return found

    def code(self, method: str, **params: Any) -> int:
        return int(self.call(method, **params)["error"]["code"])


class CallsTest(CallsTestCase):
    def test_subscribe_and_unsubscribe(self) -> None:
        told = self.call("subscribe", "a", topics=["blocks", "finality"])
        self.assertEqual(
            told,
            {"jsonrpc": "2.0", "id": "a", "result": {"stream": STREAM, "number": 2, "topics": ["blocks", "finality"]}},
        )
        self.assertEqual(self.call("subscribe", topics=["blocks"], since=0, stream=STREAM)["result"]["number"], 0)
        self.assertEqual(self.call("unsubscribe", topics=["blocks", "blocks"])["result"]["topics"], ["finality"])

    def test_a_notification_is_not_answered(self) -> None:
        message = b'{"method":"subscribe","params":{"topics":["blocks"]}}'
        self.assertIsNone(answer(self.hub, self.client, message))
        self.assertEqual(list(self.client.topics), ["blocks"])
        self.assertEqual(self.send(b'{"method":"x"}')["error"]["code"], -32601)

    def test_errors(self) -> None:
        codes = {
            self.send(b"{")["error"]["code"],
            self.send(b"\xff")["error"]["code"],
        }
        self.assertEqual(codes, {-32700})
        self.assertEqual(
            [self.send(each)["error"]["code"] for each in (b"[]", b"1", b"{}", b'{"method":1}')], [-32600] * 4
        )
        self.assertEqual(self.code("publish"), -32601)
        for wrong in (
            {},
            {"topics": []},
            {"topics": ["nonsense"]},
            {"topics": [1]},
            {"topics": "blocks"},
            {"topics": ["blocks"], "since": -1},
            {"topics": ["blocks"], "since": "1"},
            {"topics": ["blocks"], "more": 1},
            {"topics": ["blocks"] * 1_001},
        ):
            self.assertEqual(self.code("subscribe", **wrong), -32602, wrong)
        self.assertEqual(self.code("unsubscribe", topics=["blocks"]), -32602)
        gone = self.call("subscribe", topics=["blocks"], since=3)["error"]
        self.assertEqual((gone["code"], gone["data"]), (-32010, {"stream": STREAM, "first": 1, "last": 2}))
        self.assertEqual(self.code("subscribe", topics=["blocks"], since=1, stream="cd" * 16), -32010)
        self.assertEqual(self.code("subscribe", topics=["blocks", "finality", "finality:final"]), -32011)
        self.assertEqual(self.hub.subscriptions, 0)

    @settings(deadline=None, derandomize=True, max_examples=150, database=None)
    @given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
    def test_anything(self, message: bytes) -> None:
        self._anything(message)

    @settings(deadline=None, derandomize=True, max_examples=150, database=None)
    @given(JSON, st.sampled_from(["subscribe", "unsubscribe"]))
    def test_any_parameters(self, params: Any, method: str) -> None:
        self._anything(json.dumps({"id": 1, "method": method, "params": params}).encode())

    def _anything(self, message: bytes) -> None:
        self.setUp()
        reply = answer(self.hub, self.client, message)
        if reply is not None and "error" in json.loads(reply):
            self.assertIn(json.loads(reply)["error"]["code"], ERRORS)


class DocumentTest(CallsTestCase):
    """docs/asyncapi.json is made of the structs, and what is sent fits it."""

    def test_it_is_up_to_date(self) -> None:
        kept = (DOCS / "asyncapi.json").read_text()
        self.assertEqual(kept, asyncapi.render(), "python -m timecoin.push.asyncapi > docs/asyncapi.json")

    def test_references_lead_somewhere(self) -> None:
        document = asyncapi.document()

        def look(value: Any) -> None:
            if isinstance(value, dict):
                if "$ref" in value:
                    found: Any = document
                    for part in value["$ref"].removeprefix("#/").split("/"):
                        found = found[part]
                for each in value.values():
                    look(each)
            elif isinstance(value, list):
                for each in value:
                    look(each)

        look(document)

    def check(self, name: str, value: Any) -> None:
        document = asyncapi.document()
        schema = {"$ref": f"#/components/messages/{name}/payload", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    def test_what_is_sent_fits(self) -> None:
        self.check("Answer", self.call("subscribe", topics=["blocks"]))
        self.check("Refusal", self.call("subscribe", topics=["blocks"], since=9))
        self.check("Refusal", self.send(b"x"))
        for record in (change(1), change(2, "pending"), block(3)):
            value = json.loads(asyncapi.msgspec.json.encode(event_of(record, ["finality"])))
            self.check("BlockEvent" if "height" in value else "TransactionEvent", value)
            self.check("EventNote", {"jsonrpc": "2.0", "method": "event", "params": value})
        self.check("subscribe", {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"topics": ["blocks"]}})
        wrong = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"topics": []}}
        self.assertRaises(jsonschema.ValidationError, self.check, "subscribe", wrong)

    def test_codes_are_told(self) -> None:
        text = asyncapi.document()["info"]["description"]
        for code in (*ERRORS, *CLOSES):
            self.assertIn(str(code), text)

    def test_the_figures_are_explained(self) -> None:
        metrics = NodeMetrics()
        before = {family.name for family in metrics.registry.collect()}
        add_push_figures(metrics, MagicMock(), MagicMock(size=1))
        page = (DOCS / "operators" / "push.rst").read_text().replace("``, ``_last``", "``, ``timecoin_push_log_last``")
        for family in {family.name for family in metrics.registry.collect()} - before:
            self.assertIn(f"``{family}", page)

    def test_topics_of_the_page(self) -> None:
        page = (DOCS / "operators" / "push.rst").read_text()
        for topic in ("blocks", "finality", "finality:final,rejected"):
            self.assertIn(f"``{topic}``", page)
            parse(topic, "timed")
