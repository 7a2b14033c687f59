"""Traces that a human can read."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p import messages as wire
from timecoin.simulation.life import live
from timecoin.simulation.plan import Fault, Options
from timecoin.simulation.planning import make_plan
from timecoin.simulation.trace import Trace, of_message, readable

LINE = re.compile(r" *\d+\.\d{3} (node \d+|network) +\S")


class TraceTest(SynchronousTestCase):
    def test_one_line_an_event(self) -> None:
        trace = Trace()
        live(make_plan(Options(seed=11, nodes=4, epochs=1, profile="border")), trace)
        lines = list(trace.lines())
        for line in lines:
            self.assertRegex(line, LINE)
            self.assertNotIn("\n", line)
        text = "\n".join(lines)
        for said in (
            "-> 1",
            "FAULT",
            "HEALED",
            "bundle e1 s",
            "votes ",
            "acks ",
            "SEAL",
            "proposal s",
            "closing",
            "prevote s",
            "precommit s",
            "status: epoch",
            "stores",
            "journals",
            "reports",
            "journal intact, lease ",
        ):
            self.assertIn(said, text)

    def test_times_ascend(self) -> None:
        trace = Trace()
        live(make_plan(Options(seed=12, nodes=4, epochs=1)), trace)
        times = [float(line.split()[0]) for line in trace.lines()]
        self.assertEqual(times, sorted(times))

    def test_is_bounded(self) -> None:
        trace = Trace(limit=10)
        for number in range(25):
            trace.note(number * 1_000, None, "counts", number)
        lines = list(trace.lines())
        self.assertEqual(lines[0], "... 15 events before")
        self.assertEqual(len(lines), 11)
        self.assertEqual(next(trace.lines(2)), "... 23 events before")
        self.assertEqual(len(list(trace.lines(2))), 3)

    def test_garbage_is_named(self) -> None:
        self.assertEqual(of_message(wire.Bundles((b"x",))), "(garbage for a bundle)")
        self.assertEqual(of_message(wire.Tx((b"x",))), "transactions (garbage)")
        self.assertIn("GetBlocks: from_height 1, count 2", of_message(wire.GetBlocks(1, 2)))

    def test_faults(self) -> None:
        fault = Fault(1_500_000, "held", (1, 2), 2_000_000, 1, "acks")
        self.assertEqual(readable(fault), "held nodes [1, 2] 1 acks until 2.000")
