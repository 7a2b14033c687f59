"""Virtual time."""

from __future__ import annotations

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.clock import Clock


class ClockTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock(1_000)
        self.happened: list[tuple[int, str]] = []

    def plan(self, delay: int, name: str) -> None:
        setattr(self, name, self.clock.after(delay, partial(self.note, name)))

    def note(self, name: str) -> None:
        self.happened.append((self.clock.now, name))

    def test_in_order_of_time_then_of_planning(self) -> None:
        for delay, name in ((5, "a"), (0, "b"), (5, "c"), (3, "d")):
            self.plan(delay, name)
        self.assertFalse(self.clock.run_until(2_000))
        self.assertEqual(self.happened, [(1_000, "b"), (1_003, "d"), (1_005, "a"), (1_005, "c")])
        self.assertEqual(self.clock.now, 2_000)

    def test_cancel(self) -> None:
        call = self.clock.after(5, partial(self.note, "a"))
        call.cancel()
        call.cancel()
        self.assertFalse(call.active)
        self.assertFalse(self.clock.step())
        self.assertRaises(ValueError, call.reset, 3)
        self.assertRaises(ValueError, call.delay, 3)

    def test_reset_to_later_and_to_earlier(self) -> None:
        late, early = (self.clock.after(10, partial(self.note, name)) for name in ("late", "early"))
        self.plan(10, "still")
        late.reset(20)
        early.reset(5)
        self.clock.run_until(1_100)
        self.assertEqual(self.happened, [(1_005, "early"), (1_010, "still"), (1_020, "late")])

    def test_reset_counts_from_now_and_goes_behind_its_instant(self) -> None:
        call = self.clock.after(10, partial(self.note, "a"))
        self.plan(12, "b")
        self.clock.after(2, lambda: call.reset(10))
        self.clock.run_until(1_100)
        self.assertEqual(self.happened, [(1_012, "b"), (1_012, "a")])

    def test_delay_counts_from_when_it_was_due(self) -> None:
        call = self.clock.after(10, partial(self.note, "a"))
        self.clock.after(2, lambda: call.delay(7))
        self.clock.run_until(1_100)
        self.assertEqual(self.happened, [(1_017, "a")])
        self.assertFalse(call.active)

    def test_the_past_cannot_be_planned(self) -> None:
        self.assertRaises(ValueError, self.clock.after, -1, partial(self.note, "a"))
        call = self.clock.after(1, partial(self.note, "a"))
        self.assertRaises(ValueError, call.delay, -2)

    def test_stops_when_told_and_where_told(self) -> None:
        for delay in (1, 2, 3):
            self.plan(delay, str(delay))
        self.assertTrue(self.clock.run_until(1_100, lambda: len(self.happened) == 2))
        self.assertEqual(self.clock.now, 1_002)
        self.assertEqual(self.clock.next_time(), 1_003)
