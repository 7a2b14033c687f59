"""The unarchived transactions by txid, by what they spend, and by what they pay (protocol.md R5, R6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from timecoin.mempool.cheapest import Cheapest
from timecoin.mempool.entry import Entry
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint

_NEARLY = 64
"""The pool counts as full when less than this part of it is free."""


class Pool:
    """Holds entries up to ``max_bytes`` of memory; knows which of them compete for a coin.

    Iteration is in the order of admission, so parents come before children.  Kept up: ``bytes`` of memory,
    ``serialized`` bytes and ``fees`` of all entries, how many are ``certified`` but not final, and how many
    are ``final``.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = self.serialized = self.vsize = self.fees = 0
        self.certified = self.final = 0
        self._entries: dict[Hash, Entry] = {}
        self._spender: dict[OutPoint, Entry] = {}
        self._contested: dict[OutPoint, list[Entry]] = {}
        self._cheapest = Cheapest()
        self._order = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, txid: Hash) -> bool:
        return txid in self._entries

    def get(self, txid: Hash) -> Entry | None:
        """Return the entry of ``txid``, or None."""
        return self._entries.get(txid)

    def spenders(self, outpoint: OutPoint) -> tuple[Entry, ...]:
        """Return all that spend ``outpoint``, first come first."""
        several = self._contested.get(outpoint)
        if several is not None:
            return tuple(several)
        single = self._spender.get(outpoint)
        return () if single is None else (single,)

    def favoured(self, outpoint: OutPoint) -> Entry | None:
        """Return the spender of ``outpoint`` that is nearest to final, of equal ones the first; None of none."""
        return max(self.spenders(outpoint), key=lambda entry: (entry.final, entry.certified), default=None)

    def standing_back(self) -> set[Hash]:
        """Return the txids of what a favoured rival keeps out, and of all that rests on that."""
        waiting: list[Entry] = []
        for outpoint, several in self._contested.items():
            best = self.favoured(outpoint)
            waiting.extend(each for each in several if each is not best)
        found: set[Hash] = set()
        while waiting:
            entry = waiting.pop()
            if entry.txid not in found:
                found.add(entry.txid)
                waiting.extend(entry.children.values())
        return found

    def is_contested(self, entry: Entry) -> bool:
        """Tell whether another entry spends one of its coins."""
        contested = self._contested
        return bool(contested) and any(outpoint in contested for outpoint in entry.outpoints)

    def rivals(self, entry: Entry) -> tuple[Entry, ...]:
        """Return the entries that spend a coin of ``entry``, each once, in the order of its inputs."""
        if not self._contested:
            return ()
        found = {
            other.txid: other for outpoint in entry.outpoints for other in self._contested.get(outpoint, ())
        }
        found.pop(entry.txid, None)
        return tuple(found.values())

    def add(self, entry: Entry, parents: Iterable[Entry]) -> None:
        """Take an entry whose ``parents`` are in the pool and that is not in it itself."""
        txid = entry.txid
        for parent in parents:
            entry.parents[parent.txid] = parent
            parent.children[txid] = entry
        for outpoint in entry.outpoints:
            first = self._spender.setdefault(outpoint, entry)
            if first is not entry:
                self._contested.setdefault(outpoint, [first]).append(entry)
        self._order += 1
        entry.order = self._order
        self._entries[txid] = entry
        self._count(entry, 1)
        self._cheapest.push(entry)

    def remove(self, entry: Entry) -> None:
        """Take an entry out; its children stay, without it as a parent."""
        del self._entries[entry.txid]
        self._count(entry, -1)
        for parent in entry.parents.values():
            del parent.children[entry.txid]
        for child in entry.children.values():
            del child.parents[entry.txid]
        for outpoint in entry.outpoints:
            self._unspend(outpoint, entry)
        self._cheapest.forget(self)

    def _count(self, entry: Entry, sign: int) -> None:
        self.bytes += sign * entry.memory
        self.serialized += sign * entry.size
        self.vsize += sign * entry.vsize
        self.fees += sign * entry.fee
        self._tally(entry, sign)

    def _tally(self, entry: Entry, sign: int) -> None:
        if entry.final:
            self.final += sign
        elif entry.certified:
            self.certified += sign

    def _unspend(self, outpoint: OutPoint, entry: Entry) -> None:
        several = self._contested.get(outpoint)
        if several is None:
            del self._spender[outpoint]
            return
        several.remove(entry)
        self._spender[outpoint] = several[0]
        if len(several) == 1:
            del self._contested[outpoint]

    def certify(self, entry: Entry) -> None:
        """Mark an entry certified."""
        self._tally(entry, -1)
        entry.certified = True
        self._tally(entry, 1)

    def finalize(self, entry: Entry) -> None:
        """Mark an entry final, for good."""
        self._tally(entry, -1)
        entry.final = True
        self._tally(entry, 1)

    def lapse(self, entry: Entry) -> None:
        """Take the certificate of an entry away: its epoch is over, and it may be evicted again."""
        if entry.certified:
            self._tally(entry, -1)
            entry.certified = False
            self._tally(entry, 1)
            self._cheapest.push(entry)

    @property
    def least_rate(self) -> int:
        """The rate (millionths of a base unit per vbyte) that a newcomer must beat: 0 until the pool is nearly full."""
        if self.bytes < self.max_bytes - self.max_bytes // _NEARLY:
            return 0
        return self._cheapest.lowest(self)

    def victims(
        self,
        newcomer: Entry,
        parents: Iterable[Entry],
        *,
        at_any_price: bool = False,
        keep_voted: bool = False,
    ) -> list[Entry]:
        """Return what must go to make room: pending ones of the lowest rates, with their descendants.

        :param at_any_price: the newcomer comes in whatever it pays, and even when not enough can go.
        :param keep_voted: nothing goes that I voted for in this epoch.
        :raises PoolFull: when what pays less than the newcomer does not make enough room.
        """
        excess = self.bytes + newcomer.memory - self.max_bytes
        if excess <= 0:
            return []
        kept = {parent.txid for parent in parents}
        below = None if at_any_price else newcomer.rate
        return self._cheapest.choose(self, excess, below, kept, keep_voted)

