"""Timers that no step of the system clock moves.

Twisted's reactor measures by the system clock: when somebody sets that back by an hour, no timer fires for an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def steady_clock(
    wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """Seconds since the Unix epoch as the system clock had them at this call, and from then on at an even pace."""
    began = wall() - monotonic()
    return lambda: began + monotonic()


def make_steady(reactor: Any) -> None:
    """Let a reactor measure by :func:`steady_clock`; to be called before anything is planned on it."""
    reactor.seconds = steady_clock()
