"""Virtual time: a heap of calls keyed (time, sequence), in whole microseconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable

MILLISECOND = 1_000
SECOND = 1_000_000


class Call:
    """Something that will happen. ``time`` is when, in microseconds; None once it happened or was cancelled."""

    __slots__ = ("_clock", "_sequence", "time", "work")

    def __init__(self, clock: Clock, time: int, sequence: int, work: Callable[[], None]) -> None:
        self._clock = clock
        self._sequence = sequence
        self.time: int | None = time
        self.work = work

    @property
    def active(self) -> bool:
        """Will it happen?"""
        return self.time is not None

    def cancel(self) -> None:
        """It will not happen; harmless when it cannot any more."""
        self.time = None

    def reset(self, delay: int) -> None:
        """It happens ``delay`` microseconds from now instead, after everything else planned for then.

        ``ValueError`` when it is not active, or ``delay`` is negative.
        """
        self._clock.move(self, self._clock.now + delay)

    def delay(self, longer: int) -> None:
        """It happens ``longer`` microseconds after it would have; ``ValueError`` as for :meth:`reset`."""
        if self.time is None:
            raise ValueError("it happened already, or was cancelled")
        self._clock.move(self, self.time + longer)


class Clock:
    """``now`` is in microseconds. Calls of one instant happen in the order in which they were planned."""

    def __init__(self, now: int = 0) -> None:
        self.now = now
        self.happened = 0
        self._sequence = 0
        self._heap: list[tuple[int, int, Call]] = []

    def after(self, delay: int, work: Callable[[], None]) -> Call:
        """Plan ``work`` for ``delay`` microseconds from now; ``ValueError`` when that is in the past."""
        if delay < 0:
            raise ValueError("that time has passed")
        self._sequence = sequence = self._sequence + 1
        time = self.now + delay
        call = Call(self, time, sequence, work)
        heapq.heappush(self._heap, (time, sequence, call))
        return call

    def move(self, call: Call, time: int) -> None:
        """Plan a call that is active for another ``time``."""
        if call.time is None:
            raise ValueError("it happened already, or was cancelled")
        if time < self.now:
            raise ValueError("that time has passed")
        self._sequence += 1
        call.time, call._sequence = time, self._sequence
        heapq.heappush(self._heap, (time, self._sequence, call))

    def next_time(self) -> int | None:
        """When the next call happens; None when nothing is planned."""
        heap = self._heap
        while heap and (heap[0][2].time is None or heap[0][2]._sequence != heap[0][1]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def step(self) -> bool:
        """Let the next call happen; False when nothing is planned."""
        if self.next_time() is None:
            return False
        self._happen()
        return True

    def _happen(self) -> None:
        self.now, _, call = heapq.heappop(self._heap)
        call.time = None
        self.happened += 1
        call.work()

    def run_until(self, end: int, stop: Callable[[], bool] | None = None) -> bool:
        """Let time pass up to ``end``, or until ``stop`` says so after some call; whether it did."""
        while stop is None or not stop():
            time = self.next_time()
            if time is None or time > end:
                self.now = max(self.now, end)
                return False
            self._happen()
        return True
