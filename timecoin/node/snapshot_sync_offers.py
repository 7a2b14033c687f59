"""Who offers which snapshot, and which one is tried next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from timecoin.ledger.snapshot_manifest import BadManifest, Head, read_head
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer
from timecoin.node.snapshot_sync_headers import Followed
from timecoin.p2p import messages as wire
from timecoin.primitives.hashes import Hash


class Offer(NamedTuple):
    """A snapshot that peers say they hold, of a block that is trusted. Only id and head together name it: a liar may
    tell a false head for a true id.
    """

    snapshot_id: Hash
    encoded: bytes
    head: Head


class Offers:
    """Which peers hold which snapshots of the followed chain: what each said last.

    ``looks_below``: those from before the chain's first block count, too, and are to be checked when their turn comes.
    """

    def __init__(self, desk: Desk, chain: Followed, snapshot_epochs: int, *, looks_below: bool = False) -> None:
        self._desk = desk
        self._base = chain.trusted[0].header.height if looks_below else 0
        self._by_height = {
            each.header.height: each.header.hash for each in chain.trusted if each.header.epoch % snapshot_epochs == 0
        }
        self._held: dict[bytes, tuple[Offer, ...]] = {}
        self._asked: dict[bytes, int] = {}
        self._false: set[Offer] = set()
        self._stalls: dict[bytes, int] = {}
        self._tried: Offer | None = None
        self._named: set[bytes] = set()
        self._muted: set[bytes] = set()

    def work(self, again_after_ms: int = 10_000) -> None:
        """Ask all peers, now and then again: they make new ones and forget old ones."""
        for key, peer in self._desk.peers.items():
            if self._desk.now - self._asked.get(key, -again_after_ms) >= again_after_ms:
                self._asked[key] = self._desk.now
                self._desk.send(peer, wire.GetSnapshots())

    def told(self, peer: JoinPeer, message: wire.Snapshots) -> None:
        """A peer tells what it holds."""
        try:
            offers = [Offer(*each, read_head(each.head)) for each in message.held]
        except BadManifest as error:
            self._desk.drop(peer, f"a malformed snapshot: {error}")
            return
        if peer.key in self._muted:
            return
        # One of a block that is not followed may be newer than our headers: no offence.
        self._held[peer.key] = tuple([each for each in offers if self._is_known(each.head)])
        if self._tried in self._held[peer.key]:
            self._named.add(peer.key)

    def _is_known(self, head: Head) -> bool:
        return self.is_below(head) or self._by_height.get(head.height) == head.block_hash

    def is_below(self, head: Head) -> bool:
        """Is it from before the chain's first block?"""
        return 0 < head.height < self._base

    def refuse(self, offer: Offer) -> list[JoinPeer]:
        """It was found to be false: nobody's word for it counts; who offered it."""
        self._false.add(offer)
        return self.holders(offer)

    def mute(self, peer: JoinPeer) -> None:
        """Listen to its offers no more, as it is of another chain: else it could keep us looking for ever."""
        self._muted.add(peer.key)
        self._held[peer.key] = ()

    def trying(self, offer: Offer) -> None:
        """It is being fetched."""
        self._tried, self._named = offer, {peer.key for peer in self.holders(offer)}

    def stalled(self) -> None:
        """What was tried did not come: what those offer who said that they hold it is tried after what others do."""
        for key in self._named:
            self._stalls[key] = self._stalls.get(key, 0) + 1

    def stalls(self, holders: Iterable[JoinPeer]) -> int:
        """How often what these offer did not come; the least of them."""
        return min([self._stalls.get(peer.key, 0) for peer in holders], default=0)

    def holders(self, offer: Offer) -> list[JoinPeer]:
        """Connected peers that hold a snapshot."""
        return [peer for key, peer in self._desk.peers.items() if offer in self._held.get(key, ())]

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._known())

    def _known(self) -> set[Offer]:
        return {offer for key in self._desk.peers for offer in self._held.get(key, ())} - self._false

    def best(self) -> Offer | None:
        """Of those that stalled least often the newest that two hold, or that anybody holds; of several for one block
        the one that most hold.
        """
        return max(self._known(), key=self._rank, default=None)

    def _rank(self, offer: Offer) -> tuple[int, bool, int, int, Hash]:
        holders = self.holders(offer)
        return -self.stalls(holders), len(holders) > 1, offer.head.height, len(holders), offer.snapshot_id

    @property
    def all_told(self) -> bool:
        """Has everybody told what it holds?"""
        return all(key in self._held for key in self._desk.peers)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self._asked.pop(peer.key, None)
        self._held.pop(peer.key, None)
        self._muted.discard(peer.key)
