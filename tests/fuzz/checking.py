"""What a fuzz target is, and what counts as a finding."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_INPUT = 65_536
"""Inputs up to this many bytes must be dealt with within :data:`MAX_SECONDS`."""

MAX_SECONDS = 1.0
"""Processor time for one input: a decoder that takes longer can be used to stop a node."""


class Finding(AssertionError):
    """An input with which a target did what it never may; the text shows the input in hex."""


class NotTheSame(AssertionError):
    """What was decoded encodes to other bytes: two nodes could hold one thing under two hashes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that takes bytes from others. ``run`` may return, or raise one of ``refuses``, which are its contract.

    ``size`` is the longest input that a fuzzer should try by itself; ``slow``: an input takes milliseconds, so that
    fewer are tried where their number is given.
    """

    name: str
    run: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    size: int = 4_096
    slow: bool = False

    def runs(self, count: int) -> int:
        """How many inputs to try where others try ``count``."""
        return max(1, count // 20) if self.slow else count


def codec(
    name: str,
    decode: Callable[[bytes], Any],
    encode: Callable[[Any], bytes],
    *refuses: type[Exception],
    size: int = 4_096,
) -> Target:
    """A canonical decoder: whatever it takes must encode to the very same bytes."""

    def run(data: bytes) -> None:
        value = decode(data)
        again = encode(value)
        if again != data:
            raise NotTheSame(f"{name} encodes to {again.hex()[:400]}")
        hash(value), repr(value)

    return Target(name, run, refuses, size)


def stable(
    name: str,
    decode: Callable[[bytes], Any],
    encode: Callable[[Any], bytes],
    *refuses: type[Exception],
    size: int = 4_096,
) -> Target:
    """A lenient decoder: what it takes, encoded and decoded again, must be the same value."""

    def run(data: bytes) -> None:
        value = decode(data)
        first = encode(value)
        again = decode(first)
        if again != value or encode(again) != first:
            raise NotTheSame(f"{name}: {value!r:.200} became {again!r:.200}")

    return Target(name, run, refuses, size)


def check(target: Target, data: bytes) -> bool:
    """Give ``data`` to a target; whether it was taken. Raises :class:`Finding`."""
    began = time.process_time()
    try:
        target.run(data)
        taken = True
    except target.refuses:
        taken = False
    except Exception as error:
        raise Finding(f"{target.name}: {type(error).__name__}: {error}; {len(data)} bytes: {data.hex()}") from error
    took = time.process_time() - began
    if took > MAX_SECONDS and len(data) <= MAX_INPUT:
        raise Finding(f"{target.name}: {took:.1f} s for {len(data)} bytes: {data.hex()}")
    return taken
