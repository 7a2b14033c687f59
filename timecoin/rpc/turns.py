"""How long calls are answered before the rest of the node gets its turn: what comes then waits for the next turn.

A thousand requests that arrive together are a tenth of a second of work. Answered in one go they would hold up every
vote that arrives meanwhile, at each of the hops that a payment takes. Payments go before everything else that waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

SLICE: Final = 0.003
"""Seconds of a turn."""
URGENT: Final = (b"sendrawtransaction", b"submitpackage", b"sendtoaddress", b"sendmany", b'"send"', b"sendall")
_LOOKED_AT = 200


def is_urgent(body: bytes) -> bool:
    """Whether a request's first bytes name a method that sends a payment."""
    start = body[:_LOOKED_AT]
    return any(name in start for name in URGENT)


class Turns:
    """``clock`` is the reactor: its ``seconds`` and ``callLater(0, …)``, which is its next turn."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._until: float | None = None
        self._urgent: deque[Callable[[], None]] = deque()
        self._others: deque[Callable[[], None]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether this turn has time left, and nothing waits that came before."""
        if self._urgent or self._others:
            return False
        return self._has_time()

    def wait(self, work: Callable[[], None], urgent: bool) -> None:
        """Do ``work`` in a later turn, in its order. It must not raise."""
        (self._urgent if urgent else self._others).append(work)

    def _has_time(self) -> bool:
        if self._until is None:
            self._until = self._clock.seconds() + SLICE
            self._clock.callLater(0, self._next)
        return bool(self._clock.seconds() < self._until)

    def _next(self) -> None:
        self._until = None
        while (self._urgent or self._others) and self._has_time():
            (self._urgent or self._others).popleft()()
