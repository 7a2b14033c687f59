"""The blocks that come along with a snapshot, from the snapshot's own downwards."""

from __future__ import annotations

from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.linked import check_linked
from timecoin.node.snapshot_sync_coins import Importing
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_fetch import Fetch
from timecoin.p2p import messages as wire
from timecoin.primitives.block import HEADER_SIZE, Block, Header
from timecoin.primitives.codec import DecodeError

BLOCKS_AT_ONCE = 32
BLOCK_BYTES = 3 << 20
_BLOCKS_AHEAD = 4
AHEAD_BYTES = 24 << 20
"""What waits for a block above it that is late, besides what is under way."""

_Range = tuple[int, int]


class Blocks:
    """The blocks of the snapshot's epoch and of the one before, downwards, each vouched for by the one above it."""

    def __init__(self, desk: Desk, target: Importing, lowest: int | None) -> None:
        """``lowest``: the height at which they are complete, None when that is not known beforehand."""
        self._desk, self._target = desk, target
        self._due = target.next_block
        self._from = 0 if self._due is None else self._due[0]
        self.total = max(0, self._from - (lowest or 1) + 1)
        self.done = 0
        self._floor = lowest or 0
        self._next = self._from
        self._average = 2_000
        self._here: dict[int, tuple[JoinPeer, bytes]] = {}
        self._bytes = 0
        self._storing = self._stopped = False
        self.fetch = Fetch[_Range](desk, lambda: desk.peers.values(), lambda each: wire.GetBlocks(*each))

    @property
    def is_complete(self) -> bool:
        """Are all here?"""
        return self._due is None and not self._storing

    def work(self) -> None:
        """Ask for what comes next, downwards."""
        while self._due is not None and self._next >= self._floor and self._has_room:
            count = max(1, min(BLOCKS_AT_ONCE, BLOCK_BYTES // self._average, self._next - self._floor + 1))
            self.fetch.add([(self._next - count + 1, count)])
            self._next -= count
        # The one that is due stands first, so that it is asked for even then.
        self.fetch.work(None if self._bytes < AHEAD_BYTES else 1)
        self._store_next()

    @property
    def _has_room(self) -> bool:
        return self.fetch.waiting < _BLOCKS_AHEAD and len(self._here) < _BLOCKS_AHEAD * BLOCKS_AT_ONCE

    def takes(self, peer: JoinPeer, message: wire.Blocks) -> None:
        """Blocks came."""
        key = self._key_of(peer, message)
        if key is None:
            return
        if not message.blocks:
            self.fetch.lacks(peer, key)
            return
        if not self.fetch.came(peer, key):
            return
        start, count = key
        for number, pair in enumerate(message.blocks[:count]):
            self._average += (len(pair.block) + len(pair.commit) - self._average) // 4
            self._forget(start + number)
            self._here[start + number] = (peer, pair.block)
            self._bytes += len(pair.block)
        if len(message.blocks) < count:
            rest = range(start + len(message.blocks), start + count)
            self.fetch.add([(height, 1) for height in reversed(rest)], first=True)

    def _key_of(self, peer: JoinPeer, message: wire.Blocks) -> _Range | None:
        keys = self.fetch.asked_of(peer)
        if not message.blocks:
            return keys[0] if keys else None
        try:
            height = Header.decode(message.blocks[0].block[:HEADER_SIZE]).height
        except DecodeError as error:
            self._desk.drop(peer, f"a malformed block: {error}")
            self.fetch.lost(peer)
            return None
        return next((each for each in keys if each[0] == height), None)

    def _store_next(self) -> None:
        if self._storing or self._due is None:
            return
        height, block_hash = self._due
        found = self._forget(height)
        if found is None:
            return
        peer, raw = found
        self._storing = True
        self._desk.work(
            Work(
                lambda _: check_linked(block_hash, raw),
                then=lambda block: self._add(block, raw),
                wrong=lambda problem: self._refused(peer, height, problem),
                expected=(DecodeError, BlockInvalid),
            )
        )

    def _forget(self, height: int) -> tuple[JoinPeer, bytes] | None:
        found = self._here.pop(height, None)
        if found is not None:
            self._bytes -= len(found[1])
        return found

    def stop(self) -> None:
        """It is given up: nothing more is stored."""
        self._stopped = True
        self.fetch.stop()

    def _add(self, block: Block, raw: bytes) -> None:
        if self._stopped:
            return
        target = self._target

        def add(_: object) -> tuple[int, bytes] | None:
            target.add_block(block, raw)
            return target.next_block

        self._desk.work(Work(add, then=self._added, storing=True))

    def _added(self, due: tuple[int, bytes] | None) -> None:
        self._storing = False
        self.done += 1
        self._due = due
        if due is None:
            self.fetch.stop()
            self._here.clear()
            self._bytes = 0

    def _refused(self, peer: JoinPeer, height: int, problem: Exception) -> None:
        self._storing = False
        self._desk.drop(peer, f"a false block {height}: {problem}")
        self.fetch.lost(peer)
        others = [each for each, (sender, _) in self._here.items() if sender is peer]
        for each in others:
            self._forget(each)
        self.fetch.add([(each, 1) for each in sorted([height, *others], reverse=True)], first=True)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.fetch.lost(peer)
