"""Random numbers from a seed and a name: each use has a stream of its own, so that one more draw here changes nothing
there."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of numbers: SHA-256 of seed, name and a counter. Integers only, and no library's choice of algorithm."""

    def __init__(self, seed: int, name: str = "") -> None:
        self._key = sha256(f"timecoin/simulation {seed} {name}".encode()).digest()
        self._seed, self._name = seed, name
        self._counter = 0
        self._words: list[int] = []

    def stream(self, name: str) -> Chance:
        """A stream of its own, the same for the same path of names whatever was drawn here."""
        return Chance(self._seed, f"{self._name}/{name}")

    def word(self) -> int:
        """64 random bits."""
        if not self._words:
            block = sha256(self._key + self._counter.to_bytes(8, "little")).digest()
            self._counter += 1
            self._words = [int.from_bytes(block[at : at + 8], "little") for at in (0, 8, 16, 24)]
        return self._words.pop()

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit`` - 1; ``ValueError`` unless ``limit`` is positive."""
        if limit <= 0:
            raise ValueError("no number is below that")
        # 64 bits against small limits: the bias is below 2^-40.
        return self.word() % limit

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def permille(self, share: int) -> bool:
        """True ``share`` times out of a thousand."""
        return share > 0 and self.below(1_000) < share

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order (Fisher and Yates)."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.below(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """``count`` different ones of the items, or all of them, in random order."""
        return self.shuffled(items)[:count]

    def data(self, size: int) -> bytes:
        """Random bytes."""
        return b"".join(self.word().to_bytes(8, "little") for _ in range((size + 7) // 8))[:size]
