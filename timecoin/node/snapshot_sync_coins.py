"""A snapshot from peers: who offers which, its manifest, the state, the coins and the blocks beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.linked import check_linked
from timecoin.ledger.snapshot_chunk import BadChunk, check_chunk
from timecoin.ledger.snapshot_manifest import (
    BadManifest,
    BadState,
    Head,
    Manifest,
    check_manifest,
    check_state,
    read_head,
)
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_fetch import Fetch
from timecoin.node.snapshot_sync_headers import Followed
from timecoin.p2p import messages as wire
from timecoin.primitives.block import HEADER_SIZE, Block, Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash

STORING = 8
"""Chunks that are being checked or stored at once: so many of at most a megabyte wait in memory."""
BLOCKS_AT_ONCE = 32
BLOCK_BYTES = 3 << 20
_BLOCKS_AHEAD = 4


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


class Offer(NamedTuple):
    """A snapshot that peers hold, of a block that is trusted."""

    snapshot_id: Hash
    encoded: bytes
    head: Head


class Offers:
    """Which peers hold which snapshots of the followed chain."""

    def __init__(self, desk: Desk, chain: Followed, snapshot_epochs: int) -> None:
        self._desk = desk
        self._by_height = {
            each.header.height: each.header.hash for each in chain.trusted if each.header.epoch % snapshot_epochs == 0
        }
        self._offers: dict[Hash, Offer] = {}
        self._holders: dict[Hash, dict[bytes, None]] = {}
        self._asked: dict[bytes, int] = {}
        self._told: set[bytes] = set()
        self._refused: set[Hash] = set()

    def work(self, again_after_ms: int = 10_000) -> None:
        """Ask all peers, now and then again: they make new ones and forget old ones."""
        for key, peer in self._desk.peers.items():
            if self._desk.now - self._asked.get(key, -again_after_ms) >= again_after_ms:
                self._asked[key] = self._desk.now
                self._desk.send(peer, wire.GetSnapshots())

    def told(self, peer: JoinPeer, message: wire.Snapshots) -> None:
        """A peer tells what it holds."""
        self._told.add(peer.key)
        for holders in self._holders.values():
            holders.pop(peer.key, None)
        for snapshot_id, encoded in message.held:
            try:
                head = read_head(encoded)
            except BadManifest as error:
                self._desk.drop(peer, f"a malformed snapshot: {error}")
                return
            # One of a block that is not followed may be newer than our headers: no offence.
            if self._by_height.get(head.height) == head.block_hash and snapshot_id not in self._refused:
                known = self._offers.setdefault(snapshot_id, Offer(snapshot_id, encoded, head))
                if known.encoded == encoded:
                    self._holders.setdefault(snapshot_id, {})[peer.key] = None

    def refuse(self, offer: Offer) -> list[JoinPeer]:
        """It was found to be false: nobody's word for it counts; who offered it."""
        self._refused.add(offer.snapshot_id)
        liars = self.holders(offer.snapshot_id)
        self._offers.pop(offer.snapshot_id, None)
        self._holders.pop(offer.snapshot_id, None)
        return liars

    def holders(self, snapshot_id: Hash) -> list[JoinPeer]:
        """Connected peers that hold a snapshot."""
        keys = self._holders.get(snapshot_id, {})
        return [peer for key, peer in self._desk.peers.items() if key in keys]

    def best(self) -> Offer | None:
        """The newest that anybody holds; of several for one block the one that most hold."""
        held = [each for each in self._offers.values() if self.holders(each.snapshot_id)]
        return max(
            held,
            key=lambda each: (each.head.height, len(self.holders(each.snapshot_id)), each.snapshot_id),
            default=None,
        )

    @property
    def all_told(self) -> bool:
        """Has everybody told what it holds?"""
        return all(key in self._told for key in self._desk.peers)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self._asked.pop(peer.key, None)
        self._told.discard(peer.key)
        for holders in self._holders.values():
            holders.pop(peer.key, None)


