"""Votes and acks counted per transaction for one epoch and its set (protocol.md R1 to R3, R6)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from timecoin.consensus.bundle import Bundle
from timecoin.ledger.powerset import PowerSet
from timecoin.mempool.entry import Entry
from timecoin.primitives.hashes import Hash

MAX_UNKNOWN = 16_384
"""Statements of one signer about unknown bodies; above that its bundles wait until bodies come."""

MAX_UNKEPT = 65_536
"""Tallies of bodies that were seen and not kept; the oldest without votes of a third goes first."""

_SPARED = 64


class Tally:
    """What a transaction got in the open epoch: signer masks, their power, and the bundles that say so.

    ``entry`` is None while its body is not in the pool; ``unkept`` when the body was seen but is not kept.
    """

    __slots__ = (
        "ack_bundles",
        "ack_power",
        "acks",
        "certified",
        "entry",
        "final",
        "txid",
        "unkept",
        "vote_bundles",
        "vote_power",
        "votes",
        "winner",
    )

    def __init__(self, txid: Hash, entry: Entry | None = None) -> None:
        self.txid = txid
        self.entry = entry
        self.votes = self.acks = 0
        self.vote_power = self.ack_power = 0
        self.certified = self.final = self.unkept = False
        self.winner: Hash | None = None
        self.vote_bundles: list[Bundle] = []
        self.ack_bundles: list[Bundle] = []


class Tallies:
    """All tallies of one epoch.

    A masternode can name bodies that nobody has; each signer has an allowance for statements about unknown
    bodies, in ``unknown``, so that it can fill its own allowance and nothing else.
    """

    def __init__(self, members: PowerSet) -> None:
        self.members = members
        self.unknown = [0] * len(members)
        self._by_txid: dict[Hash, Tally] = {}
        self._unkept: OrderedDict[Hash, None] = OrderedDict()
        self.get = self._by_txid.get

    def __len__(self) -> int:
        return len(self._by_txid)

    def __iter__(self) -> Iterator[Tally]:
        return iter(self._by_txid.values())

    def has_room(self, signer: int) -> bool:
        """Tell whether a bundle of ``signer`` may be counted now."""
        return self.unknown[signer] < MAX_UNKNOWN

    def open(self, txid: Hash, entry: Entry | None = None) -> Tally:
        """Return the tally of ``txid``, a new one if need be."""
        tally = self._by_txid.get(txid)
        if tally is None:
            tally = self._by_txid[txid] = Tally(txid, entry)
        return tally

    def settle(self, entry: Entry) -> Tally:
        """A body came into the pool: return its tally, with what was said before it came."""
        tally = self._by_txid.get(entry.txid)
        if tally is None:
            tally = self._by_txid[entry.txid] = Tally(entry.txid, entry)
        elif tally.entry is None:
            self._discharge(tally)
            tally.entry, tally.unkept = entry, False
            self._unkept.pop(entry.txid, None)
        return tally

    def unkeep(self, txid: Hash, winner: Hash | None = None) -> None:
        """A body left the pool or is not taken into it: what was said about it is kept for a while.

        ``winner`` is the transaction that settled one of its coins, if that is why.
        """
        tally = self._by_txid.get(txid)
        if tally is None:
            return
        tally.winner = winner or tally.winner
        if tally.unkept:
            return
        if tally.entry is None:
            self._discharge(tally)
        tally.entry, tally.unkept = None, True
        self._unkept[txid] = None
        if len(self._unkept) > MAX_UNKEPT:
            self._drop_oldest()

    def remove(self, txid: Hash) -> None:
        """The transaction is archived: nothing about it is counted any more (R6)."""
        tally = self._by_txid.pop(txid, None)
        if tally is None:
            return
        if tally.unkept:
            self._unkept.pop(txid, None)
        elif tally.entry is None:
            self._discharge(tally)

    def bodies_wanted(self) -> Iterator[Tally]:
        """Yield tallies whose bodies should be fetched: never seen, or a third of the power voted (R5)."""
        for tally in self._by_txid.values():
            if tally.entry is None and (not tally.unkept or self.members.exceeds_third(tally.vote_power)):
                yield tally

    def drain(self, slice_size: int) -> Iterator[None]:
        """Forget everything, ``slice_size`` tallies at a time."""
        self._unkept.clear()
        while self._by_txid:
            for _ in range(min(slice_size, len(self._by_txid))):
                self._by_txid.popitem()
            yield

    def _discharge(self, tally: Tally) -> None:
        if not tally.unkept:
            for mask in (tally.votes, tally.acks):
                for signer in signers_of(mask):
                    self.unknown[signer] -= 1

    def _drop_oldest(self) -> None:
        for _ in range(_SPARED):
            oldest = next(iter(self._unkept))
            if not self.members.exceeds_third(self._by_txid[oldest].vote_power):
                break
            self._unkept.move_to_end(oldest)
        oldest, _ = self._unkept.popitem(last=False)
        del self._by_txid[oldest]


def signers_of(mask: int) -> Iterator[int]:
    """Yield the signer indices of a mask, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
