"""How far our clock is off: the median over outbound peers and masternodes (protocol.md, section 9). Pure.

Others that dial us do not count, as they are chosen by themselves and not by us; a masternode is who it is whichever of
us dialled, and in a small network few of them are outbound.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low

#: Above this many ms the operator is warned.
WARN_MS = 1_000
#: An answer that took longer says too little: it may be off by half of that.
MAX_ROUND_TRIP_MS = 2 * WARN_MS
#: With fewer samples a median says nothing.
MIN_SAMPLES = 3


def median_offset(offsets: Iterable[int | None], min_samples: int = MIN_SAMPLES) -> int | None:
    """Return the median of peers' clocks minus ours in ms, or None with fewer than ``min_samples`` known."""
    known = [offset for offset in offsets if offset is not None]
    return median_low(known) if len(known) >= min_samples else None


class ClockWatch:
    """Turns offsets into warnings, one when the clock goes wrong and one when it is right again."""

    def __init__(self, warn_ms: int = WARN_MS) -> None:
        """``warn_ms``: an offset above this is wrong."""
        self._warn_ms = warn_ms
        self.offset_ms: int | None = None
        self.wrong = False

    def update(self, offset: int | None) -> bool:
        """Take the newest median; return whether `wrong` has just changed."""
        self.offset_ms = offset
        was, self.wrong = self.wrong, offset is not None and abs(offset) > self._warn_ms
        return was != self.wrong
