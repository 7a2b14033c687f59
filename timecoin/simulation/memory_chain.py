"""A chain in memory: blocks, commits, coins and state at the tip, and what a node reads of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed

from timecoin.ledger.assembly import Assembled
from timecoin.ledger.coins import Coin
from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit


class MemoryChain:
    """What a decided block changes, all of it at once. ``places``: txid to (height, position)."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self.clear()

    def clear(self) -> None:
        """Block 0 and nothing else."""
        first = first_block(self._genesis)
        self.ledger = first.state
        self.coins: dict[bytes, Coin] = dict(first.delta.added)
        self.places: dict[bytes, tuple[int, int]] = {tx.txid: (0, 0) for tx in first.block.transactions}
        self.blocks: list[Block] = [first.block]
        self.commits: list[Commit] = [EMPTY_COMMIT]

    def store(self, assembled: Assembled, commit: Commit) -> None:
        """Make a decided block the tip."""
        block = assembled.block
        for outpoint in assembled.delta.removed:
            del self.coins[outpoint]
        self.coins.update(assembled.delta.added)
        for position, tx in enumerate(block.transactions):
            self.places[tx.txid] = (block.header.height, position)
        self.blocks.append(block)
        self.commits.append(commit)
        self.ledger = assembled.state

    def blocks_with_commits(self, start: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Blocks for a peer that lags, encoded; ``max_bytes`` bounds all but the first."""
        pairs = zip(self.blocks[start : start + count], self.commits[start:], strict=False)
        found: list[tuple[bytes, bytes]] = []
        size = 0
        for block, commit in pairs:
            pair = block.encode(), commit.encode()
            size += len(pair[0]) + len(pair[1]) + 16
            if found and size > max_bytes:
                break
            found.append(pair)
        return succeed(found)

    def headers_with_commits(self, start: int, count: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Headers and commits, encoded."""
        pairs = zip(self.blocks[start : start + count], self.commits[start:], strict=False)
        return succeed([(block.header.encode(), commit.encode()) for block, commit in pairs])


class Reader:
    """The coins at the tip, as a job reads them."""

    def __init__(self, chain: MemoryChain) -> None:
        self._chain = chain
        self.open = True

    def __call__(self, outpoint: bytes) -> Coin | None:
        """The coin at an unspent outpoint."""
        assert self.open
        return self._chain.coins.get(outpoint)

    def archived_in(self, txid: bytes, epoch: int) -> int | None:
        """The height of the block of ``epoch`` that holds ``txid``."""
        assert self.open
        place = self._chain.places.get(txid)
        if place is None or self._chain.blocks[place[0]].header.epoch != epoch:
            return None
        return place[0]

    def close(self) -> None:
        """No more is looked up."""
        self.open = False


class ReadsChain:
    """The storage as consensus, sync and gossip read it, over the chain on ``disk``."""

    disk: MemoryChain

    def coin(self, outpoint: bytes) -> Coin | None:
        """The coin in the UTXO set at the tip."""
        return self.disk.coins.get(outpoint)

    def archived(self, txid: bytes) -> tuple[int, int] | None:
        """Height and position of an archived transaction."""
        return self.disk.places.get(txid)

    def coin_reader(self) -> Reader:
        """The UTXO set for a job."""
        return Reader(self.disk)

    @property
    def ledger_height(self) -> int:
        """The durable tip."""
        return self.disk.ledger.height

    def blocks_with_commits(self, start: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Blocks for a peer that lags."""
        return self.disk.blocks_with_commits(start, count, max_bytes)

    def headers_with_commits(self, start: int, count: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Headers and commits of the chain."""
        return self.disk.headers_with_commits(start, count)

    def in_reading_thread(self, work: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        """Work that a real node gives to a thread."""
        return maybeDeferred(work, *arguments)
