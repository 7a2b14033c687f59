"""The frame parser: a stream cut anywhere gives the same frames as whole, and limits hold before anything is kept."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.stateful.running import run
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

LIMITS = {1: 0, 2: 1, 7: 40, 9: 300}
TABLE = tuple(LIMITS.get(number, NO_SUCH_TYPE) for number in range(256))
LARGEST = max(LIMITS.values()) + HEADER_SIZE


def parse(stream: bytes) -> tuple[list[tuple[int, bytes]], int, type[FrameError] | None]:
    """All frames at the front of ``stream``, the bytes that are not part of them, and the error at their end."""
    frames: list[tuple[int, bytes]] = []
    at = 0
    while len(stream) - at >= HEADER_SIZE:
        length, kind = int.from_bytes(stream[at : at + 4], "big"), stream[at + 4]
        if kind not in LIMITS:
            return frames, len(stream) - at, UnknownType
        if length > LIMITS[kind]:
            return frames, len(stream) - at, OversizeFrame
        if len(stream) - at - HEADER_SIZE < length:
            break
        frames.append((kind, stream[at + HEADER_SIZE : at + HEADER_SIZE + length]))
        at += HEADER_SIZE + length
    return frames, len(stream) - at, None


class BufferMachine(RuleBasedStateMachine):
    """Bytes are fed and frames taken in any order; the model keeps the whole stream."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = FrameBuffer(TABLE)
        self.stream = b""
        self.queue = b""
        self.taken: list[tuple[int, bytes]] = []
        self.error: type[FrameError] | None = None

    @rule(
        kind=st.sampled_from((1, 2, 7, 9, 3)),
        payload=st.binary(max_size=60),
        lie=st.sampled_from((0, 0, 0, 1, 1 << 31)),
    )
    def write(self, kind: int, payload: bytes, lie: int) -> None:
        """The other side has more to send: a frame, mostly a sound one."""
        frame = bytearray(make_frame(kind, payload[: LIMITS.get(kind, 60)]))
        frame[:4] = ((int.from_bytes(frame[:4], "big") + lie) % 2**32).to_bytes(4, "big")
        self.queue += bytes(frame)

    @rule(size=st.integers(0, 90))
    def feed(self, size: int) -> None:
        piece, self.queue = self.queue[:size], self.queue[size:]
        self.stream += piece
        self.buffer.feed(piece)

    @rule(most=st.integers(1, 9))
    def take(self, most: int) -> None:
        for _ in range(most):
            try:
                frame = self.buffer.next()
            except FrameError as error:
                self.error = type(error)
                return
            if frame is None:
                return
            self.taken.append((frame[0], bytes(frame[1])))

    @invariant()
    def agrees(self) -> None:
        frames, _, error = parse(self.stream)
        assert self.taken == frames[: len(self.taken)]
        if self.error is not None:
            assert self.taken == frames and self.error is error

    @invariant()
    def holds_what_was_not_taken(self) -> None:
        if self.error is None:
            taken = sum(len(payload) + HEADER_SIZE for _, payload in self.taken)
            held = len(self.stream) - taken
            assert self.buffer.held in (held, held - HEADER_SIZE)

    def teardown(self) -> None:
        self.feed(size=len(self.queue))
        self.take(most=10_000)
        frames, rest, error = parse(self.stream)
        assert (self.taken, self.error) == (frames, error)
        if error is None:
            assert self.buffer.next() is None and rest < LARGEST


class Receiver(FrameProtocol):
    """Writes down what it gets, and may hold itself in the middle of a delivery."""

    def __init__(self) -> None:
        super().__init__(TABLE)
        self.got: list[tuple[int, bytes]] = []
        self.errors: list[FrameError] = []
        self.hold_after = 0

    def frame_received(self, kind: int, payload: memoryview) -> None:
        self.got.append((kind, bytes(payload)))
        if self.hold_after:
            self.hold_after -= 1
            if not self.hold_after:
                self.hold(1)

    def frame_error(self, error: FrameError) -> None:
        self.errors.append(error)


class ProtocolMachine(RuleBasedStateMachine):
    """A receiver that is held and released by two reasons: nothing is lost, nothing is delivered while it is held."""

    @initialize()
    def begin(self) -> None:
        self.receiver = Receiver()
        self.transport = StringTransport()
        self.receiver.makeConnection(self.transport)
        self.stream = b""
        self.reasons = 0
        self.when_held = 0

    @rule(
        kind=st.sampled_from((1, 2, 7, 9)),
        payload=st.binary(max_size=60),
        cut=st.integers(0, 70),
        hold=st.integers(0, 3),
    )
    def data(self, kind: int, payload: bytes, cut: int, hold: int) -> None:
        frame = make_frame(kind, payload[: LIMITS[kind]])
        for piece in (frame[:cut], frame[cut:]):
            if self.receiver.held:
                hold = 0
            self.receiver.hold_after = hold
            self.stream += piece
            self.receiver.dataReceived(piece)
            self.after()

    @rule(reason=st.sampled_from((1, 2)))
    def hold(self, reason: int) -> None:
        self.receiver.hold(reason)
        self.reasons |= reason
        self.when_held = len(self.receiver.got)

    @rule(reason=st.sampled_from((1, 2)), hold=st.integers(0, 2))
    def release(self, reason: int, hold: int) -> None:
        self.reasons &= ~reason
        self.receiver.hold_after = hold if not self.reasons else 0
        self.receiver.release(reason)
        self.after()

    def after(self) -> None:
        """A delivery may have held the receiver."""
        if self.receiver.held and not self.reasons:
            self.reasons, self.when_held = 1, len(self.receiver.got)

    @rule()
    def nonsense(self) -> None:
        if not self.receiver.held and self.aligned():
            self.stream += b"\0\0\0\0\x63"
            self.receiver.dataReceived(b"\0\0\0\0\x63")

    def aligned(self) -> bool:
        return parse(self.stream)[1] == 0 and not self.receiver.errors

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "receiver"):
            return
        frames, _, error = parse(self.stream)
        receiver = self.receiver
        assert receiver.held == bool(self.reasons)
        if self.reasons:
            assert len(receiver.got) == self.when_held and receiver.got == frames[: self.when_held]
        else:
            assert receiver.got == frames and [type(each) for each in receiver.errors] == ([error] if error else [])
        if not receiver.errors:
            assert (self.transport.producerState == "paused") == receiver.held


class FramesTest(SynchronousTestCase):
    def test_buffer(self) -> None:
        run(BufferMachine, 60, 30)

    def test_protocol(self) -> None:
        run(ProtocolMachine, 60, 30)
