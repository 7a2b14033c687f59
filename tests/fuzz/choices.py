"""Decisions read off a byte string, so that a fuzzer's bytes, or a seed's, can play a whole scenario."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

EDGES = (0, 1, 2, 3, 4, 7, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


class Choices:
    """Takes decisions off ``data``; behind its end every decision is the first possible one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @classmethod
    def of_seed(cls, seed: int, size: int = 4_096) -> Choices:
        """Random ones, the same for the same seed."""
        return cls(Random(seed).randbytes(size))

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, below: int) -> int:
        """From 0 up to but not including ``below`` ≤ 2^32."""
        size = max(1, ((below - 1).bit_length() + 7) // 8)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "little") % below

    def pick(self, things: Sequence[T]) -> T:
        """One of ``things``."""
        return things[self.number(len(things))]

    def often(self) -> bool:
        """Mostly True."""
        return self.number(8) != 7

    def rarely(self) -> bool:
        """Mostly False."""
        return self.number(8) == 7

    def u32(self, *likely: int) -> int:
        """One of ``likely`` as a rule, else a number of 32 bits that is likely to break something."""
        return max(0, self.pick(likely)) & 0xFFFFFFFF if likely and self.often() else self.pick(EDGES)

    def bytes(self, size: int) -> bytes:
        """So many bytes."""
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece.ljust(size, b"\0")
