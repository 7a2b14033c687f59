"""Percentiles, and what the operating system knows of a process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def percentile(ordered: Sequence[float], permille: int) -> float:
    """The value below which ``permille`` of a sorted sequence lie; 0 of an empty one."""
    return ordered[min(len(ordered) - 1, len(ordered) * permille // 1000)] if ordered else 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float:
    """Largest resident size of a process so far, in megabytes."""
    return _status_mb(pid, "VmHWM:")


def rss_mb(pid: int) -> float:
    """Resident size of a process, in megabytes."""
    return _status_mb(pid, "VmRSS:")


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return round(int(line.split()[1]) / 1024, 1)
    raise LookupError(name)
