"""Which pending transactions pay least: a heap that tolerates entries that left the pool meanwhile."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Protocol

from timecoin.mempool.entry import Entry, descendants
from timecoin.mempool.errors import PoolFull
from timecoin.primitives.hashes import Hash

_SLACK = 4_096
_Item = tuple[int, int, Hash]


class Entries(Protocol):
    """The pool as seen from here."""

    def get(self, txid: Hash) -> Entry | None:
        """Return the entry of ``txid``, or None."""
        ...

    def __len__(self) -> int: ...


class Cheapest:
    """Entries by fee rate, the latest of equal ones first."""

    def __init__(self) -> None:
        self._heap: list[_Item] = []

    def push(self, entry: Entry) -> None:
        """Offer an entry for eviction."""
        heappush(self._heap, (entry.rate, -entry.order, entry.txid))

    def forget(self, entries: Entries) -> None:
        """Drop what has left the pool, once that is most of the heap."""
        if len(self._heap) > 2 * len(entries) + _SLACK:
            self._heap = [item for item in self._heap if _entry(entries, item) is not None]
            heapify(self._heap)

    def lowest(self, entries: Entries) -> int:
        """Return the lowest rate of what may be evicted; 0 when nothing may be."""
        while self._heap:
            entry = _entry(entries, self._heap[0])
            if entry is not None and not _stays(entry):
                return self._heap[0][0]
            heappop(self._heap)
        return 0

    def choose(
        self, entries: Entries, excess: int, below: int | None, kept: set[Hash], keep_voted: bool
    ) -> list[Entry]:
        """Return victims that free ``excess`` bytes, each followed by its descendants.

        Only rates under ``below`` are considered (None: any rate, and too few victims are no error), and with
        ``keep_voted`` only what I did not vote for.

        :raises PoolFull: when they do not suffice.
        """
        chosen: dict[Hash, Entry] = {}
        popped: list[_Item] = []
        while excess > 0 and self._heap and (below is None or self._heap[0][0] < below):
            item = heappop(self._heap)
            entry = _entry(entries, item)
            family = None
            if entry is not None and entry.txid not in chosen:
                family = evictable_family(entry, kept, keep_voted)
            if family is None:
                if entry is not None and not _stays(entry):
                    popped.append(item)
                continue
            popped.append(item)
            for member in family:
                if member.txid not in chosen:
                    chosen[member.txid] = member
                    excess -= member.memory
        for item in popped:
            heappush(self._heap, item)
        if excess > 0 and below is not None:
            raise PoolFull()
        return list(chosen.values())


def evictable_family(entry: Entry, kept: set[Hash], keep_voted: bool) -> list[Entry] | None:
    """Return the entry and its descendants if all may go: none local, certified or among ``kept``."""
    family = [entry, *descendants(entry)]
    if any(_stays(each) or each.txid in kept or (keep_voted and each.voted) for each in family):
        return None
    return family


def _stays(entry: Entry) -> bool:
    return entry.local or entry.certified or entry.acked or entry.final


def _entry(entries: Entries, item: _Item) -> Entry | None:
    entry = entries.get(item[2])
    return entry if entry is not None and entry.order == -item[1] else None
