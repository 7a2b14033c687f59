"""The coins of a snapshot, range by range from all that hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from timecoin.ledger.snapshot_chunk import BadChunk, check_chunk
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_fetch import Fetch
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block

STORING = 8
"""Chunks that are being checked or stored at once: so many of at most a megabyte wait in memory."""


class Importing(Protocol):
    """What takes the snapshot: ``storage.importing.SnapshotImport``; the thread that writes calls it."""

    def missing_ranges(self) -> list[int]:
        """Ranges whose coins are not loaded."""
        ...

    def load(self, index: int, coins: Sequence[tuple[bytes, bytes]], data: bytes) -> None:
        """Load the checked coins of a range."""
        ...

    @property
    def next_block(self) -> tuple[int, bytes] | None:
        """Height and hash of the block that is due, going down."""
        ...

    def add_block(self, block: Block, data: bytes) -> None:
        """Store the block that is due."""
        ...


class Coins:
    """The chunks of a checked manifest, into an import. ``false(reason)`` is told when the manifest itself may be the
    lie: a range failed from two peers, and ``sender``, who sent the manifest, is no longer there to deliver it. As long
    as it is, two liars cannot make its manifest look false.
    """

    def __init__(
        self,
        desk: Desk,
        manifest: Manifest,
        target: Importing,
        holders: Callable[[], list[JoinPeer]],
        false: Callable[[str], None],
        sender: bytes | None = None,
    ) -> None:
        self._sender = sender
        self._desk, self._manifest, self._target, self._false = desk, manifest, target, false
        missing = target.missing_ranges()
        self.done = len(manifest.ranges) - len(missing)
        self.total = len(manifest.ranges)
        self._storing = 0
        self._stopped = False
        self._failed: dict[int, set[bytes]] = {}
        self.fetch = Fetch[int](desk, holders, lambda index: wire.GetChunk(manifest.snapshot_id, index))
        self.fetch.add(missing)

    @property
    def is_complete(self) -> bool:
        """Is every range loaded?"""
        return self.done == self.total

    def work(self) -> None:
        """Ask for chunks while there is room for them."""
        if self._storing < STORING:
            self.fetch.work()

    def takes(self, peer: JoinPeer, message: wire.Chunk) -> None:
        """A chunk came."""
        if message.snapshot != self._manifest.snapshot_id:
            return
        if not message.data:
            self.fetch.lacks(peer, message.index)
        elif self.fetch.came(peer, message.index):
            self._check(peer, message.index, message.data)

    def _check(self, peer: JoinPeer, index: int, data: bytes) -> None:
        self._storing += 1
        manifest = self._manifest
        self._desk.work(
            Work(
                lambda _: check_chunk(manifest, index, data),
                then=lambda coins: self._store(index, coins, data),
                wrong=lambda problem: self._refused(peer, index, problem),
                expected=(BadChunk,),
            )
        )

    def stop(self) -> None:
        """It is given up: nothing more is stored."""
        self._stopped = True
        self.fetch.stop()

    def _store(self, index: int, coins: Sequence[tuple[bytes, bytes]], data: bytes) -> None:
        if self._stopped:
            return
        self._failed.pop(index, None)
        target = self._target
        self._desk.work(Work(lambda _: target.load(index, coins, data), then=lambda _: self._stored(), storing=True))

    def _stored(self) -> None:
        self._storing -= 1
        self.done += 1

    def _refused(self, peer: JoinPeer, index: int, problem: Exception) -> None:
        self._storing -= 1
        failed = self._failed.setdefault(index, set())
        failed.add(peer.key)
        self._desk.drop(peer, f"a false chunk {index}: {problem}")
        self.fetch.lost(peer)
        if self._stopped:
            return
        self.fetch.add([index], first=True)
        if len(failed) > 1 and self._sender not in self._desk.peers:
            self._false(f"range {index} failed from two peers")

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.fetch.lost(peer)
