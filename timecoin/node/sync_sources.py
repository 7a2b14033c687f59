"""Peers as sources of blocks: what each was asked and how fast it answers, and whose claims are believed.

A claim is only as good as what follows it: whoever says that it has blocks and does not deliver them rests, longer
each time, and meanwhile its word counts for nothing. That is never held against it otherwise, as an overloaded node
or a slow line does the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from timecoin.node.peer_view import PeerView

RANGE, FIRST_RANGE = 64, 8
"""Blocks asked for in one message at most, and of a peer whose speed is unknown."""
PIPELINE = 2
"""Questions that one peer may owe answers to, so that the line is not idle between them."""
REQUEST_TIMEOUT_MS = 5_000
FIRST_REST_MS, LONGEST_REST_MS = 10_000, 600_000
OWED_LIMIT = 8
SETTLED_LIMIT = 64
"""Answers that may come once more without meaning anything."""
BRANCHED = 1_000
"""Failures of a peer that is on another branch: what it delivers is no help."""
LEAST_PATIENCE_MS, MOST_PATIENCE_MS, NEW_PATIENCE_MS = 200, 2_000, 500
_MEMORY_MS = 5_000
"""The speed is that of about this much of the time in which answers were owed."""


@dataclass(slots=True, eq=False)
class Request:
    """``count`` blocks from height ``start`` on, asked for at ``asked`` milliseconds."""

    start: int
    count: int
    asked: int

    def covers(self, height: int) -> bool:
        """Is this height asked for?"""
        return self.start <= height < self.start + self.count


class Source:
    """One peer. ``requests`` are under way."""

    def __init__(self, view: PeerView) -> None:
        self.view = view
        self.requests: list[Request] = []
        self._blocks = self._busy_ms = 0.0
        self.failures = 0
        self._owed: list[Request] = []
        self._settled: deque[int] = deque(maxlen=SETTLED_LIMIT)
        self._forgot = False
        self._rests_until = 0
        self._answered_at = 0

    def rests(self, now: int) -> bool:
        """Did it fail to deliver not long ago?"""
        return now < self._rests_until

    def claim(self, now: int) -> int:
        """The height up to which it says it has everything, as far as that is to be believed now; -1: no matter."""
        return -1 if self.rests(now) else self.view.height - 1

    @property
    def rate(self) -> float | None:
        """Blocks a second while it owed any; None before the first answer."""
        return None if not self._blocks else 1_000 * self._blocks / self._busy_ms

    @property
    def range_size(self) -> int:
        """How many blocks to ask for: about a second's worth."""
        rate = self.rate
        return FIRST_RANGE if rate is None else max(1, min(RANGE, int(rate)))

    def patience_ms(self, count: int) -> int:
        """For how long ``count`` blocks are left to another that holds them while this one has nothing to do."""
        if self.rate is None:
            return NEW_PATIENCE_MS
        return max(LEAST_PATIENCE_MS, min(MOST_PATIENCE_MS, int(1_500 * count / self.rate)))

    def ask(self, start: int, count: int, now: int) -> None:
        """It is being asked."""
        self.requests.append(Request(start, count, now))

    def answered(self, first: int | None, now: int) -> tuple[Request | None, bool]:
        """What an answer whose first height is ``first`` (None: no blocks) answers, and whether an answer that fits
        nothing is an offence: not when so much is owed that some of it was forgotten, nor when it came before.
        """
        for pending in (self._owed, self.requests):
            for request in pending:
                if first is None or request.start == first:
                    pending.remove(request)
                    self._settled.append(request.start)
                    return request, False
        is_strange = not self._forgot and first not in self._settled
        return None, is_strange and bool(self.requests or self._owed)

    def delivered(self, request: Request, count: int, now: int) -> None:
        """``count`` blocks of a request came."""
        if not count:
            self._fail(now)
            return
        if self.failures == BRANCHED:
            return
        if self._busy_ms > _MEMORY_MS:
            self._blocks, self._busy_ms = self._blocks / 2, self._busy_ms / 2
        self._blocks += count
        self._busy_ms += max(1, now - max(request.asked, self._answered_at))
        self._answered_at = now
        self.failures, self._rests_until = 0, 0

    def look_at_clock(self, now: int) -> None:
        """Give up what it owes for too long; a late answer is taken all the same."""
        late = [each for each in self.requests if now - max(each.asked, self._answered_at) > REQUEST_TIMEOUT_MS]
        if late:
            self.requests = [each for each in self.requests if each not in late]
            self._owed = [*self._owed, *late]
            self._forgot = self._forgot or len(self._owed) > OWED_LIMIT
            self._owed = self._owed[-OWED_LIMIT:]
            self._blocks = self._busy_ms = 0.0
            self._fail(now)

    def disbelieve(self, now: int) -> None:
        """It is on another branch: its word counts for nothing for a good while."""
        self.failures = BRANCHED
        self._rests_until = now + LONGEST_REST_MS

    def _fail(self, now: int) -> None:
        self.failures += 1
        self._rests_until = now + min(LONGEST_REST_MS, FIRST_REST_MS << min(self.failures - 1, 10))


def believed_height(own: int, verified: int, sources: Iterable[Source], now: int) -> int:
    """The height that the network has, as far as one liar cannot make it up: what this node has or holds with verified
    commits, what two peers claim, or the only one that there is.
    """
    claims = sorted([max(0, each.claim(now)) for each in sources if not each.rests(now)], reverse=True)
    backed = claims[1] if len(claims) > 1 else claims[0] if claims else 0
    return max(own, verified, backed)
