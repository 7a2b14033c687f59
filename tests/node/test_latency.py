"""The window of times to final."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.node.latency import Latency
from timecoin.rpc.facade import LatencyInfo


class LatencyTest(SynchronousTestCase):
    def test_nothing_yet(self) -> None:
        self.assertEqual(Latency().report(), LatencyInfo(0, None, None, None))

    def test_nearest_rank(self) -> None:
        latency = Latency()
        for milliseconds in range(200, 0, -1):
            latency.add(milliseconds)
        self.assertEqual(latency.report(), LatencyInfo(200, 100, 198, 200))

    def test_only_the_newest_count(self) -> None:
        latency = Latency(window=2)
        for milliseconds in (900, 5, 7):
            latency.add(milliseconds)
        self.assertEqual(latency.report(), LatencyInfo(2, 5, 7, 7))
