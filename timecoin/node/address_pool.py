"""Which unarchived transactions touch a script: kept by listening to the feed, checked against the pool when read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from timecoin.consensus.status import Status
from timecoin.mempool.entry import Entry
from timecoin.mempool.pool import Pool
from timecoin.node.feed import BlockApplied, TransactionChanged
from timecoin.primitives.hashes import Hash
from timecoin.rpc.face_addresses import PoolOccurrence

_SLACK = 1_000


class AddressPool:
    """Scripts of the pool's transactions; evicted ones are noticed late, and never shown.

    ``told_final``: whether a transaction was told as final, which holds while its acks are not here again.
    """

    def __init__(self, pool: Pool, told_final: Callable[[Hash], bool]) -> None:
        self._pool = pool
        self._told_final = told_final
        self._scripts: dict[Hash, frozenset[bytes]] = {}
        self._by_script: dict[bytes, dict[Hash, None]] = {}
        self._fill()

    def _fill(self) -> None:
        self._scripts.clear()
        self._by_script.clear()
        for entry in self._pool:
            self._add(entry)

    def transaction(self, event: TransactionChanged) -> None:
        """Take note of what comes and goes."""
        if event.status in (Status.ARCHIVED, Status.REJECTED):
            self._remove(event.txid)
        elif event.txid not in self._scripts:
            entry = self._pool.get(event.txid)
            if entry is not None:
                self._add(entry)
            if len(self._scripts) > 2 * len(self._pool) + _SLACK:
                self._fill()

    def block(self, event: BlockApplied) -> None:
        """Of no interest here."""

    def _add(self, entry: Entry) -> None:
        scripts = frozenset([each.script for each in entry.tx.outputs] + [coin.script for coin in entry.coins])
        self._scripts[entry.txid] = scripts
        for script in scripts:
            self._by_script.setdefault(script, {})[entry.txid] = None

    def _remove(self, txid: Hash) -> None:
        for script in self._scripts.pop(txid, ()):
            txids = self._by_script[script]
            txids.pop(txid, None)
            if not txids:
                del self._by_script[script]

    def find(self, scripts: Collection[bytes]) -> list[PoolOccurrence]:
        """What touches these scripts, in the order of admission."""
        found = [(entry, script) for script in scripts for entry in self._entries(script)]
        return [self._occurrence(entry, script) for entry, script in sorted(found, key=lambda each: each[0].order)]

    def _entries(self, script: bytes) -> Iterator[Entry]:
        for txid in self._by_script.get(script, ()):
            entry = self._pool.get(txid)
            if entry is not None:
                yield entry

    def _occurrence(self, entry: Entry, script: bytes) -> PoolOccurrence:
        outputs = tuple((n, each.value) for n, each in enumerate(entry.tx.outputs) if each.script == script)
        spent = zip(entry.outpoints, entry.coins, strict=True)
        inputs = tuple((outpoint, coin.value) for outpoint, coin in spent if coin.script == script)
        final = entry.final or self._told_final(entry.txid)
        status = "final" if final else "certified" if entry.certified else "pending"
        return PoolOccurrence(entry.txid, script, status, outputs, inputs)
