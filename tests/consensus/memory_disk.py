"""A disk in memory: what survives a crash, and crashes at a chosen write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timecoin.ledger.assembly import Assembled
from timecoin.ledger.coins import Coin
from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit


class Crash(Exception):
    """The node dies in the middle of what it does."""


class Disk:
    """What survives a crash.

    ``crash_at``: the number of the write at which the node dies, before or (True) after it is done.
    """

    def __init__(self, genesis: Genesis) -> None:
        first = first_block(genesis)
        self.ledger = first.state
        self.coins: dict[bytes, Coin] = dict(first.delta.added)
        self.places: dict[bytes, tuple[int, int]] = {tx.txid: (0, 0) for tx in first.block.transactions}
        self.blocks: list[Block] = [first.block]
        self.commits: list[Commit] = [EMPTY_COMMIT]
        self.journal: list[bytes] = []
        self.intact, self.fresh, self.barred = False, True, 0
        self.writes = 0
        self.crash_at: tuple[int, bool] | None = None

    def write(self, work: Callable[[], None]) -> None:
        """One atomic write."""
        number, self.writes = self.writes, self.writes + 1
        if self.crash_at == (number, False):
            raise Crash
        work()
        if self.crash_at == (number, True):
            raise Crash

    def store(self, assembled: Assembled, commit: Commit) -> None:
        block = assembled.block
        for outpoint in assembled.delta.removed:
            del self.coins[outpoint]
        self.coins.update(assembled.delta.added)
        for position, tx in enumerate(block.transactions):
            self.places[tx.txid] = (block.header.height, position)
        self.blocks.append(block)
        self.commits.append(commit)
        self.ledger = assembled.state

    def rotate(self, carry: Sequence[bytes]) -> None:
        self.journal = list(carry)

    def settle(self, through: int) -> None:
        self.intact, self.fresh, self.barred = True, False, max(through, self.barred)


class Reader:
    """The coins at the tip, as a job reads them."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.open = True

    def __call__(self, outpoint: bytes) -> Coin | None:
        assert self.open
        return self._disk.coins.get(outpoint)

    def archived_in(self, txid: bytes, epoch: int) -> int | None:
        assert self.open
        place = self._disk.places.get(txid)
        if place is None or self._disk.blocks[place[0]].header.epoch != epoch:
            return None
        return place[0]

    def close(self) -> None:
        self.open = False
