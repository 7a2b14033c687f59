"""
The reactor's side of the chain: coins, locations and the tip, without ever waiting for the storage thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from timecoin.ledger.coins import Coin, decode_coin
from timecoin.primitives.block import Header
from timecoin.storage.archive import Archive
from timecoin.storage.database import connect
from timecoin.storage.delta import BlockDelta, location_key, split_location
from timecoin.storage.errors import WrongHeight
from timecoin.storage.snapshot import CoinSnapshot
from timecoin.storage.writer import Committed, Merged

_GC_EVERY = 512


@dataclass(frozen=True, slots=True)
class TipRecord:
    """
    The newest block that the reactor knows of: height (−1: none), hash, coins in the set, encoded ledger
    state.
    """

    height: int
    block_hash: bytes
    coin_count: int
    state: bytes


class CoinLookup:
    """
    The coins and the archived transactions at one tip for one other thread, which closes it; made by the reactor
    thread.

    Its view of the trees is pinned when it is made: they may hold parts of blocks that its overlay holds too,
    and none of later blocks, whatever is decided and merged while it is in use.
    """

    def __init__(self, coins: Any, archive: Archive, overlay: Sequence[BlockDelta]) -> None:
        self._archive = archive
        self._overlay = overlay
        self._reads = 0
        self._connection = connect(coins)
        self._connection.transaction_manager.begin()
        root = self._connection.root()
        self._coins, self._txids, self._twins = root["coins"], root["txids"], root["twins"]

    def __call__(self, outpoint: bytes) -> Coin | None:
        """The coin at the unspent *outpoint*; None when it is spent or was never made."""
        data = _overlaid(self._overlay, outpoint, self._coins)
        self._reads = _trimmed(self._connection, self._reads)
        return None if data is None else decode_coin(data)

    def location(self, txid: bytes) -> tuple[int, int] | None:
        """(height, position) of the archived transaction *txid*; None when it is not in the chain."""
        self._reads = _trimmed(self._connection, self._reads)
        return _located(self._overlay, self._txids, self._twins, self._archive, txid)

    def archived_in(self, txid: bytes, epoch: int) -> int | None:
        """The height of the block of *epoch* that holds *txid*; None when no block of that epoch does."""
        self._reads = _trimmed(self._connection, self._reads)
        place = _located(self._overlay, self._txids, self._twins, self._archive, txid)
        if place is None or Header.decode(self._archive.header(place[0])).epoch != epoch:
            return None
        return place[0]

    def close(self) -> None:
        """Give the connection back; twice is harmless."""
        if self._connection is not None:
            self._connection.transaction_manager.abort()
            self._connection.close()
            self._connection = None


def _overlaid(overlay: Sequence[BlockDelta], outpoint: bytes, tree: Any) -> bytes | None:
    for delta in reversed(overlay):
        if outpoint in delta.changes:
            return delta.changes[outpoint]
    coin: bytes | None = tree.get(outpoint)
    return coin


def _located(
    overlay: Sequence[BlockDelta], txids: Any, twins: Any, archive: Archive, txid: bytes
) -> tuple[int, int] | None:
    for delta in reversed(overlay):
        position = delta.positions.get(txid)
        if position is not None:
            return delta.height, position
    stored = txids.get(location_key(txid))
    if stored is None:
        return None
    found = split_location(stored)
    if archive.txid_at(*found) == txid:
        return found
    twin = twins.get(txid)
    return None if twin is None else split_location(twin)


def _trimmed(connection: Any, reads: int) -> int:
    # ZODB trims a cache at the end of a transaction; these connections may go on reading in one for long.
    if reads % _GC_EVERY == _GC_EVERY - 1:
        connection.cacheGC()
    return reads + 1


class ChainReader:
    """
    Look-ups in the deltas of unmerged blocks, newest first, then in the trees as of the last :meth:`merged`.

    Only the reactor thread may use it. :meth:`committed` takes constant time whatever the size of the block.
    """

    def __init__(self, coins: Any, archive: Archive, unmerged: Iterable[BlockDelta], tip: TipRecord) -> None:
        self._archive = archive
        self._database = coins
        self._overlay = list(unmerged)
        self.tip = tip
        self._reads = 0
        self._connection = connect(coins)
        self._connection.transaction_manager.begin()
        self._take_trees()

    def _take_trees(self) -> None:
        root = self._connection.root()
        self._coins, self._txids, self._twins = root["coins"], root["txids"], root["twins"]

    def imported(self, tip: TipRecord) -> None:
        """See the trees and the tip that a finished import put in place of those before."""
        manager = self._connection.transaction_manager
        manager.abort()
        manager.begin()
        self._take_trees()
        self._overlay, self.tip = [], tip

    def close(self) -> None:
        """Give the connection back."""
        self._connection.transaction_manager.abort()
        self._connection.close()

    @property
    def unmerged_keys(self) -> int:
        """Keys (coins made or spent, txids) held in memory."""
        return sum(delta.size for delta in self._overlay)

    def committed(self, token: Committed) -> None:
        """Make a committed block visible; ``WrongHeight`` when tokens arrive out of order."""
        if token.delta.height != self.tip.height + 1:
            raise WrongHeight(f"block {token.delta.height} was announced after block {self.tip.height}")
        if token.merged is not None:
            self.merged(token.merged)
        self._overlay.append(token.delta)
        self.tip = TipRecord(token.delta.height, token.block_hash, token.coin_count, token.state)

    def merged(self, token: Merged) -> None:
        """
        See the trees as they are now, then forget the blocks that are wholly in them: in this order, in one
        go.
        """
        manager = self._connection.transaction_manager
        manager.abort()
        manager.begin()
        if self._overlay and self._overlay[0].height <= token.height:
            self._overlay = [delta for delta in self._overlay if delta.height > token.height]

    def coin(self, outpoint: bytes) -> bytes | None:
        """The coin bytes of the unspent *outpoint* (36 bytes) at the tip; None when spent or never made."""
        self._reads = _trimmed(self._connection, self._reads)
        return _overlaid(self._overlay, outpoint, self._coins)

    def lookup(self) -> CoinLookup:
        """The coins and archived transactions at the present tip, for one other thread."""
        return CoinLookup(self._database, self._archive, list(self._overlay))

    def snapshot(self, closed: Callable[[], None]) -> CoinSnapshot:
        """The coins at the present tip in key order, for one other thread."""
        tip = self.tip
        return CoinSnapshot(self._database, list(self._overlay), tip.height, tip.coin_count, closed)

    def location(self, txid: bytes) -> tuple[int, int] | None:
        """(height, position) of the archived transaction *txid*; None when it is not in the chain."""
        self._reads = _trimmed(self._connection, self._reads)
        return _located(self._overlay, self._txids, self._twins, self._archive, txid)
