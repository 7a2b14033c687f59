"""Skewed clocks: libfaketime, preloaded into every node, reads each node's offset from a file of its own.

The offset may change while the node runs, as when somebody sets the clock. Monotonic clocks are left alone, as
they are by a kernel.
"""

from __future__ import annotations

import glob
from pathlib import Path

_PATTERNS = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
)


class MissingTool(Exception):
    """Something that the chaos run needs is not on this machine; ``str()`` says what and how to get it."""


def library() -> str:
    """Where libfaketime is. Raises MissingTool."""
    for pattern in _PATTERNS:
        found = sorted(glob.glob(pattern))
        if found:
            return found[0]
    raise MissingTool("libfaketime is missing, so no clock can be skewed: apt-get install faketime")


class Clock:
    """The clock of one node: ``skew`` seconds ahead of the real one (negative: behind)."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.skew = 0
        self.set(0)

    def environment(self) -> dict[str, str]:
        """What makes a process see this clock."""
        return {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            # Its fix for old C libraries makes waits for the interpreter lock spin on newer ones.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set(self, skew: int) -> None:
        """Step the clock; a running process sees it within a second."""
        self.skew = skew
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{skew:+d}s\n", encoding="ascii")
        fresh.replace(self._file)


def sweep(pids: list[int]) -> None:
    """Remove what libfaketime leaves of processes that were killed."""
    for pid in pids:
        for name in (f"/dev/shm/faketime_shm_{pid}", f"/dev/shm/sem.faketime_sem_{pid}"):
            Path(name).unlink(missing_ok=True)
