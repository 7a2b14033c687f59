"""Timers that no step of the system clock moves."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from timecoin.ops.steady import make_steady, steady_clock


class SteadyTest(SynchronousTestCase):
    def test_begins_with_the_system_clock_and_goes_on_evenly(self) -> None:
        wall, monotonic = [1_700_000_000.0], [50.0]
        clock = steady_clock(lambda: wall[0], lambda: monotonic[0])
        self.assertEqual(clock(), 1_700_000_000.0)
        wall[0] -= 3_600
        monotonic[0] += 2.5
        self.assertEqual(clock(), 1_700_000_002.5)

    def test_a_reactor_measures_by_it(self) -> None:
        reactor = SimpleNamespace(seconds=None)
        make_steady(reactor)
        self.assertLessEqual(reactor.seconds(), reactor.seconds())
