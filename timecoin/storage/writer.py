"""
The storage thread's side of the chain: everything here blocks, and only one thread at a time may be in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from timecoin.storage.database import committing, connect
from timecoin.storage.delta import BlockDelta, Closing, CommittedBlock, delta_of, encode_delta
from timecoin.storage.errors import WrongHeight
from timecoin.storage.merging import Batch, whole_blocks
from timecoin.storage.schema import Blob, Entry

KEPT_STATES = 4
"""Encoded ledger states kept behind the tip; older ones go with the next block."""


CHUNK_KEYS = 300
"""Steps in one merge commit."""


def keep_closing(root: Any, height: int, closing: Closing) -> None:
    """Make the closing block at *height* findable by its epoch; equal sets are stored once."""
    root["closings"][closing.epoch] = (height, closing.set_hash)
    if closing.set_hash not in root["sets"]:
        root["sets"][closing.set_hash] = Blob(closing.members)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    When the changes of decided blocks move from memory into the trees; keys are coins made or spent and
    txids.

    Below ``start_keys`` a merge that is not forced does nothing, because a fuller batch costs less a key. A
    batch takes whole blocks up to ``batch_keys``. Above ``hard_keys`` or ``hard_blocks`` the next block first
    merges. ``chunk_keys`` bounds one transaction. A key takes about 200 bytes of memory.
    """

    start_keys: int = 100_000
    batch_keys: int = 200_000
    hard_keys: int = 250_000
    hard_blocks: int = 288
    chunk_keys: int = CHUNK_KEYS


@dataclass(frozen=True, slots=True)
class Merged:
    """
    What one merge commit did: ``keys`` steps, ``remaining`` in this batch, ``height`` up to which the trees
    are whole.
    """

    keys: int
    remaining: int
    height: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A block that is durable but not yet visible to the reactor; ``merged`` if it first had to make room."""

    delta: BlockDelta
    block_hash: bytes
    state: bytes
    coin_count: int
    merged: Merged | None


class ChainWriter:
    """
    Commits blocks and merges their changes, on its own two connections.

    A block is merged only when the reactor has acknowledged it (:attr:`acknowledged`): whatever the trees
    hold, partly or wholly, is then also in the reactor's overlay, which is looked up first. So no reader sees
    a half-merged block.
    """

    def __init__(self, blocks: Any, coins: Any, unmerged: Iterable[BlockDelta], limits: Limits) -> None:
        self._blocks = connect(blocks)
        self._coins = connect(coins)
        self._limits = limits
        self._unmerged = deque(unmerged)
        self._keys = sum(delta.size for delta in self._unmerged)
        self._batch: Batch | None = None
        self._read_progress()

    def _read_progress(self) -> None:
        with committing(self._blocks) as root:
            self._height, self._count = root["tip"].height, root["tip"].coin_count
        with committing(self._coins) as root:
            self._merged, self._target = root["progress"].merged, root["progress"].target
        self.acknowledged = self._height

    def reload(self) -> None:
        """Go on from what the databases hold now: a snapshot became the tip, whose coins are all in the tree."""
        self._unmerged.clear()
        self._keys, self._batch = 0, None
        self._read_progress()

    def close(self) -> None:
        """Give the connections back."""
        self._blocks.close()
        self._coins.close()

    def commit_block(self, block: CommittedBlock) -> Committed:
        """
        Make *block* the tip in one transaction: durable on return.

        When more is unmerged than ``Limits`` allow, merges first, which may take seconds. Raises
        ``WrongHeight``, ``WriteFailed``; then nothing has changed.
        """
        if block.height != self._height + 1:
            raise WrongHeight(f"block {block.height} cannot follow block {self._height}")
        merged = self._make_room()
        delta = delta_of(block)
        count = self._count + delta.growth
        self._store(block, delta, count)
        self._unmerged.append(delta)
        self._keys += delta.size
        self._height, self._count = block.height, count
        return Committed(delta, block.block_hash, block.state, count, merged)

    def _store(self, block: CommittedBlock, delta: BlockDelta, count: int) -> None:
        txids = b"".join(block.txids)
        entry = Entry(block.block_hash, block.header, block.commit, block.block, txids, block.times)
        changes, state = Blob(encode_delta(delta)), Blob(block.state)
        large = (*entry.parts[3:], changes, state)
        with committing(self._blocks) as root:
            root["entries"][block.height] = entry
            root["hashes"][block.block_hash] = block.height
            root["deltas"][block.height] = changes
            root["states"][block.height] = state
            if block.closing is not None:
                keep_closing(root, block.height, block.closing)
            self._drop(root["deltas"], self._merged)
            self._drop(root["states"], block.height - KEPT_STATES)
            tip = root["tip"]
            tip.height, tip.block_hash, tip.coin_count = block.height, block.block_hash, count
        for blob in large:
            blob._p_deactivate()

    @staticmethod
    def _drop(tree: Any, through: int) -> None:
        for height in list(tree.keys(max=through)):
            del tree[height]

    def _make_room(self) -> Merged | None:
        limits, last = self._limits, None
        while self._keys > limits.hard_keys or len(self._unmerged) > limits.hard_blocks:
            merged = self.merge(limits.chunk_keys, force=True)
            if merged is None:
                break
            last = merged
        return last

    def merge(self, limit: int, force: bool = False) -> Merged | None:
        """
        Commit the next ≤ *limit* steps of the batch at hand, or of a new one when enough is unmerged or
        *force* is set.

        None: nothing to do. Raises ``WriteFailed`` (nothing changed) and ``CoinsOutOfStep``.
        """
        batch = self._batch or self._next_batch(force)
        if batch is None:
            return None
        with committing(self._coins) as root:
            keys = batch.apply(root, limit)
            merged, done = root["progress"].merged, root["progress"].done
        if merged != batch.target:
            self._batch = batch
            return Merged(keys, len(batch) - done, merged)
        self._finish(batch)
        return Merged(keys, 0, merged)

    def _next_batch(self, force: bool) -> Batch | None:
        if self._target > self._merged:  # resumed after a crash: the batch has to be the same one
            return Batch(list(takewhile(lambda delta: delta.height <= self._target, self._unmerged)))
        if self._keys < self._limits.start_keys and not force:
            return None
        known = list(takewhile(lambda delta: delta.height <= self.acknowledged, self._unmerged))
        return Batch(list(whole_blocks(known, self._limits.batch_keys))) if known else None

    def _finish(self, batch: Batch) -> None:
        self._batch = None
        self._merged = self._target = batch.target
        while self._unmerged and self._unmerged[0].height <= batch.target:
            self._keys -= self._unmerged.popleft().size
