"""How often the journal is written: votes on blocks at once, bundles after a pause that grows with the load
(protocol.md 4)."""

from __future__ import annotations

from timecoin.consensus.outbox import Urgency

FLUSH_MIN, FLUSH_MAX = 0.010, 0.050
"""A journal tick waits this long after the one before it: the shortest, and the longest under load."""
REPORT_PAUSE = 0.002
"""What users are told waits only this long while there is little to do."""
CLOCK_GRAIN = 0.001
"""A timer may fire this much before its time."""
RECORD_PAUSE = 0.0015
"""Seconds of pause for each record of the tick before: every bundle costs each node half a millisecond, however
little it says."""


class FlushPace:
    """When the next journal tick may come, in seconds of the caller's clock. ``pause`` is the one between two ticks
    with bundles, as the load and the disk ask for."""

    def __init__(self) -> None:
        self.pause = FLUSH_MIN
        self._last = self._last_bundle = 0.0

    def due(self, urgency: Urgency) -> float:
        """The moment from which a tick of this urgency may be taken."""
        if urgency is Urgency.AT_ONCE:
            return 0.0
        if urgency is Urgency.SOON and self.pause <= FLUSH_MIN:
            return self._last + REPORT_PAUSE
        return self._last_bundle + self.pause

    def taken(self, moment: float) -> bool:
        """A tick is taken now: whether it may bring new bundles."""
        bundles = moment - self._last_bundle >= self.pause - CLOCK_GRAIN
        self._last = moment
        if bundles:
            self._last_bundle = moment
        return bundles

    def wrote(self, records: int, took: float) -> None:
        """A tick of ``records`` was written in ``took`` seconds: the next pause is as long as a write takes, and longer
        the more there is to say: then bundles grow instead of becoming more."""
        self.pause = min(FLUSH_MAX, max(FLUSH_MIN, took, records * RECORD_PAUSE))
