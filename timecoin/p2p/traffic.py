"""Counters of what went over the wire, by message type."""

from __future__ import annotations

from typing import NamedTuple

from timecoin.p2p.messages import NAMES


class Count(NamedTuple):
    """Messages and bytes (frame headers included) of one type in one direction pair."""

    messages_in: int
    bytes_in: int
    messages_out: int
    bytes_out: int


class Traffic:
    """Totals since the start; two list additions a message, so cheap enough to be always on."""

    __slots__ = ("_bytes_in", "_bytes_out", "_messages_in", "_messages_out", "dropped")

    def __init__(self) -> None:
        self._messages_in = [0] * 256
        self._bytes_in = [0] * 256
        self._messages_out = [0] * 256
        self._bytes_out = [0] * 256
        self.dropped = 0

    def came(self, number: int, size: int) -> None:
        """Count a frame of ``size`` bytes that came in."""
        self._messages_in[number] += 1
        self._bytes_in[number] += size

    def went(self, number: int, size: int) -> None:
        """Count a frame of ``size`` bytes that was sent or queued."""
        self._messages_out[number] += 1
        self._bytes_out[number] += size

    def by_name(self) -> dict[str, Count]:
        """Return the counters of all message types by name (``tx``, ``get_blocks`` …)."""
        return {name: self.of(number) for number, name in NAMES.items()}

    def of(self, number: int) -> Count:
        """Return the counters of one type."""
        return Count(
            self._messages_in[number],
            self._bytes_in[number],
            self._messages_out[number],
            self._bytes_out[number],
        )

    def total(self) -> Count:
        """Return the sums over all types."""
        return Count(
            sum(self._messages_in), sum(self._bytes_in), sum(self._messages_out), sum(self._bytes_out)
        )
