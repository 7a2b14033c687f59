"""
Moving the changes of decided blocks into the trees: whole blocks, in key order, a bounded number of steps at
a time.

Key order is what makes it cheap: a leaf is loaded, pickled and written once for all changes that fall into
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from timecoin.storage.delta import BlockDelta, location_key
from timecoin.storage.errors import CoinsOutOfStep


class Batch:
    """
    The net effect of consecutive blocks on the coin tree and on the location tree, as a fixed sequence of
    steps.

    The sequence depends only on the blocks, so that after a crash the same batch is built again and resumed
    at the step that the database names; another order would need another ``database.SCHEMA``. A coin made and
    spent within the batch takes no step at all.
    """

    def __init__(self, deltas: Sequence[BlockDelta]) -> None:
        self.target = deltas[-1].height
        self._changes = _net(deltas)
        self._coins = in_key_order(self._changes)
        self._locations = {txid: location for delta in deltas for txid, location in delta.locations}
        self._txids = in_key_order(self._locations)

    def __len__(self) -> int:
        return len(self._coins) + len(self._txids)

    def apply(self, root: Any, limit: int) -> int:
        """
        Take at most *limit* further steps on the trees under *root*; returns how many.

        The caller commits. Raises ``CoinsOutOfStep`` when a coin to be spent is not there, or one to be made
        is.
        """
        progress = root["progress"]
        done, end = progress.done, min(progress.done + limit, len(self))
        progress.coins += self._apply_coins(root["coins"], self._coins[done:end])
        first = len(self._coins)
        self._apply_txids(root, self._txids[max(done - first, 0) : max(end - first, 0)])
        progress.done, progress.target = end, self.target
        if end == len(self):
            progress.merged, progress.done = self.target, 0
        return int(end - done)

    def _apply_coins(self, tree: Any, outpoints: Sequence[bytes]) -> int:
        growth = 0
        for outpoint in outpoints:
            coin = self._changes[outpoint]
            if coin is None:
                if tree.pop(outpoint, None) is None:
                    raise CoinsOutOfStep(f"the coin database lacks {outpoint.hex()}, which a block spends")
                growth -= 1
            elif not tree.insert(outpoint, coin):
                raise CoinsOutOfStep(f"the coin database has {outpoint.hex()}, which a later block makes")
            else:
                growth += 1
        return growth

    def _apply_txids(self, root: Any, txids: Sequence[bytes]) -> None:
        tree, twins = root["txids"], root["twins"]
        for txid in txids:
            place_txid(tree, twins, txid, self._locations[txid])


def place_txid(tree: Any, twins: Any, txid: bytes, location: int) -> None:
    """Put the location of *txid* into the location tree; twice is harmless."""
    # Whoever makes two transactions with equal first 8 bytes (2^32 hashes) must find both, and pays for a
    # slower look-up.
    key = location_key(txid)
    if not tree.insert(key, location) and tree[key] != location:
        twins[txid] = location


def _net(deltas: Sequence[BlockDelta]) -> dict[bytes, bytes | None]:
    net: dict[bytes, bytes | None] = {}
    for delta in deltas:
        for outpoint, coin in delta.changes.items():
            if coin is None and outpoint in net:
                del net[outpoint]
            else:
                net[outpoint] = coin
    return net


def in_key_order(keys: Iterable[bytes]) -> list[bytes]:
    """*keys* sorted."""
    # 256 short sorts: one long one keeps the interpreter lock for tens of milliseconds and the reactor
    # waiting.
    parts: list[list[bytes]] = [[] for _ in range(256)]
    for key in keys:
        parts[key[0]].append(key)
    for part in parts:
        part.sort()
    return list(chain.from_iterable(parts))


def whole_blocks(deltas: Sequence[BlockDelta], keys: int) -> Iterator[BlockDelta]:
    """The first of *deltas*, and those after it while all together have at most *keys* keys."""
    total = 0
    for delta in deltas:
        total += delta.size
        if total > keys and total != delta.size:
            return
        yield delta
