"""Numbered events, and those who wait for them."""

from __future__ import annotations

import inspect
import re

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from timecoin.consensus import effects as fx
from timecoin.consensus.effects import Change
from timecoin.node import reports as module
from timecoin.node.reports import POLL_DELAY, Reports, TooManyWaiters
from timecoin.ops.metrics import NodeMetrics
from timecoin.rpc.methods_finality import getfinalityevents


def txid(number: int) -> bytes:
    return number.to_bytes(32, "little")


class ReportsTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = NodeMetrics()
        self.reports = self.make()

    def make(self) -> Reports:
        return Reports(self.clock, self.metrics)

    def add(self, number: int, change: Change = Change.FINAL, milliseconds: int | None = None) -> None:
        self.reports.add(fx.Report(txid(number), change, milliseconds), 1_000 + number)

    def numbers(self, since: int, limit: int = 100) -> list[int]:
        return [event.number for event in self.reports.page(since, limit).events]

    def test_what_is_reported_is_what_is_promised(self) -> None:
        promised = re.search(r"of this status: ([a-z, ]+);", inspect.getdoc(getfinalityevents) or "")
        assert promised is not None
        self.assertEqual(re.split(", | or ", promised[1]), [change.value for change in Change])

    # Pages

    def test_nothing_yet(self) -> None:
        page = self.reports.page(0, 10)
        self.assertEqual((page.events, page.first, page.last, page.missed), ((), 1, 0, False))

    def test_numbers_without_gaps(self) -> None:
        for number in range(1, 6):
            self.add(number, Change.REJECTED if number == 3 else Change.ARCHIVED)
        page = self.reports.page(0, 100)
        self.assertEqual([event.number for event in page.events], [1, 2, 3, 4, 5])
        self.assertEqual(page.events[2], (3, txid(3), "rejected", 1_003))
        self.assertEqual((page.first, page.last, page.missed), (1, 5, False))
        self.assertEqual((self.numbers(3), self.numbers(1, 2)), ([4, 5], [2, 3]))
        self.assertEqual((self.numbers(5), self.numbers(99)), ([], []))

    def test_the_newest_are_found_without_going_through_all(self) -> None:
        self.patch(module, "MAX_EVENTS", 1_000)
        self.patch(module, "_SLACK", 100)
        for number in range(1, 3_000):
            self.add(number)
            self.assertLessEqual(len(self.reports._events), 1_101)
        looked: list[object] = []

        class Counting(list):  # type: ignore[type-arg]
            def __getitem__(self, place: object) -> object:
                looked.append(place)
                return super().__getitem__(place)  # type: ignore[index]

            def __iter__(self) -> object:  # type: ignore[override]
                raise AssertionError("went through all")

        self.reports._events = Counting(self.reports._events)
        self.assertEqual(self.numbers(2_990), list(range(2_991, 3_000)))
        self.assertLess(len(looked), 20)
        self.assertEqual((self.numbers(0, 2), self.reports.page(0, 1).missed), ([2_000, 2_001], True))

    def test_many_who_wait_are_answered_in_several_turns(self) -> None:
        polls = [self.reports.poll(0, 10, 60_000) for _ in range(250)]
        self.add(1)
        seen: list[int] = []

        def look() -> None:
            seen.append(sum(each.called for each in polls))
            polls[150].cancel()

        self.clock.callLater(POLL_DELAY, look)
        self.clock.pump([POLL_DELAY, 0, 0])
        self.assertEqual((seen, all(each.called for each in polls)), ([100], True))
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_buffer_is_bounded_and_says_what_is_missed(self) -> None:
        self.patch(module, "MAX_EVENTS", 4)
        self.reports = self.make()
        for number in range(1, 11):
            self.add(number)
        page = self.reports.page(3, 2)
        self.assertEqual([event.number for event in page.events], [7, 8])
        self.assertEqual((page.first, page.last, page.missed), (7, 10, True))
        self.assertEqual([self.reports.page(since, 9).missed for since in (5, 6, 10)], [True, False, False])

    # Polling

    def test_what_is_there_comes_at_once(self) -> None:
        self.add(1)
        self.assertEqual(self.successResultOf(self.reports.poll(0, 10, 5_000)).last, 1)
        self.assertEqual(self.successResultOf(self.reports.poll(1, 10, 0)).events, ())

    def test_a_poll_waits_a_moment_for_more(self) -> None:
        polls = [self.reports.poll(0, 10, 5_000) for _ in range(2)]
        self.add(1)
        self.add(2)
        for poll in polls:
            self.assertNoResult(poll)
        self.clock.advance(POLL_DELAY)
        for poll in polls:
            self.assertEqual(len(self.successResultOf(poll).events), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_poll_times_out(self) -> None:
        self.add(1)
        self.clock.advance(1)
        poll = self.reports.poll(1, 10, 2_000)
        self.clock.advance(1.999)
        self.assertNoResult(poll)
        self.clock.advance(0.001)
        page = self.successResultOf(poll)
        self.assertEqual((page.events, page.last), ((), 1))
        self.add(2)
        self.clock.advance(1)
        self.assertEqual((self.reports._pollers, self.clock.getDelayedCalls()), ({}, []))

    def test_a_poll_that_is_given_up(self) -> None:
        poll = self.reports.poll(0, 10, 60_000)
        poll.cancel()
        self.assertEqual(self.successResultOf(poll).events, ())
        self.assertEqual((self.reports._pollers, self.clock.getDelayedCalls()), ({}, []))

    # Waiting for one transaction

    def test_settled(self) -> None:
        for change in (Change.FINAL, Change.ARCHIVED, Change.REJECTED):
            waits = [self.reports.wait(txid(7), 5_000) for _ in range(2)]
            self.add(8, change)
            self.add(7, Change.CERTIFIED)
            self.assertNoResult(waits[0])
            self.add(7, change)
            for wait in waits:
                self.successResultOf(wait)
        self.clock.advance(1)
        self.assertEqual((self.reports._waiters, self.clock.getDelayedCalls()), ({}, []))

    def test_a_wait_times_out_alone(self) -> None:
        short, long = self.reports.wait(txid(7), 1_000), self.reports.wait(txid(7), 2_000)
        self.clock.advance(1)
        self.successResultOf(short)
        self.assertNoResult(long)
        self.add(7)
        self.successResultOf(long)
        self.assertEqual(self.reports._waiters, {})

    def test_no_time_at_all(self) -> None:
        self.successResultOf(self.reports.wait(txid(7), 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_wait_that_is_given_up(self) -> None:
        """A client that hangs up leaves nothing behind, whether or not the transaction ever turns up."""
        one, two = self.reports.wait(txid(7), 60_000), self.reports.wait(txid(7), 60_000)
        one.cancel()
        self.assertEqual(len(self.reports._waiters[txid(7)]), 1)
        two.cancel()
        self.assertEqual((self.reports._waiters, self.clock.getDelayedCalls()), ({}, []))
        self.add(7)

    def test_waiters_are_bounded_together(self) -> None:
        self.patch(module, "MAX_WAITERS", 2)
        wait, poll = self.reports.wait(txid(1), 1_000), self.reports.poll(0, 1, 1_000)
        self.assertRaises(TooManyWaiters, self.reports.wait, txid(2), 1_000)
        self.assertRaises(TooManyWaiters, self.reports.poll, 0, 1, 1_000)
        self.clock.advance(1)
        self.successResultOf(wait)
        self.successResultOf(poll)
        again = self.reports.wait(txid(1), 1_000)
        self.add(1)
        self.successResultOf(again)

    # Figures

    def test_figures(self) -> None:
        self.add(1, Change.CERTIFIED)
        self.add(1, Change.FINAL, 43)
        self.reports.block(fx.BlockArchived(1, bytes(32), True, 1, 0, 1), 0)
        self.clock.advance(POLL_DELAY)
        text = self.metrics.render().decode()
        self.assertIn('timecoin_transactions_total{status="final"} 1.0', text)
        self.assertIn('timecoin_blocks_total{kind="closing"} 1.0', text)
        self.assertIn("timecoin_time_to_final_seconds_sum 0.043", text)
        self.assertEqual(self.reports.blocks, 1)
