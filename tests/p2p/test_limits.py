"""Token buckets and the meter of one peer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p.limits import (
    MEMBER_BUDGETS,
    MESSAGE_COST,
    PUBLIC_BUDGETS,
    Budget,
    Meter,
    RateClass,
    TokenBucket,
)
from timecoin.p2p.messages import KINDS

fuzz = settings(deadline=None, derandomize=True, max_examples=100, database=None)


class TokenBucketTests(SynchronousTestCase):
    def test_burst_then_rate(self) -> None:
        bucket = TokenBucket(rate=10, burst=100, now=0)
        self.assertEqual([0, 0, 1000], [bucket.charge(50, 0), bucket.charge(50, 0), bucket.charge(10, 0)])

    def test_the_wait_is_exact(self) -> None:
        bucket = TokenBucket(rate=3, burst=10, now=0)
        wait = bucket.charge(11, 0)
        self.assertEqual(334, wait)
        self.assertEqual(0, bucket.charge(0, wait))

    def test_never_fuller_than_the_burst(self) -> None:
        bucket = TokenBucket(rate=10, burst=100, now=0)
        self.assertEqual(0, bucket.charge(100, 10**9))
        self.assertEqual(100, bucket.charge(1, 10**9))

    def test_a_clock_that_steps_back_gives_nothing(self) -> None:
        bucket = TokenBucket(rate=10, burst=10, now=10_000)
        bucket.charge(10, 10_000)
        self.assertEqual(100, bucket.charge(1, 5_000))
        self.assertEqual(0, bucket.charge(0, 5_100))

    @fuzz
    @given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 2000)), max_size=60))
    def test_waiting_as_told_keeps_to_the_rate(self, charges: list[tuple[int, int]]) -> None:
        bucket, now, spent = TokenBucket(rate=100, burst=300, now=0), 0, 0
        for cost, pause in charges:
            now += pause
            spent += cost
            now += bucket.charge(cost, now)
            self.assertLessEqual(spent, 300 + now * 100 / 1000)


class MeterTests(SynchronousTestCase):
    def meter(self, patient: bool = False) -> Meter:
        budgets = {name: Budget(1_000, 2_000, patient) for name in RateClass}
        return Meter(budgets, 0, overload_ms=10_000)

    def lean(self, meter: Meter, until: int) -> None:
        now = 0
        while now < until:
            now += meter.charge(RateClass.TRANSACTIONS, 1_000, now)

    def test_classes_do_not_share(self) -> None:
        meter = self.meter()
        self.assertGreater(meter.charge(RateClass.TRANSACTIONS, 10_000, 0), 0)
        self.assertEqual(0, meter.charge(RateClass.CONSENSUS, 1_000, 0))

    def test_small_messages_cost_too(self) -> None:
        meter = self.meter()
        waits = [meter.charge(RateClass.CONTROL, 6, 0) for _ in range(2_000 // MESSAGE_COST + 1)]
        self.assertEqual(0, waits[0])
        self.assertGreater(waits[-1], 0)

    def test_sustained_overload(self) -> None:
        meter = self.meter()
        self.lean(meter, 9_000)
        self.assertFalse(meter.overloaded)
        self.lean(meter := self.meter(), 12_000)
        self.assertTrue(meter.overloaded)

    def test_a_rest_begins_a_new_stretch(self) -> None:
        meter = self.meter()
        self.lean(meter, 9_000)
        self.assertGreater(meter.charge(RateClass.TRANSACTIONS, 9_000, 15_000), 0)
        self.assertFalse(meter.overloaded)

    def test_a_patient_class_never_overloads(self) -> None:
        meter = self.meter(patient=True)
        self.lean(meter, 100_000)
        self.assertFalse(meter.overloaded)

    def test_the_largest_message_fits_every_burst(self) -> None:
        for budgets in (PUBLIC_BUDGETS, MEMBER_BUDGETS):
            for kind in KINDS:
                self.assertGreaterEqual(budgets[kind.rate_class].burst, kind.limit + MESSAGE_COST)
