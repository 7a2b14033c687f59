"""When epochs end and heights begin: the arithmetic of slots (protocol.md R7, R9). Seconds for slots,
milliseconds for clocks.
"""

from __future__ import annotations


def next_slot(last_closing_slot: int, epoch_seconds: int) -> int:
    """The smallest multiple of ``epoch_seconds`` after the previous closing block's slot, in seconds (R7)."""
    return (last_closing_slot // epoch_seconds + 1) * epoch_seconds


def fresh_slot(now: int, last_closing_slot: int, epoch_seconds: int) -> int:
    """The slot of a fresh closing block: the largest not above max(own clock, next slot); ``now`` in
    milliseconds (R7).
    """
    upcoming = next_slot(last_closing_slot, epoch_seconds)
    return max(upcoming, now // 1000 // epoch_seconds * epoch_seconds)
