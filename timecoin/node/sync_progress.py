"""How far a node has come in catching up: share done, speed, time left, a line in the log now and then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from twisted.logger import Logger

WINDOW_MS = 30_000
"""The speed is that of the last so many milliseconds."""
LOG_EVERY_MS = 5_000
_SAMPLE_EVERY_MS = 250


@dataclass(frozen=True, slots=True)
class Progress:
    """``phase`` is what is being fetched (``headers``, ``coins``, ``blocks``), ``done`` of ``total`` of it; ``rate`` a
    second, None before it is known; ``seconds_left`` as far as that can be told; ``sources``: peers that deliver.
    """

    phase: str
    done: int
    total: int
    rate: float | None = None
    seconds_left: int | None = None
    sources: int = 0

    @property
    def share(self) -> float:
        """What is done, 0 to 1."""
        return 1.0 if self.total <= 0 else min(1.0, self.done / self.total)

    def __str__(self) -> str:
        speed = "" if self.rate is None else f", {self.rate:.0f} a second"
        left = "" if self.seconds_left is None else f", about {duration(self.seconds_left)} left"
        return f"{self.phase}: {self.done} of {self.total} ({100 * self.share:.1f} %){speed}{left}"


def duration(seconds: int) -> str:
    """Seconds for people: ``42 s``, ``7 min``, ``3 h 20 min``."""
    if seconds < 100:
        return f"{seconds} s"
    minutes = (seconds + 30) // 60
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class Meter:
    """Measures one phase. Milliseconds in, figures out."""

    log = Logger(namespace="timecoin.node.sync")

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self._samples: deque[tuple[int, int]] = deque()
        self._logged = 0

    def note(self, done: int, now: int) -> None:
        """So much is done."""
        samples = self._samples
        if samples and (done < samples[-1][1]):
            samples.clear()
        if not samples or now - samples[-1][0] >= _SAMPLE_EVERY_MS:
            samples.append((now, done))
        while samples and now - samples[0][0] > WINDOW_MS:
            samples.popleft()

    def progress(self, done: int, total: int, sources: int, now: int) -> Progress:
        """The figures as of now."""
        rate = self._rate(done, now)
        left = None if not rate else int(max(0, total - done) / rate)
        return Progress(self.phase, done, total, rate, left, sources)

    def _rate(self, done: int, now: int) -> float | None:
        if not self._samples:
            return None
        at, was = self._samples[0]
        return None if now - at < 1_000 else 1_000 * (done - was) / (now - at)

    def show(self, progress: Progress, now: int) -> None:
        """A line in the log, if the last one is some seconds old."""
        if now - self._logged >= LOG_EVERY_MS:
            self._logged = now
            self.log.info("catching up: {progress}, {sources} sources", progress=progress, sources=progress.sources)

    def reset(self) -> None:
        """What comes next is another stretch."""
        self._samples.clear()
