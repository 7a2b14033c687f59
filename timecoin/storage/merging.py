"""
Moving the changes of decided blocks into the trees: whole blocks, in key order, a bounded number of steps at
a time.

Key order is what makes it cheap: a leaf is loaded, pickled and written once for all changes that fall into
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from timecoin.storage.delta import BlockDelta, location_key
from timecoin.storage.errors import CoinsOutOfStep

CoinStep = tuple[bytes, bytes | None]
TxidStep = tuple[int, int, bytes]


class Batch:
    """
    The net effect of consecutive blocks on the coin tree and on the location tree, as a fixed sequence of
    steps.

    The sequence depends only on the blocks, so that after a crash the same batch is built again and resumed
    at the step that the database names. A coin made and spent within the batch takes no step at all.
    """

    def __init__(self, deltas: Sequence[BlockDelta]) -> None:
        self.target = deltas[-1].height
        self._coins = _in_key_order(_net(deltas))
        self._txids = _txid_steps(deltas)

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
        progress.coins += _apply_coins(root["coins"], self._coins[done:end])
        first = len(self._coins)
        _apply_txids(root, self._txids[max(done - first, 0) : max(end - first, 0)])
        progress.done, progress.target = end, self.target
        if end == len(self):
            progress.merged, progress.done = self.target, 0
        return int(end - done)


def _net(deltas: Sequence[BlockDelta]) -> dict[bytes, bytes | None]:
    net: dict[bytes, bytes | None] = {}
    for delta in deltas:
        for outpoint, coin in delta.changes.items():
            if coin is None and outpoint in net:
                del net[outpoint]
            else:
                net[outpoint] = coin
    return net


def _in_key_order(net: dict[bytes, bytes | None]) -> list[CoinStep]:
    # 256 short sorts: one long one keeps the interpreter lock for tens of milliseconds and the reactor
    # waiting.
    parts: list[list[bytes]] = [[] for _ in range(256)]
    for outpoint in net:
        parts[outpoint[0]].append(outpoint)
    steps: list[CoinStep] = []
    for part in parts:
        part.sort()
        steps.extend((outpoint, net[outpoint]) for outpoint in part)
    return steps


def _txid_steps(deltas: Sequence[BlockDelta]) -> list[TxidStep]:
    parts: list[list[TxidStep]] = [[] for _ in range(256)]
    for delta in deltas:
        for txid, location in delta.locations:
            parts[txid[0]].append((location_key(txid), location, txid))
    steps: list[TxidStep] = []
    for part in parts:
        part.sort()
        steps.extend(part)
    return steps


def _apply_coins(tree: Any, steps: Sequence[CoinStep]) -> int:
    growth = 0
    for outpoint, coin in steps:
        if coin is None:
            if tree.pop(outpoint, None) is None:
                raise CoinsOutOfStep(f"the coin database lacks {outpoint.hex()}, which a block spends")
            growth -= 1
        elif not tree.insert(outpoint, coin):
            raise CoinsOutOfStep(f"the coin database has {outpoint.hex()}, which a later block makes")
        else:
            growth += 1
    return growth


def _apply_txids(root: Any, steps: Sequence[TxidStep]) -> None:
    tree, twins = root["txids"], root["twins"]
    for key, location, txid in steps:
        # Whoever makes two transactions with equal first 8 bytes (2^32 hashes) must find both, and pays for a
        # slower look-up.
        if not tree.insert(key, location) and tree[key] != location:
            twins[txid] = location


def whole_blocks(deltas: Sequence[BlockDelta], keys: int) -> Iterator[BlockDelta]:
    """The first of *deltas*, and those after it while all together have at most *keys* keys."""
    total = 0
    for delta in deltas:
        total += delta.size
        if total > keys and total != delta.size:
            return
        yield delta
