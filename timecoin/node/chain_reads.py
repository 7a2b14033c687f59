"""What RPC reads of blocks beyond whole blocks and headers: single transactions, what inputs spend, counts, subsidies.

Everything works in the reading threads; locations of transactions are looked up in a view of the coin database of its
own (``storage.reader.CoinLookup``), made on the reactor's thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from threading import Lock

from twisted.internet.defer import Deferred, DeferredSemaphore, succeed

from timecoin.ledger.coins import Coin
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.rewards import reward
from timecoin.node.storage_service import StorageService
from timecoin.primitives.block import Block, Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.skipping import pick
from timecoin.primitives.transaction import OutPoint, Transaction, split_outpoint
from timecoin.storage.archive import Archive
from timecoin.storage.errors import UnknownBlock
from timecoin.storage.reader import CoinLookup

MAX_LOOKUPS = 4
"""Views of the coin database open at a time: each is a connection with a cache of its own."""
_PAGE = 1_000
"""Headers read at a time while counting."""


class ChainReads:
    """Reads of the chain store in its reading threads."""

    def __init__(self, storage: StorageService, parameters: Parameters) -> None:
        self._storage = storage
        self._parameters = parameters
        self._counts = TxCounts(storage.chain.archive)
        self._lookups = DeferredSemaphore(MAX_LOOKUPS)

    @property
    def _archive(self) -> Archive:
        return self._storage.chain.archive

    def transaction_at(self, height: int, position: int) -> Deferred[Transaction]:
        """The transaction at a position of a block."""
        return self._storage.in_reading_thread(lambda: pick(self._archive.block(height), (position,))[position])

    def outputs(self, outpoints: Collection[OutPoint]) -> Deferred[dict[OutPoint, Coin]]:
        """What archived transactions made at these outpoints, spent or not."""
        if not outpoints:
            return succeed({})
        return self._lookups.run(self._look_up, outpoints)

    def _look_up(self, outpoints: Collection[OutPoint]) -> Deferred[dict[OutPoint, Coin]]:
        lookup = self._storage.chain.coin_lookup()
        return self._storage.in_reading_thread(_outputs, self._archive, lookup, outpoints)

    def tx_count(self, height: int) -> Deferred[int | None]:
        """Transactions of the chain up to a height."""
        return self._storage.in_reading_thread(self._counts.up_to, height)

    def subsidy(self, header: Header) -> Deferred[int]:
        """What a block may create."""
        return self._storage.in_reading_thread(subsidy_of, self._archive, self._parameters, header)


def _outputs(archive: Archive, lookup: CoinLookup, outpoints: Collection[OutPoint]) -> dict[OutPoint, Coin]:
    wanted: defaultdict[int, dict[Hash, int]] = defaultdict(dict)
    try:
        for txid in {outpoint[:32] for outpoint in outpoints}:
            place = lookup.location(txid)
            if place is not None:
                wanted[place[0]][txid] = place[1]
    finally:
        lookup.close()
    makers: dict[Hash, list[Coin]] = {}
    for height in sorted(wanted):
        with suppress(UnknownBlock):
            makers.update(_made(archive.block(height), height, wanted[height]))
    return dict(_found(makers, outpoints))


def _made(block: bytes, height: int, positions: dict[Hash, int]) -> dict[Hash, list[Coin]]:
    """The outputs of the transactions at some positions of a block, as coins."""
    picked = pick(block, positions.values())
    return {
        txid: [Coin(2 * height + (position == 0), each.value, each.script) for each in picked[position].outputs]
        for txid, position in positions.items()
    }


def _found(makers: dict[Hash, list[Coin]], outpoints: Iterable[OutPoint]) -> Iterable[tuple[OutPoint, Coin]]:
    for outpoint in outpoints:
        txid, n = split_outpoint(outpoint)
        made = makers.get(txid, [])
        if n < len(made):
            yield outpoint, made[n]


class TxCounts:
    """Running totals of transactions, counted once; any thread."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._heights: list[int] = []
        self._totals: list[int] = []
        self._lock = Lock()

    def up_to(self, height: int) -> int | None:
        """Transactions of blocks 0 to ``height``; None when some of these are not here."""
        if self._archive.base() > 0:
            return None
        with self._lock:
            place = bisect_right(self._heights, height)
            start, total = (self._heights[place - 1], self._totals[place - 1]) if place else (-1, 0)
            if not place or place == len(self._heights):
                start, total = self._go_on(start, total, height)
            return total + self._sum(start + 1, height)

    def _go_on(self, start: int, total: int, height: int) -> tuple[int, int]:
        """Count whole pages as far as they go, and keep their totals."""
        while start + _PAGE <= height:
            total += self._sum(start + 1, start + _PAGE)
            start += _PAGE
            self._heights.append(start)
            self._totals.append(total)
        return start, total

    def _sum(self, first: int, last: int) -> int:
        headers = self._archive.headers(first, last - first + 1) if last >= first else []
        return sum(Header.decode(each).tx_count for each in headers)


def subsidy_of(archive: Archive, parameters: Parameters, header: Header) -> int:
    """R(n) of protocol.md section 7 for the epoch that a block closes: 0 of an interim block; of block 0 what it
    allocates. ``UnknownBlock`` when blocks that tell are not here."""
    if header.height == 0:
        coinbase = pick(archive.block(0), (0,))[0]
        return sum(each.value for each in coinbase.outputs)
    return reward(_rewarded(archive, header), parameters.base_reward) if header.closing else 0


def _rewarded(archive: Archive, header: Header) -> int:
    """The members of S(e) that signed the previous closing block, as the first block after it says."""
    members = _members(archive, header.epoch)
    if header.epoch == 1:
        return len(members)
    before = archive.closings(header.epoch - 1, 1, 1 << 24)
    previous = Header.decode(before[0][0]).height
    first = Block.decode(archive.block(previous + 1))
    old = _members(archive, header.epoch - 1).members
    signed = {old[signer].masternode_id for signer, _ in first.last_commit.signatures}
    return sum(member.masternode_id in signed for member in members.members)


def _members(archive: Archive, epoch: int) -> PowerSet:
    links = archive.closings(epoch, 1, 1 << 24)
    if not links:
        raise UnknownBlock(f"the set of epoch {epoch} is not stored here")
    return PowerSet.decode(links[0][2])
