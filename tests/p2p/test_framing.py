"""Frames: whole whatever the reads, judged by their header, held on demand."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p.framing import (
    HEADER_SIZE,
    NO_SUCH_TYPE,
    FrameBuffer,
    FrameError,
    FrameProtocol,
    OversizeFrame,
    UnknownType,
    make_frame,
)

LIMITS = [NO_SUCH_TYPE] * 256
LIMITS[1], LIMITS[2], LIMITS[7] = 0, 10, 1 << 20

fuzz = settings(deadline=None, derandomize=True, max_examples=100, database=None)


def read(data: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    """Feed ``data`` in pieces cut at ``cuts``."""
    buffer, found, at = FrameBuffer(LIMITS), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        buffer.feed(data[at:cut])
        at = cut
        while (frame := buffer.next()) is not None:
            found.append((frame[0], bytes(frame[1])))
    assert buffer.held + sum(len(p) + HEADER_SIZE for _, p in found) >= len(data) - HEADER_SIZE
    return found


class FrameBufferTests(SynchronousTestCase):
    def test_layout(self) -> None:
        self.assertEqual(bytes.fromhex("00000003 02 616263"), make_frame(2, b"abc"))

    @fuzz
    @given(
        st.lists(st.one_of(st.tuples(st.just(2), st.binary(max_size=10)), st.just((1, b"")))),
        st.lists(st.integers(0, 10_000), max_size=20),
    )
    def test_reads_do_not_matter(self, frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
        data = b"".join(make_frame(kind, payload) for kind, payload in frames)
        self.assertEqual(frames, read(data, cuts))

    def test_limit_is_allowed_and_one_more_is_not(self) -> None:
        self.assertEqual([(2, b"x" * 10)], read(make_frame(2, b"x" * 10), []))
        buffer = FrameBuffer(LIMITS)
        buffer.feed(b"\x00\x00\x00\x0b\x02")
        self.assertRaises(OversizeFrame, buffer.next)

    def test_header_alone_is_enough_to_refuse(self) -> None:
        for header in (b"\xff\xff\xff\xff\x07", b"\x00\x10\x00\x01\x07", b"\x00\x00\x00\x01\x01"):
            buffer = FrameBuffer(LIMITS)
            buffer.feed(header)
            self.assertEqual(header[4], self.assertRaises(OversizeFrame, buffer.next).kind)

    def test_unknown_type(self) -> None:
        buffer = FrameBuffer(LIMITS)
        buffer.feed(b"\x00\x00\x00\x00\x03")
        self.assertEqual(3, self.assertRaises(UnknownType, buffer.next).kind)

    @fuzz
    @given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
    def test_garbage_is_frames_or_a_frame_error(self, data: bytes, cuts: list[int]) -> None:
        try:
            read(data, cuts)
        except FrameError as error:
            self.assertIn(error.kind, range(256))

    def test_limits_may_change_between_frames(self) -> None:
        buffer = FrameBuffer([NO_SUCH_TYPE] * 256)
        buffer.limits = LIMITS
        buffer.feed(make_frame(2, b"a"))
        self.assertEqual(2, (buffer.next() or (0,))[0])

    def test_a_large_frame_in_small_reads_is_copied_once(self) -> None:
        frame = make_frame(7, b"x" * (1 << 20))
        buffer = FrameBuffer(LIMITS)
        for at in range(0, len(frame) - 100, 100):
            buffer.feed(frame[at : at + 100])
            self.assertIsNone(buffer.next())
        self.assertGreater(len(buffer._chunks), 10_000)


class _Frames(FrameProtocol):
    def __init__(self) -> None:
        super().__init__(LIMITS)
        self.got: list[bytes] = []
        self.errors: list[FrameError] = []
        self.hold_after = -1

    def frame_received(self, kind: int, payload: memoryview) -> None:
        self.got.append(bytes(payload))
        if len(self.got) == self.hold_after:
            self.hold(1)

    def frame_error(self, error: FrameError) -> None:
        self.errors.append(error)


class FrameProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.protocol = _Frames()
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def test_hold_stops_reading_and_delivering(self) -> None:
        self.protocol.hold_after = 1
        self.protocol.dataReceived(make_frame(2, b"a") + make_frame(2, b"b"))
        self.assertEqual(([b"a"], "paused"), (self.protocol.got, self.transport.producerState))
        self.protocol.release(1)
        self.assertEqual(([b"a", b"b"], "producing"), (self.protocol.got, self.transport.producerState))

    def test_two_reasons_need_two_releases(self) -> None:
        self.protocol.hold(1)
        self.protocol.hold(2)
        self.protocol.release(1)
        self.protocol.dataReceived(make_frame(2, b"a"))
        self.assertEqual([], self.protocol.got)
        self.assertTrue(self.protocol.held)
        self.protocol.release(2)
        self.assertEqual([b"a"], self.protocol.got)

    def test_release_of_a_reason_that_does_not_hold(self) -> None:
        self.protocol.hold(1)
        self.protocol.release(2)
        self.assertEqual("paused", self.transport.producerState)

    def test_hold_again_while_draining_stays_paused(self) -> None:
        self.protocol.hold(2)
        self.protocol.hold_after = 2
        self.protocol.dataReceived(make_frame(2, b"a") * 3)
        self.protocol.release(2)
        self.assertEqual((2, "paused"), (len(self.protocol.got), self.transport.producerState))

    def test_nothing_after_an_error(self) -> None:
        self.protocol.dataReceived(make_frame(2, b"a") + b"\x00\x00\x00\x00\x03" + make_frame(2, b"b"))
        self.protocol.dataReceived(make_frame(2, b"c"))
        self.assertEqual(([b"a"], 1), (self.protocol.got, len(self.protocol.errors)))
