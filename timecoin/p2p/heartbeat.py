"""Whether a peer is alive, how far away it is, and what its clock says; pure, times in ms."""

from __future__ import annotations

from timecoin.p2p.clocksync import MAX_ROUND_TRIP_MS
from timecoin.p2p.messages import Pong
from timecoin.p2p.outgoing import Outgoing
from timecoin.p2p.reasons import Code


class Heartbeat:
    """One peer's signs of life. ``rtt_ms``, ``least_rtt_ms`` and ``offset_ms`` (its clock minus ours) are None before
    the first pong.
    """

    __slots__ = (
        "_flow_at",
        "_nonce",
        "_resumed",
        "_sent_at",
        "idle_timeout",
        "last_received",
        "least_rtt_ms",
        "offset_ms",
        "rtt_ms",
    )

    def __init__(self, idle_timeout: int, now: int) -> None:
        """``idle_timeout`` bounds both silence of the peer and its refusal to read."""
        self.idle_timeout = idle_timeout
        self.last_received = now
        self.rtt_ms: int | None = None
        self.least_rtt_ms: int | None = None
        self.offset_ms: int | None = None
        self._nonce: int | None = None
        self._sent_at = now
        self._flow_at = now
        self._resumed = 0

    def pinged(self, nonce: int, now: int) -> None:
        """Note a ping that was sent; only the newest one's answer counts."""
        self._nonce, self._sent_at = nonce, now

    @property
    def awaits_since(self) -> int | None:
        """When the ping was sent whose answer is still out; None when none is."""
        return None if self._nonce is None else self._sent_at

    def ponged(self, pong: Pong, now: int, wall: int) -> None:
        """Take an answer; a late or invented one says nothing. ``wall`` is the system clock, which peers are told."""
        if pong.nonce != self._nonce:
            return
        self._nonce = None
        self.rtt_ms = now - self._sent_at
        self.least_rtt_ms = self.rtt_ms if self.least_rtt_ms is None else min(self.least_rtt_ms, self.rtt_ms)
        if self.rtt_ms <= MAX_ROUND_TRIP_MS:
            self.offset_ms = pong.time_ms - (wall - self.rtt_ms // 2)

    def verdict(self, outgoing: Outgoing, held: bool, now: int) -> Code | None:
        """Return why the connection should be closed, or None.

        Silence while ``held`` (we do not read) is our own doing.
        """
        if not outgoing.paused or outgoing.resumed != self._resumed:
            self._flow_at, self._resumed = now, outgoing.resumed
        if now - self._flow_at >= self.idle_timeout:
            return Code.STALLED
        if not held and now - self.last_received >= self.idle_timeout:
            return Code.IDLE
        return None
