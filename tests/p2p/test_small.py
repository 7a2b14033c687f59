"""Discouragement, clock, traffic counters, reasons: the small pieces."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.p2p.support import key
from timecoin.p2p.clocksync import ClockWatch, median_offset
from timecoin.p2p.discourage import DISCOURAGE_MS, Discouraged
from timecoin.p2p.heartbeat import Heartbeat
from timecoin.p2p.messages import Pong, Tx, encode_frame
from timecoin.p2p.netaddress import from_host, parse_address
from timecoin.p2p.outgoing import LANE_LIMITS, SLICE, Lane, Outgoing
from timecoin.p2p.reasons import CloseReason, Code, parse_code
from timecoin.p2p.traffic import Count, Traffic

PUBLIC = from_host("20.1.0.1", 5)
NEIGHBOUR = from_host("20.1.9.9", 6)
ONION = parse_address("pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:1")


class DiscouragedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.subject = Discouraged()

    def test_public_by_group(self) -> None:
        self.subject.add(PUBLIC, key("b"), False, 0)
        self.assertTrue(self.subject.refuses_address(NEIGHBOUR, 1))
        self.assertFalse(self.subject.refuses_address(from_host("20.2.0.1", 5), 1))
        self.assertFalse(self.subject.refuses_key(key("b"), 1))

    def test_shared_addresses_by_key(self) -> None:
        for address in (ONION, from_host("127.0.0.1", 0), from_host("10.0.0.1", 5), None):
            self.subject.clear()
            self.subject.add(address, key("b"), False, 0)
            self.assertTrue(self.subject.refuses_key(key("b"), 1))
            self.assertFalse(self.subject.refuses_address(address, 1))

    def test_a_source_port_does_not_matter(self) -> None:
        self.subject.add(PUBLIC._replace(port=0), b"", False, 0)
        self.assertTrue(self.subject.refuses_address(PUBLIC, 1))

    def test_members_by_key(self) -> None:
        self.subject.add(PUBLIC, key("b"), True, 0)
        self.assertTrue(self.subject.refuses_key(key("b"), 1))
        self.assertFalse(self.subject.refuses_address(PUBLIC, 1))

    def test_keyless_at_a_shared_address_leaves_no_trace(self) -> None:
        self.subject.add(ONION, b"", False, 0)
        self.assertEqual(0, len(self.subject))

    def test_expiry(self) -> None:
        self.subject.add(PUBLIC, b"", False, 0)
        self.assertTrue(self.subject.refuses_address(PUBLIC, DISCOURAGE_MS - 1))
        self.assertFalse(self.subject.refuses_address(PUBLIC, DISCOURAGE_MS))
        self.assertEqual(0, len(self.subject))

    def test_bounded(self) -> None:
        subject = Discouraged(limit=3)
        for number in range(10):
            subject.add(None, bytes([number]), False, number)
        self.assertEqual(3, len(subject))
        self.assertFalse(subject.refuses_key(b"\x00", 11))
        self.assertTrue(subject.refuses_key(b"\x09", 11))


class ClockTests(SynchronousTestCase):
    def test_median(self) -> None:
        self.assertIsNone(median_offset([5, None, 7]))
        self.assertEqual(7, median_offset([5, 10**15, 7, None]))

    def test_one_warning_each_way(self) -> None:
        watch = ClockWatch()
        changes = [watch.update(offset) for offset in (0, 1_000, -1_001, 5_000, None, 0)]
        self.assertEqual([False, False, True, False, True, False], changes)

    def test_offset_takes_half_the_round_trip_off(self) -> None:
        heart = Heartbeat(60_000, 0)
        heart.pinged(7, 1_000)
        heart.ponged(Pong(8, 9_999), 1_200, 1_200)
        self.assertIsNone(heart.offset_ms)
        heart.ponged(Pong(7, 1_600), 1_200, 1_200)
        self.assertEqual((200, 500), (heart.rtt_ms, heart.offset_ms))
        heart.ponged(Pong(7, 9_999), 1_300, 1_300)
        self.assertEqual(500, heart.offset_ms)

    def test_an_answer_that_took_long_says_nothing_of_clocks(self) -> None:
        heart = Heartbeat(60_000, 0)
        heart.pinged(7, 1_000)
        heart.ponged(Pong(7, 1_000), 3_001, 3_001)
        self.assertEqual((2_001, None), (heart.rtt_ms, heart.offset_ms))

    def test_offset_is_of_the_system_clock_wherever_timers_are(self) -> None:
        heart = Heartbeat(60_000, 0)
        heart.pinged(7, 1_000)
        heart.ponged(Pong(7, 50_100), 1_200, 20_200)
        self.assertEqual((200, 30_000), (heart.rtt_ms, heart.offset_ms))


class OutgoingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.written: list[bytes] = []
        self.out = Outgoing(self.written.append)

    def test_small_frames_waiting_are_joined(self) -> None:
        self.out.pauseProducing()
        for _ in range(100):
            self.assertTrue(self.out.push(b"x" * 100, Lane.CONSENSUS))
        self.assertEqual(10_000, self.out.queued_bytes)
        self.out.resumeProducing()
        self.assertEqual([b"x" * 10_000], self.written)
        self.assertEqual(0, self.out.queued_bytes)

    def test_a_full_lane_drops_and_the_others_do_not(self) -> None:
        self.out.pauseProducing()
        frame = b"x" * (1 << 20)
        sent = [self.out.push(frame, Lane.TRANSACTIONS) for _ in range(20)]
        self.assertEqual(LANE_LIMITS[Lane.TRANSACTIONS] >> 20, sum(sent))
        self.assertEqual(20 - sum(sent), self.out.dropped)
        self.assertTrue(self.out.push(b"vote", Lane.CONSENSUS))

    def test_a_frame_begun_is_finished_first(self) -> None:
        big, small = b"b" * (3 * SLICE), b"s"
        self.out._write = lambda data: (self.written.append(data), self.out.pauseProducing())  # type: ignore
        self.out.push(big, Lane.BULK)
        self.out.push(small, Lane.CONTROL)
        for _ in range(4):
            self.out.resumeProducing()
        self.assertEqual(big + small, b"".join(self.written))
        self.assertLessEqual(max(map(len, self.written)), SLICE)

    def test_nothing_after_stop(self) -> None:
        self.out.pauseProducing()
        self.out.push(b"x", Lane.BULK)
        self.out.stopProducing()
        self.assertFalse(self.out.push(b"x", Lane.BULK))
        self.out.resumeProducing()
        self.assertEqual(([], 0), (self.written, self.out.queued_bytes))

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(
        st.lists(
            st.one_of(
                st.just(None),
                st.tuples(st.sampled_from(Lane), st.sampled_from([1, 100, SLICE, SLICE * 2 + 1])),
            ),
            max_size=40,
        )
    )
    def test_every_lane_keeps_its_order_and_frames_stay_whole(
        self, steps: list[tuple[Lane, int] | None]
    ) -> None:
        written: list[bytes] = []
        out = Outgoing(written.append)
        pushed: list[tuple[Lane, bytes]] = []
        for number, step in enumerate(steps):
            if step is None:
                (out.resumeProducing if out.paused else out.pauseProducing)()
                continue
            frame = bytes([number]) * step[1]
            self.assertTrue(out.push(frame, step[0]))
            pushed.append((step[0], frame))
        out.resumeProducing()
        stream = b"".join(written)
        by_number = {frame[0]: (lane, frame) for lane, frame in pushed}
        seen: list[tuple[Lane, bytes]] = []
        while stream:
            lane, frame = by_number[stream[0]]
            self.assertTrue(stream.startswith(frame))
            stream = stream[len(frame) :]
            seen.append((lane, frame))
        for lane in Lane:
            self.assertEqual([p for p in pushed if p[0] == lane], [s for s in seen if s[0] == lane])


class ReasonTests(SynchronousTestCase):
    def test_words(self) -> None:
        self.assertIs(Code.FULL, parse_code("full"))
        self.assertIs(Code.UNKNOWN, parse_code("whatever"))
        self.assertEqual("peer: full (sorry)", str(CloseReason(Code.FULL, "sorry", True)))
        self.assertEqual("idle", str(CloseReason(Code.IDLE)))

    def test_traffic(self) -> None:
        traffic, frame = Traffic(), encode_frame(Tx((b"a",)))
        traffic.came(frame[4], len(frame))
        traffic.went(frame[4], 5)
        self.assertEqual(Count(1, len(frame), 1, 5), traffic.by_name()["tx"])
        self.assertEqual(Count(1, len(frame), 1, 5), traffic.total())
