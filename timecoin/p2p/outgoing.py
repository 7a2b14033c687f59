"""What waits to be sent to one peer: four lanes by priority, bounded in bytes, written only as fast as the
peer reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from timecoin.p2p.messages import Lane

_KIB, _MIB = 1 << 10, 1 << 20

#: Bytes that may wait in each lane. A frame always fits into an empty lane.
LANE_LIMITS: tuple[int, ...] = (256 * _KIB, 16 * _MIB, 8 * _MIB, 8 * _MIB)
#: Most bytes handed to the transport in one call, so that a big frame does not sit in its buffer whole.
SLICE = 64 * _KIB


@implementer(IPushProducer)
class Outgoing:
    """Frames on their way out; the transport pauses and resumes it.

    Frames of one lane keep their order; a lower lane is never overtaken by a higher one, except that a frame
    once begun is finished first.
    """

    def __init__(self, write: Callable[[bytes], None], limits: Sequence[int] = LANE_LIMITS) -> None:
        """``write`` is the transport's; ``limits`` in bytes by lane."""
        self._write = write
        self._limits = limits
        self._lanes: tuple[deque[bytes], ...] = tuple(deque() for _ in Lane)
        self._sizes = [0] * len(Lane)
        self._begun = memoryview(b"")
        self._pumping = False
        self.paused = False
        self.stopped = False
        self.dropped = 0
        self.resumed = 0

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait here, not counting the transport's own bounded buffer."""
        return sum(self._sizes) + len(self._begun)

    def push(self, frame: bytes, lane: Lane) -> bool:
        """Send or queue a frame; False when its lane is full (the frame is dropped and counted)."""
        if self.stopped:
            return False
        if not self.paused and len(frame) <= SLICE and not self.queued_bytes:
            self._write(frame)
            return True
        waiting = self._sizes[lane]
        if waiting and waiting + len(frame) > self._limits[lane]:
            self.dropped += 1
            return False
        self._lanes[lane].append(frame)
        self._sizes[lane] += len(frame)
        self._pump()
        return True

    def _pump(self) -> None:
        # write() may pause us, and a pause may be lifted within it: one loop, never nested.
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self.paused and not self.stopped and (piece := self._next_piece()):
                self._write(piece)
        finally:
            self._pumping = False

    def _next_piece(self) -> bytes:
        if not self._begun:
            frames = self._take()
            if len(frames) != 1 or len(frames[0]) <= SLICE:
                return b"".join(frames)
            self._begun = memoryview(frames[0])
        piece, self._begun = self._begun[:SLICE], self._begun[SLICE:]
        return bytes(piece)

    def _take(self) -> list[bytes]:
        taken: list[bytes] = []
        room = SLICE
        for number, lane in enumerate(self._lanes):
            while lane:
                size = len(lane[0])
                if taken and size > room:
                    return taken
                taken.append(lane.popleft())
                self._sizes[number] -= size
                room -= size
        return taken

    def pauseProducing(self) -> None:
        """Hold everything: the transport's buffer is full."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Go on: the transport's buffer is empty."""
        self.paused = False
        self.resumed += 1
        self._pump()

    def stopProducing(self) -> None:
        """Forget everything: the transport is gone."""
        self.stopped = True
        for lane in self._lanes:
            lane.clear()
        self._sizes = [0] * len(Lane)
        self._begun = memoryview(b"")
