"""How long payments took from first sight to final, over the newest ones."""

from __future__ import annotations

from collections import deque

from timecoin.rpc.facade import LatencyInfo

WINDOW = 1_000
"""Payments that the figures cover."""


class Latency:
    """A window of times in milliseconds."""

    def __init__(self, window: int = WINDOW) -> None:
        self._newest: deque[int] = deque(maxlen=window)

    def add(self, milliseconds: int) -> None:
        """A payment became final here."""
        self._newest.append(milliseconds)

    def report(self) -> LatencyInfo:
        """Percentiles (nearest rank) of the window. Sorts it: not for hot paths."""
        ordered = sorted(self._newest)
        if not ordered:
            return LatencyInfo(0, None, None, None)
        return LatencyInfo(len(ordered), _rank(ordered, 50), _rank(ordered, 99), ordered[-1])


def _rank(ordered: list[int], percent: int) -> int:
    return ordered[-(-len(ordered) * percent // 100) - 1]
