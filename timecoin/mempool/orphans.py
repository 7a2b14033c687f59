"""Transactions whose parents are not known yet, bounded per source (protocol.md R6)."""

from __future__ import annotations

from typing import NamedTuple

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction

MAX_PER_SOURCE = 100
"""Orphans of one source; the oldest goes first."""

MAX_BYTES_PER_SOURCE = 400_000
"""Bytes of the orphans of one source: four transactions of the largest size."""

MAX_BYTES = 20_000_000
"""Bytes of all orphans; the oldest of the source that holds most goes first."""


class Orphan(NamedTuple):
    """A transaction, the unknown txids that it spends from, and who sent it (a peer's id)."""

    tx: Transaction
    missing: tuple[Hash, ...]
    source: bytes


class _Source:
    """What one source has in the pool of orphans, oldest first."""

    __slots__ = ("bytes", "orphans")

    def __init__(self) -> None:
        self.bytes = 0
        self.orphans: dict[Hash, Orphan] = {}

    def over(self) -> bool:
        return len(self.orphans) > MAX_PER_SOURCE or self.bytes > MAX_BYTES_PER_SOURCE


class Orphans:
    """Keeps orphans until a parent turns up or newer ones of the same source push them out."""

    def __init__(self) -> None:
        self.bytes = 0
        self._orphans: dict[Hash, Orphan] = {}
        self._sources: dict[bytes, _Source] = {}
        self._waiting: dict[Hash, dict[Hash, None]] = {}

    def __len__(self) -> int:
        return len(self._orphans)

    def __contains__(self, txid: Hash) -> bool:
        return txid in self._orphans

    def add(self, tx: Transaction, missing: tuple[Hash, ...], source: bytes) -> None:
        """Keep ``tx`` until one of ``missing`` is known; a second copy changes nothing."""
        txid = tx.txid
        if txid in self._orphans or not missing:
            return
        orphan = Orphan(tx, missing, source)
        self._orphans[txid] = orphan
        for parent in missing:
            self._waiting.setdefault(parent, {})[txid] = None
        owner = self._sources.setdefault(source, _Source())
        owner.orphans[txid] = orphan
        owner.bytes += tx.size
        self.bytes += tx.size
        while owner.over():
            self._drop(next(iter(owner.orphans)))
        while self.bytes > MAX_BYTES:
            largest = max(self._sources.values(), key=lambda each: each.bytes)
            self._drop(next(iter(largest.orphans)))

    def take(self, parent: Hash) -> list[Orphan]:
        """Remove and return those that wait for ``parent``, in order of arrival."""
        waiting = self._waiting.get(parent)
        if waiting is None:
            return []
        found = [self._orphans[txid] for txid in waiting]
        for orphan in found:
            self._drop(orphan.tx.txid)
        return found

    def forget_source(self, source: bytes) -> None:
        """Drop all orphans of a source that went away."""
        owner = self._sources.get(source)
        for txid in tuple(owner.orphans) if owner is not None else ():
            self._drop(txid)

    def _drop(self, txid: Hash) -> None:
        orphan = self._orphans.pop(txid)
        for parent in orphan.missing:
            waiting = self._waiting[parent]
            del waiting[txid]
            if not waiting:
                del self._waiting[parent]
        owner = self._sources[orphan.source]
        del owner.orphans[txid]
        owner.bytes -= orphan.tx.size
        self.bytes -= orphan.tx.size
        if not owner.orphans:
            del self._sources[orphan.source]
