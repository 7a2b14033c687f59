"""Who is told what: live, from the log, without gaps; slow clients; limits."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.push.fakes import STREAM, NotedSink, Source, block, change
from timecoin.push import hub as module
from timecoin.push.hub import Hub, Limits, TooMany
from timecoin.push.messages import Gap
from timecoin.push.subscriber import Subscriber
from timecoin.push.topics import parse
from timecoin.storage.event_log import NotHeld


class HubTestCase(SynchronousTestCase):
    limits = Limits(clients=3, topics=3, all_topics=4)

    def setUp(self) -> None:
        self.clock, self.source = Clock(), Source()
        self.hub = Hub(self.clock, self.source, "timed", self.limits)
        self.hub.start()
        self.addCleanup(self.hub.stop)

    def join(self, *topics: str, since: int | None = None) -> tuple[Subscriber, NotedSink]:
        sink = NotedSink()
        client = self.hub.join(sink)
        if topics:
            self.subscribe(client, *topics, since=since)
        return client, sink

    def subscribe(self, client: Subscriber, *topics: str, since: int | None = None, stream: str | None = None) -> int:
        number = self.hub.subscribe(client, [parse(topic, "timed") for topic in topics], since, stream)
        self.clock.advance(0)
        return number

    def finals(self, start: int, end: int) -> None:
        self.source.publish(*[change(number, "final", number) for number in range(start, end + 1)])


class LiveTest(HubTestCase):
    def test_much_for_many_at_once_leaves_the_node_its_turn(self) -> None:
        (_, one), (_, two) = self.join("finality"), self.join("blocks", "finality")
        at_once = []

        def slow(number: int) -> None:
            self.clock.rightNow += 0.004

        one.on_event = two.on_event = slow
        self.finals(1, 20)
        at_once += one.numbers
        self.assertEqual((at_once, two.numbers), ([1, 2, 3], [1, 2, 3]))
        self.finals(21, 22)
        self.clock.pump([0] * 20)
        self.source.publish(block(23))
        self.assertEqual((one.numbers, two.numbers), ([*range(1, 23)], [*range(1, 24)]))

    def test_what_comes_is_told(self) -> None:
        self.finals(1, 2)
        _, sink = self.join("finality", "blocks")
        self.source.publish(change(3), block(4))
        self.assertEqual(sink.numbers, [3, 4])
        told = [json.loads(payload) for _, _, payload in sink.events]
        self.assertEqual(
            told,
            [
                {
                    "type": "transaction",
                    "number": 3,
                    "txid": "00" * 31 + "01",
                    "status": "final",
                    "time_ms": 1003,
                    "topics": ["finality"],
                },
                {
                    "type": "block",
                    "number": 4,
                    "blockhash": "68" * 32,
                    "height": 1,
                    "epoch": 2,
                    "closing": True,
                    "time_ms": 1004,
                    "topics": ["blocks"],
                },
            ],
        )
        self.assertEqual([kind for _, kind, _ in sink.events], ["transaction", "block"])
        self.assertEqual(self.source.readings, 0)

    def test_no_more_after_the_end(self) -> None:
        client, sink = self.join("finality", "blocks")
        self.hub.unsubscribe(client, [parse("finality", "timed")])
        self.source.publish(change(1), block(2))
        self.hub.left(client)
        self.source.publish(change(3), block(4))
        self.assertEqual(sink.numbers, [2])
        self.assertEqual((self.hub.clients, self.hub.subscriptions), ({}, 0))

    def test_one_that_fails_hurts_nobody(self) -> None:
        _, bad = self.join("finality")
        _, good = self.join("finality")
        bad.on_event = lambda number: 1 / 0  # type: ignore[assignment,return-value]
        self.finals(1, 2)
        self.assertEqual(good.numbers, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class ReplayTest(HubTestCase):
    def test_from_a_number_on(self) -> None:
        self.finals(1, 10)
        client, sink = self.join("finality", since=3)
        self.assertEqual(sink.numbers, list(range(4, 11)))
        self.assertTrue(client.live)
        self.finals(11, 12)
        self.assertEqual(sink.numbers, list(range(4, 13)))

    def test_what_comes_during_the_replay_is_told_once(self) -> None:
        self.finals(1, 5)
        self.source.hold = True
        _, sink = self.join("finality", since=0)
        for number in range(6, 12):
            self.finals(number, number)
            self.source.release()
        self.source.hold = False
        self.source.release()
        self.finals(12, 12)
        self.assertEqual(sink.numbers, list(range(1, 13)))

    def test_one_topic_back_in_time_and_the_others_not(self) -> None:
        self.source.publish(block(1), change(2), block(3), change(4))
        client, sink = self.join("finality")
        self.source.publish(change(5))
        self.subscribe(client, "blocks", since=0)
        self.source.publish(change(6), block(7))
        self.assertEqual(sink.numbers, [5, 1, 3, 6, 7])

    def test_further_back_while_a_reading_is_under_way(self) -> None:
        self.finals(1, 9)
        self.source.hold = True
        client, sink = self.join("finality", since=6)
        self.hub.subscribe(client, [parse("finality:final", "timed")], 2, None)
        self.source.hold = False
        self.source.release()
        self.assertEqual(sink.numbers, list(range(3, 10)))
        names = [json.loads(payload)["topics"] for _, _, payload in sink.events]
        self.assertEqual([len(each) for each in names], [1, 1, 1, 1, 2, 2, 2])

    def test_the_same_topic_again(self) -> None:
        self.finals(1, 4)
        client, sink = self.join("finality", since=2)
        self.subscribe(client, "finality", since=1)
        self.assertEqual(sink.numbers, [3, 4, 2, 3, 4])
        self.assertEqual(self.hub.subscriptions, 1)

    def test_numbers_that_are_not_held(self) -> None:
        self.source.first = 5
        self.finals(5, 9)
        client, sink = self.join()
        for since in (0, 3, 10):
            self.assertRaises(NotHeld, self.subscribe, client, "finality", since=since)
        self.assertRaises(NotHeld, self.subscribe, client, "finality", since=6, stream="cd" * 16)
        self.assertEqual(self.hub.subscriptions, 0)
        self.assertEqual(self.subscribe(client, "finality", since=4, stream=STREAM), 4)
        self.assertEqual(sink.numbers, [5, 6, 7, 8, 9])

    def test_a_gap_that_opens_during_the_replay_is_told(self) -> None:
        self.finals(1, 9)
        self.source.hold = True
        _, sink = self.join("finality", since=0)
        self.source.first = 8
        self.source.release()
        self.assertEqual((sink.numbers, sink.gaps, self.hub.counts.gaps), ([], [Gap(STREAM, 8, 9)], 1))

    def test_another_stream(self) -> None:
        _, sink = self.join("finality")
        self.hub.restarted()
        self.assertEqual(sink.gaps, [Gap(STREAM, 1, 0)])

    def test_a_log_that_fails(self) -> None:
        self.finals(1, 2)
        self.patch(self.source, "read", lambda *given: 1 / 0)
        _, sink = self.join("finality", since=0)
        self.assertEqual(len(sink.gaps), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class SlowTest(HubTestCase):
    def test_nothing_is_kept_for_who_does_not_read_and_nothing_is_lost(self) -> None:
        client, sink = self.join("finality")
        sink.on_event = lambda number: self.hub.pause(client) if number == 2 else None
        self.finals(1, 50)
        self.assertEqual(sink.numbers, [1, 2])
        self.assertFalse(client.live)
        self.finals(51, 60)
        self.assertEqual(sink.numbers, [1, 2])
        sink.on_event = lambda number: self.hub.pause(client) if number == 30 else None
        self.hub.resume(client)
        self.assertEqual(sink.numbers, list(range(1, 31)))
        self.hub.resume(client)
        self.finals(61, 61)
        self.assertEqual(sink.numbers, list(range(1, 62)))
        self.assertTrue(client.live)
        self.assertEqual(self.hub.counts.sent, 61)

    def test_a_pause_without_events_costs_no_reading(self) -> None:
        client, _ = self.join("finality:rejected")
        self.hub.pause(client)
        self.finals(1, 50)
        self.hub.resume(client)
        self.assertTrue(client.live)
        self.assertEqual(self.source.readings, 0)

    def test_who_takes_nothing_is_cut(self) -> None:
        client, sink = self.join("finality")
        other, reading = self.join("finality")
        self.hub.pause(client)
        self.hub.pause(other)
        self.clock.advance(6)
        self.hub.resume(other)
        self.clock.pump([1.0] * 3)
        self.assertEqual(sink.words, [])
        self.clock.pump([1.0] * 2)
        self.assertEqual((sink.words, reading.words, self.hub.counts.cut), (["cut"], [], 1))
        self.clock.pump([1.0] * 20)
        self.assertEqual(sink.words, ["cut"])

    def test_readings_under_way_are_bounded(self) -> None:
        self.hub.limits = Limits()
        self.finals(1, 9)
        self.source.hold = True
        sinks = [self.join("finality", since=0)[1] for _ in range(10)]
        self.assertEqual(len(self.source.held_back), module.READERS)
        for _ in range(20):
            self.source.release()
        self.assertEqual([sink.numbers for sink in sinks], [list(range(1, 10))] * 10)

    def test_who_leaves_during_a_reading(self) -> None:
        self.finals(1, 9)
        self.source.hold = True
        client, sink = self.join("finality", since=0)
        self.hub.left(client)
        self.source.release()
        self.assertEqual((sink.numbers, sink.gaps), ([], []))


class RestTest(HubTestCase):
    def test_limits(self) -> None:
        client, _ = self.join("blocks", "finality", "finality:final")
        self.assertRaises(TooMany, self.subscribe, client, "finality:pending")
        self.subscribe(client, "blocks")
        other, _ = self.join("blocks")
        self.assertRaises(TooMany, self.subscribe, other, "finality")
        self.assertFalse(self.hub.is_full)
        self.join()
        self.assertTrue(self.hub.is_full)

    def test_positions_are_told_now_and_then(self) -> None:
        clients = [self.join("finality:rejected") for _ in range(3)]
        self.hub.pause(clients[2][0])
        self.finals(1, 7)
        self.clock.pump([1.0] * module.POSITION_EVERY)
        self.assertEqual([sink.positions for _, sink in clients], [[7], [7], []])

    def test_the_end(self) -> None:
        _, sink = self.join("finality")
        self.hub.stop()
        self.finals(1, 1)
        self.assertEqual((sink.words, sink.numbers, self.clock.getDelayedCalls()), (["leave"], [], []))
        self.hub.start()
