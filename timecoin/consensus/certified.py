"""The unarchived certified transactions, in the order in which a proposer takes them (protocol.md R7, R8)."""

from __future__ import annotations

from timecoin.mempool.entry import Entry, ancestors
from timecoin.primitives.hashes import Hash


class CertifiedSet:
    """Entries with a certificate of the open epoch; ``count`` and serialised ``bytes`` are kept up."""

    def __init__(self) -> None:
        self.bytes = 0
        self._entries: dict[Hash, Entry] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Enter one whose certificate was verified."""
        self._entries[entry.txid] = entry
        self.bytes += entry.size

    def discard(self, entry: Entry) -> None:
        """Take one out if it is there."""
        if self._entries.pop(entry.txid, None) is not None:
            self.bytes -= entry.size

    def includable(self) -> list[Entry]:
        """Return those whose unarchived ancestors are certified too, parents before children. O(n log n)."""
        allowed: dict[Hash, Entry] = {}
        for entry in sorted(self._entries.values(), key=lambda each: each.order):
            if all(parent in allowed for parent in entry.parents):
                allowed[entry.txid] = entry
        return list(allowed.values())

    def by_rate(self) -> list[Entry]:
        """Return ``includable`` by descending fee rate, each directly after what it needs."""
        placed: dict[Hash, Entry] = {}
        for entry in sorted(self.includable(), key=lambda each: (-each.rate, each.order)):
            if entry.parents:
                family = ancestors(entry, self.count) or []
                placed.update((each.txid, each) for each in sorted(family, key=lambda each: each.order))
            placed[entry.txid] = entry
        return list(placed.values())