class Preparation:
    """Manifest and state of one offer: fetched in parts from its holders, then checked.

    ``ready(manifest, state)`` or ``failed(reason)`` is told once; a failure means that the offer is false.
    """

    def __init__(
        self,
        desk: Desk,
        offer: Offer,
        header: Header,
        holders: Callable[[], list[JoinPeer]],
        ready: Callable[[Manifest, bytes], None],
        failed: Callable[[str], None],
    ) -> None:
        self._desk, self._offer, self._header = desk, offer, header
        self._ready, self._failed = ready, failed
        self._pages: dict[int, bytes] = {}
        self._parts: dict[int, bytes] = {}
        self._checking = False
        self.pages = Fetch[int](desk, holders, lambda number: wire.GetManifest(offer.snapshot_id, number))
        self.parts = Fetch[int](desk, holders, lambda number: wire.GetState(offer.snapshot_id, number))
        self.pages.add(range(offer.head.pages))
        self.parts.add(range(offer.head.state_parts))

    @property
    def answered_at(self) -> int:
        """When anything came last."""
        return max(self.pages.answered_at, self.parts.answered_at)

    def work(self) -> None:
        """Ask for what is missing."""
        self.pages.work()
        self.parts.work()

    def stop(self) -> None:
        """It is given up."""
        self._checking = True
        self.pages.stop()
        self.parts.stop()

    def takes_page(self, peer: JoinPeer, message: wire.ManifestPage) -> None:
        """A page came."""
        if message.snapshot == self._offer.snapshot_id:
            self._take(self.pages, self._pages, peer, message.page, message.ranges)

    def takes_part(self, peer: JoinPeer, message: wire.StatePart) -> None:
        """A part of the state came."""
        if message.snapshot == self._offer.snapshot_id:
            self._take(self.parts, self._parts, peer, message.part, message.data)

    def _take(self, fetch: Fetch[int], kept: dict[int, bytes], peer: JoinPeer, number: int, data: bytes) -> None:
        if not data:
            fetch.lacks(peer, number)
        elif fetch.came(peer, number):
            kept[number] = data
        if self.pages.is_idle and self.parts.is_idle and not self._checking:
            self._check()

    def _check(self) -> None:
        self._checking = True
        pages = [self._pages[number] for number in sorted(self._pages)]
        state = b"".join(self._parts[number] for number in sorted(self._parts))
        offer, header = self._offer, self._header

        def check(_: object) -> Manifest:
            manifest = Manifest.assemble(offer.snapshot_id, offer.encoded, pages)
            check_manifest(manifest, header)
            check_state(manifest, state, header)
            return manifest

        self._desk.work(
            Work(
                check,
                then=lambda manifest: self._ready(manifest, state),
                wrong=lambda problem: self._failed(str(problem)),
                expected=(BadManifest, BadState),
            )
        )

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.pages.lost(peer)
        self.parts.lost(peer)


class Coins:
    """The chunks of a checked manifest, into an import. ``false(reason)`` is told when the manifest itself must be the
    lie: a range failed from two peers.
    """

    def __init__(
        self,
        desk: Desk,
        manifest: Manifest,
        target: Importing,
        holders: Callable[[], list[JoinPeer]],
        false: Callable[[str], None],
    ) -> None:
        self._desk, self._manifest, self._target, self._false = desk, manifest, target, false
        missing = target.missing_ranges()
        self.done = len(manifest.ranges) - len(missing)
        self.total = len(manifest.ranges)
        self._storing = 0
        self._stopped = False
        self._failed: dict[int, bytes] = {}
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
        first = self._failed.setdefault(index, peer.key)
        self._desk.drop(peer, f"a false chunk {index}: {problem}")
        self.fetch.lost(peer)
        if self._stopped:
            return
        if first != peer.key:
            self._false(f"range {index} failed from two peers")
        else:
            self.fetch.add([index], first=True)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.fetch.lost(peer)


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
        self._storing = self._stopped = False
        self.fetch = Fetch[_Range](desk, lambda: desk.peers.values(), lambda each: wire.GetBlocks(*each))
        self._ranges: dict[bytes, list[_Range]] = {}

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
        self.fetch.work()
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
            self._here[start + number] = (peer, pair.block)
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
        found = self._here.pop(height, None)
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

    def _refused(self, peer: JoinPeer, height: int, problem: Exception) -> None:
        self._storing = False
        self._desk.drop(peer, f"a false block {height}: {problem}")
        self.fetch.lost(peer)
        others = [each for each, (sender, _) in self._here.items() if sender is peer]
        for each in others:
            del self._here[each]
        self.fetch.add([(each, 1) for each in sorted([height, *others], reverse=True)], first=True)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self.fetch.lost(peer)


def links_for(chain: Followed, header: Header) -> list[ClosingLink]:
    """The links that lead to a header of the followed chain, it included."""
    return [link for link in chain.links if link.header.height <= header.height]
