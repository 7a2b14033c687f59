"""Pauses of threads that work in the background."""

from __future__ import annotations

from threading import Event


def rest(seconds: float) -> None:
    """Let other threads run for ``seconds``.

    Not ``time.sleep``: where the process's clock is skewed (found by the chaos test, under libfaketime) that fails with
    EINVAL, and the work with it.
    """
    Event().wait(seconds)
