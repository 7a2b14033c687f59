"""A limit on how long one command of the manhole may hold the reactor's thread.

The kernel's alarm clock strikes while a command runs too long, and Python's signal handler raises in the reactor's own
thread: this ends loops, sleeps, waits for locks, sockets and children (all of them give way to signals, PEP 475). It is
raised only while frames of the command are on the stack, so that an alarm that comes a moment late cannot hit the
node's own code.

What Python cannot interrupt is one call of C code that asks for no signals, such as ``10 ** 10 ** 9`` or
``sum(itertools.count())``. A node that hangs for good helps nobody, so after ``last_resort`` seconds the process ends
with a traceback on standard error, and its supervisor starts it again.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
_AGAIN = 0.1
"""Seconds after which the alarm strikes again when a command caught it."""


class CommandStopped(BaseException):
    """Raised inside a command that ran for too long; no Exception, so that ``except Exception`` lets it pass."""


class Watch:
    """Runs work on the main thread for at most ``limit`` seconds (adjustable while the node runs)."""

    def __init__(self, limit: float = 2.0, last_resort: float | None = 60.0) -> None:
        """``last_resort``: seconds after which the process is ended, None: never."""
        self.limit = limit
        self.last_resort = last_resort
        self._ready = False

    def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``.

        Raises ``CommandStopped`` inside it when the limit passes; ValueError when this is not the main thread, where
        Python's signal handlers run.
        """
        self._get_ready()
        if self.last_resort is not None:
            faulthandler.dump_traceback_later(self.last_resort, exit=True, file=sys.__stderr__ or sys.stderr)
        signal.setitimer(signal.ITIMER_REAL, self.limit, _AGAIN)
        try:
            return _inside(work)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self.last_resort is not None:
                faulthandler.cancel_dump_traceback_later()

    def _get_ready(self) -> None:
        # The handler stays: taken away again, an alarm under way would end the process (SIG_DFL).
        if not self._ready:
            signal.signal(signal.SIGALRM, _strike)
            self._ready = True


def shielded(work: Callable[[], T]) -> T:
    """Run ``work`` so that no alarm interrupts it half-way; the alarm strikes again afterwards. For short work only."""
    return work()


def _inside(work: Callable[[], T]) -> T:
    return work()


def _strike(number: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_code is not _inside.__code__ and _is_interruptible(frame):
        raise CommandStopped


def _is_interruptible(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is shielded.__code__:
            return False
        if frame.f_code is _inside.__code__:
            return True
        frame = frame.f_back
    return False
