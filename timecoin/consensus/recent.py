"""Bounded memories: what was archived in the open epoch, and what to tell users about the past."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from timecoin.primitives.hashes import Hash

V = TypeVar("V")

GENERATION = 1 << 17
GENERATIONS = 8


class RecentMap(Generic[V]):
    """A map by txid that forgets the oldest above ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[Hash, V] = OrderedDict()
        self.get = self._items.get

    def __len__(self) -> int:
        return len(self._items)

    def __setitem__(self, txid: Hash, value: V) -> None:
        self._items[txid] = value
        if len(self._items) > self._limit:
            self._items.popitem(last=False)

    def discard(self, txid: Hash) -> None:
        """Forget ``txid`` if it is there."""
        self._items.pop(txid, None)


class RecentSet:
    """Txids in generations: adding is cheap, and memory is given back one generation at a time.

    ``complete`` turns False when something was forgotten.
    """

    def __init__(self, generation: int = GENERATION) -> None:
        self.complete = True
        self._size = generation
        self._generations: deque[set[Hash]] = deque([set()])

    def __contains__(self, txid: Hash) -> bool:
        return any(txid in generation for generation in self._generations)

    def add(self, txid: Hash) -> None:
        """Remember ``txid``."""
        if len(self._generations[-1]) >= self._size:
            if len(self._generations) == GENERATIONS:
                self._generations.popleft()
                self.complete = False
            self._generations.append(set())
        self._generations[-1].add(txid)
