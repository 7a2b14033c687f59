"""How late the reactor is: the measure of everything that blocks it.

A timer asks to be called every ``interval``; how much later than asked it is called is how long an event that
arrives at a random moment waits for the reactor, i.e. the rest of the tick at hand. Figures cover the most
recent ``window`` samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@dataclass(frozen=True, slots=True)
class Lateness:
    """Lateness of the reactor in milliseconds over ``samples`` samples."""

    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class ReactorTickMonitor(Service):
    """Samples the reactor's lateness; ``observe`` gets each sample in seconds (a histogram's method)."""

    def __init__(
        self,
        clock: IReactorTime,
        interval: float = 0.02,
        window: int = 15_000,
        observe: Callable[[float], object] | None = None,
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._observe = observe
        self._samples: deque[float] = deque(maxlen=window)
        self._due = 0.0
        self._call: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to sample."""
        Service.startService(self)
        self._again()

    def stopService(self) -> None:
        """Stop sampling; the figures stay."""
        Service.stopService(self)
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def report(self) -> Lateness:
        """Percentiles of the window; zeros before the first sample. Sorts the window: not for hot paths."""
        ordered = sorted(self._samples)
        if not ordered:
            return Lateness(0, 0.0, 0.0, 0.0)
        count = len(ordered)
        return Lateness(
            count, *(round(ordered[i] * 1000, 3) for i in (count // 2, count * 99 // 100, count - 1))
        )

    def reset(self) -> None:
        """Forget the samples so far (a benchmark does after its warm-up)."""
        self._samples.clear()

    def _again(self) -> None:
        self._due = self._clock.seconds() + self._interval
        self._call = self._clock.callLater(self._interval, self._tick)

    def _tick(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        self._samples.append(late)
        if self._observe is not None:
            self._observe(late)
        self._again()
