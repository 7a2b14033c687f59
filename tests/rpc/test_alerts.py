"""Each alert is raised by what it speaks of and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_node import FakeNode
from timecoin.rpc import facade as face
from timecoin.rpc.alerts import alerts


class AlertsTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = FakeNode(Clock())
        self.change("chain", lambda info: replace(info, syncing=False, best_height=1))
        due = self.node.now_ms() // 1000 + 5
        self.change("consensus", lambda info: replace(info, next_slot=due))

    def change(self, name: str, change: Callable[[Any], Any]) -> None:
        before = getattr(self.node, name)
        setattr(self.node, name, lambda: change(before()))

    def found(self) -> list[tuple[str, str]]:
        return [(alert["level"], alert["code"]) for alert in alerts(self.node)]

    def test_none_when_all_is_well(self) -> None:
        self.assertEqual(self.found(), [])

    def test_a_chain_that_is_too_old_to_be_gone_on_with(self) -> None:
        self.change("chain", lambda info: replace(info, returning="looking for peers"))
        self.assertEqual(self.found(), [("error", "old-chain")])
        self.assertIn("looking for peers", alerts(self.node)[0]["text"])

    def test_a_silent_masternode(self) -> None:
        self.change("consensus", lambda info: replace(info, abstains="its journal is not complete"))
        self.assertEqual(self.found(), [("error", "silent")])
        self.assertIn("its journal is not complete", alerts(self.node)[0]["text"])
        self.change("consensus", lambda info: replace(info, masternode_id=None))
        self.assertEqual(self.found(), [])

    def test_no_quorum_is_connected(self) -> None:
        self.change("consensus", lambda info: replace(info, connected_power=74))
        self.assertEqual(self.found(), [])
        self.change("consensus", lambda info: replace(info, connected_power=73))
        self.assertEqual(self.found(), [("error", "no-quorum")])
        self.assertIn("73 of 110 power, a quorum is 74", alerts(self.node)[0]["text"])

    def test_behind(self) -> None:
        self.change("chain", lambda info: replace(info, syncing=True, best_height=9))
        self.assertEqual(self.found(), [("warning", "syncing")])
        self.assertIn("block 1 of 9", alerts(self.node)[0]["text"])

    def test_an_epoch_that_does_not_close(self) -> None:
        self.node.clock.advance(5 + 31)
        self.assertEqual(self.found(), [("error", "epoch-overdue")])

    def test_the_clock(self) -> None:
        for offset, expected in ((1_000, []), (-1_001, [("warning", "clock")])):
            self.change("network_info", lambda info, offset=offset: replace(info, offset_ms=offset))
            self.assertEqual(self.found(), expected)
        tolerance = self.node.parameters.clock_tolerance
        self.change("network_info", lambda info: replace(info, offset_ms=tolerance + 1))
        self.assertEqual(self.found(), [("error", "clock")])

    def test_connections(self) -> None:
        self.change("network_info", lambda info: replace(info, inbound=0, outbound=0))
        self.assertEqual(self.found(), [("error", "alone")])
        self.change("network_info", lambda info: replace(info, active=False, outbound=1))
        self.assertEqual(self.found(), [("error", "network-off")])

    def test_the_machine(self) -> None:
        self.change("pool", lambda stats: replace(stats, usage=stats.max_bytes * 9 // 10))
        self.assertEqual(self.found(), [("warning", "pool")])
        self.change("reactor", lambda _: face.ReactorInfo(10, 1.0, 51.0, 60.0))
        self.node.free = 1_000
        self.assertEqual(self.found(), [("error", "disk"), ("warning", "pool"), ("warning", "late")])
