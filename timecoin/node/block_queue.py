"""Blocks that were fetched and wait for their turn: bounded, in order, checked before they are judged.

What is checked here needs no coins: that a quorum of the epoch's set decided the block, and that the body is that
block's. So a liar is found at once, by cheap work, and one that sends blocks far ahead of their turn is as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from timecoin.consensus.decided import check_decided
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.state import LedgerState
from timecoin.node.sync_sources import Source
from timecoin.primitives.block import Block, Commit, Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.signing import SignatureBackend

CHECKED_AT_ONCE = 16
CHECKED_AHEAD = 64
CHECKED_BYTES = 8 << 20
"""Decoded blocks take several times their size in memory: so many, of so many bytes as they came, wait decoded."""
_BATCH_BYTES = 1 << 20


@dataclass(slots=True, eq=False)
class Fetched:
    """A block as it came and who sent it; ``block`` is set once it was found to be decided."""

    header: Header
    raw: bytes
    commit: Commit
    source: Source
    size: int
    checking: bool = False
    block: Block | None = field(default=None)

    @property
    def height(self) -> int:
        """Its height."""
        return self.header.height


def sets_by_epoch(ledger: LedgerState) -> dict[int, PowerSet]:
    """The sets whose commits can be told true from false in the state ``ledger``."""
    epoch = ledger.epoch
    return {epoch - 1: ledger.previous_set, epoch: ledger.current, epoch + 1: ledger.following}


class BlockQueue:
    """The fetched blocks by height. Iteration is ascending."""

    def __init__(self) -> None:
        self._items: dict[int, Fetched] = {}
        self.bytes = 0
        self._decoded = 0
        self.verified = 0
        """The highest height of a block that was found to be decided."""

    def __contains__(self, height: object) -> bool:
        return height in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._items))

    def get(self, height: int) -> Fetched | None:
        """The block that waits at a height."""
        return self._items.get(height)

    def add(self, fetched: Fetched) -> None:
        """Keep a block, unless there is one of its height."""
        if fetched.height not in self._items:
            self._items[fetched.height] = fetched
            self.bytes += fetched.size

    def drop(self, height: int) -> None:
        """Forget the block of a height."""
        found = self._items.pop(height, None)
        if found is not None:
            self.bytes -= found.size
            if found.block is not None:
                self._decoded -= found.size

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()
        self.bytes = self._decoded = self.verified = 0

    def drop_through(self, height: int) -> None:
        """Forget all blocks up to a height."""
        for each in [each for each in self._items if each <= height]:
            self.drop(each)

    def drop_unchecked(self, source: Source) -> None:
        """Forget what a liar sent, except for what is known to be true."""
        for height in [height for height, each in self._items.items() if each.source is source and not each.block]:
            self.drop(height)

    def drop_farthest(self, above: int) -> bool:
        """Forget the block that is needed last, if it is above a height: room for what is needed first."""
        farthest = max(self._items, default=0)
        if farthest <= above:
            return False
        self.drop(farthest)
        return True

    def to_check(self, tip: int, epochs: dict[int, PowerSet]) -> list[Fetched]:
        """The next blocks of these epochs that nobody looked at yet; they count as being checked from now on."""
        batch: list[Fetched] = []
        size = 0
        for height in self:
            each = self._items[height]
            if height > tip + CHECKED_AHEAD or (height > tip + 1 and self._decoded + size > CHECKED_BYTES):
                break
            if each.block is None and not each.checking and each.header.epoch in epochs:
                size += each.size
                if batch and (size > _BATCH_BYTES or len(batch) == CHECKED_AT_ONCE):
                    break
                batch.append(each)
                each.checking = True
        return batch

    def checked(self, fetched: Fetched, block: Block) -> None:
        """It is what a quorum decided."""
        fetched.checking = False
        if self._items.get(fetched.height) is fetched:
            fetched.block, fetched.raw = block, b""
            self._decoded += fetched.size
            self.verified = max(self.verified, fetched.height)


def check_batch(
    chain_id: bytes, epochs: dict[int, PowerSet], batch: Sequence[Fetched], backend: SignatureBackend
) -> list[Block | str]:
    """For each of ``batch`` the decoded block, or what is false about it. Any thread; changes nothing."""
    return [_check(chain_id, epochs[each.header.epoch], each, backend) for each in batch]


def _check(chain_id: bytes, members: PowerSet, fetched: Fetched, backend: SignatureBackend) -> Block | str:
    try:
        block = Block.decode(fetched.raw)
        check_decided(chain_id, block, fetched.commit, members, backend)
    except (DecodeError, BlockInvalid) as error:
        return str(error)
    return block
