"""A snapshot of a chain that is believed: chosen, fetched, imported; another one when it does not come."""

from __future__ import annotations

from collections.abc import Callable

from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.snapshot_sync_ancestry import Ancestry, Rooted
from timecoin.node.snapshot_sync_blocks import Blocks
from timecoin.node.snapshot_sync_coins import Coins, Importing
from timecoin.node.snapshot_sync_desk import JoinPeer, Work
from timecoin.node.snapshot_sync_headers import Followed
from timecoin.node.snapshot_sync_manifest import Preparation
from timecoin.node.snapshot_sync_offers import Offer, Offers
from timecoin.node.snapshot_sync_stages import SETTLE_MS, Course, Stage
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header

STALL_MS = 60_000
"""A snapshot of which nothing came for so long is given up."""
NO_OFFER_MS = 15_000
MAX_TRIES = 3


class Loading:
    """The stages from a chain to its snapshot as the tip. ``anew()`` is told when what an earlier run began does not
    come any more.
    """

    def __init__(self, course: Course, anew: Callable[[], None]) -> None:
        self._course, self._desk, self._anew = course, course.desk, anew
        self._resumed = False
        self._chain: Followed
        self._ancestry: Ancestry | None = None
        self._rooted: Rooted | None = None
        self._importing: Importing | None = None
        self._offers: Offers | None = None
        self._offer: Offer | None = None
        self._preparation: Preparation | None = None
        self._coins: Coins | None = None
        self._blocks: Blocks | None = None

    def begin(self, chain: Followed, ancestry: Ancestry | None = None) -> None:
        """Look for snapshots of a chain, and of what is below it, as far as ``ancestry`` leads to them."""
        self._chain, self._ancestry = chain, ancestry
        epochs = self._course.params.snapshot_epochs
        self._offers = Offers(self._desk, chain, epochs, looks_below=ancestry is not None)
        self._course.enter(Stage.OFFERS)

    def resume(self, chain: Followed, importing: Importing, manifest: Manifest) -> None:
        """Go on with an import that an earlier run began."""
        self._desk.note(f"going on with the snapshot of block {manifest.height}")
        self._resumed, self._chain = True, chain
        self._offers = Offers(self._desk, chain, self._course.params.snapshot_epochs)
        self._offer = Offer(manifest.snapshot_id, manifest.head.encode(), manifest.head)
        self._offers.trying(self._offer)
        self._load(importing, manifest)

    def work(self) -> None:
        """Whatever the present stage asks for, if it is one of these."""
        step = _STEPS.get(self._course.stage)
        if step is not None:
            step(self)

    @property
    def progress(self) -> tuple[str, int, int] | None:
        """What is being fetched, how much of it is here, of how much."""
        if self._coins is not None:
            return "coins", self._coins.done, self._coins.total
        if self._blocks is not None:
            return "recent blocks", self._blocks.done, self._blocks.total
        return None

    def takes(self, peer: JoinPeer, message: wire.Message) -> None:
        """A peer sent something."""
        if isinstance(message, wire.Snapshots):
            if self._offers is not None:
                self._offers.told(peer, message)
        elif isinstance(message, wire.ManifestPage):
            if self._preparation is not None:
                self._preparation.takes_page(peer, message)
        elif isinstance(message, wire.StatePart):
            if self._preparation is not None:
                self._preparation.takes_part(peer, message)
        elif isinstance(message, wire.Chunk):
            if self._coins is not None:
                self._coins.takes(peer, message)
        elif isinstance(message, wire.Blocks) and self._blocks is not None:
            self._blocks.takes(peer, message)

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        for part in (self._offers, self._preparation, self._coins, self._blocks):
            if part is not None:
                part.lost(peer)

    def _look_for_offers(self) -> None:
        assert self._offers is not None
        self._offers.work()
        offer = self._offers.best()
        if offer is not None and (self._offers.all_told or self._course.waited > SETTLE_MS):
            self._prepare(offer, self._offers)
        elif offer is None and self._course.waited > NO_OFFER_MS:
            self._course.end("no peer holds a snapshot of the chain", self._chain)

    def _prepare(self, offer: Offer, offers: Offers) -> None:
        self._rooted = None
        if offers.is_below(offer.head):
            self._link_to(offer)
        else:
            header = next(each.header for each in self._chain.trusted if each.header.height == offer.head.height)
            self._fetch(offer, header, offers)

    def _link_to(self, offer: Offer) -> None:
        assert self._ancestry is not None and self._ancestry.descent is not None
        if self._ancestry.descent.lowest.height > offer.head.height:
            self._desk.note(
                f"the newest snapshot, of block {offer.head.height}, is older than the trusted block: "
                "following headers down to it"
            )
        self._offer = offer
        if self._offers is not None:
            self._offers.trying(offer)
        self._ancestry.descent.seek(offer.head.height)
        self._course.enter(Stage.LINKING)

    def _follow_down(self) -> None:
        """To the block of the snapshot: is it below the trusted one, or a lie?"""
        ancestry, offers, offer = self._ancestry, self._offers, self._offer
        assert ancestry is not None and ancestry.descent is not None and offers is not None and offer is not None
        offers.work()
        ancestry.work()
        descent = ancestry.descent
        if descent.is_there:
            header = descent.closings.get(offer.head.height)
            if header is None or header.hash != offer.head.block_hash:
                self._foreign(offer, ancestry)
                return
            self._rooted = ancestry.rooted(header)
            if self._rooted is not None:
                self._fetch(offer, header, offers)
        elif ancestry.search.header is not None and descent.lowest.epoch < self._oldest(ancestry.search.header):
            self._no_ancestor(offer, "nobody keeps snapshots that are so old")
        if self._course.stage is Stage.LINKING and self._is_stalled(ancestry.moved_at):
            self._stalled("the headers down to it do not come")

    def _oldest(self, trusted: Header) -> int:
        """Two are kept, and the next may be late by as much as is between them."""
        return trusted.epoch - 3 * self._course.params.snapshot_epochs - 1

    def _foreign(self, offer: Offer, ancestry: Ancestry) -> None:
        """Who has the trusted block lies; who has not may be of another chain in good faith."""
        assert self._offers is not None
        for peer in self._offers.holders(offer):
            if ancestry.search.rank(peer) == 0:
                self._desk.drop(peer, f"a false snapshot: block {offer.head.height} is another one")
                self.lost(peer)
                ancestry.lost(peer)
            else:
                self._offers.mute(peer)
        self._no_ancestor(offer, "its block is not below the trusted one")

    def _no_ancestor(self, offer: Offer, reason: str) -> None:
        assert self._offers is not None
        self._offers.refuse(offer)
        self._give_up(reason)
        self._begin_anew()

    def _fetch(self, offer: Offer, header: Header, offers: Offers) -> None:
        self._offer = offer
        offers.trying(offer)
        self._desk.note(f"joining by the snapshot of block {offer.head.height}, {offer.head.coins} coins")
        self._preparation = Preparation(
            self._desk,
            offer,
            header,
            lambda: offers.holders(offer),
            self._prepared,
            self._false_offer,
        )
        self._course.enter(Stage.MANIFEST)

    def _fetch_manifest(self) -> None:
        assert self._preparation is not None and self._offers is not None
        self._offers.work()
        self._preparation.work()
        if self._is_stalled(self._preparation.answered_at):
            self._stalled("its manifest does not come")

    def _is_stalled(self, answered_at: int) -> bool:
        return not self._desk.working and self._desk.now - max(self._course.since, answered_at) > STALL_MS

    def _false_offer(self, reason: str) -> None:
        """Manifest or state is a lie: whoever offers that snapshot goes. Liars are fewer then: no failure."""
        if self._offers is None or self._offer is None:
            return
        for peer in self._offers.refuse(self._offer):
            self._desk.drop(peer, f"a false snapshot: {reason}")
            self.lost(peer)
        self._give_up(reason)
        self._begin_anew()

    def _stalled(self, reason: str) -> None:
        """Who holds it does not deliver: what others offer is tried first now, and nothing for ever."""
        assert self._offers is not None
        self._offers.stalled()
        best = self._offers.best()
        self._give_up(reason)
        if best is not None and self._offers.stalls(self._offers.holders(best)) >= MAX_TRIES:
            self._course.end(f"no snapshot came in {MAX_TRIES} tries, the last time because {reason}", self._chain)
        else:
            self._begin_anew()

    def _give_up(self, reason: str) -> None:
        for part in (self._preparation, self._coins, self._blocks):
            if part is not None:
                part.stop()
        self._offer = self._preparation = self._coins = self._blocks = None
        self._desk.note(f"the snapshot is given up: {reason}", loud=True)

    def _begin_anew(self) -> None:
        if self._resumed:
            # It may be too old by now for anybody to hold it.
            self._resumed, self._offers = False, None
            self._anew()
        else:
            self._course.enter(Stage.OFFERS)

    def _prepared(self, manifest: Manifest, state: bytes, sender: JoinPeer) -> None:
        links = self._links_to(manifest.height)
        self._preparation = None
        self._course.enter(Stage.BEGINNING)
        store, vouched = self._course.store, self._course.plan.anchor
        assert store is not None
        self._desk.work(
            Work(
                lambda _: store.begin(manifest, state, links, vouched),
                lambda found: self._load(found, manifest, sender.key),
                storing=True,
            )
        )

    def _links_to(self, height: int) -> list[ClosingLink]:
        if self._rooted is not None and self._rooted.link is not None:
            return [self._rooted.link]
        return [link for link in self._chain.links if link.header.height <= height]

    def _load(self, importing: Importing, manifest: Manifest, sender: bytes | None = None) -> None:
        offers, offer = self._offers, self._offer
        assert offers is not None and offer is not None
        self._importing = importing
        self._coins = Coins(self._desk, manifest, importing, lambda: offers.holders(offer), self._stalled, sender)
        self._course.enter(Stage.COINS)

    def _fetch_coins(self) -> None:
        coins = self._coins
        assert coins is not None and self._importing is not None and self._offers is not None
        self._offers.work()
        coins.work()
        if coins.is_complete:
            self._coins = None
            self._blocks = Blocks(self._desk, self._importing, self._lowest())
            self._course.enter(Stage.BLOCKS)
        elif self._is_stalled(coins.fetch.answered_at):
            self._stalled("its coins do not come")

    def _lowest(self) -> int | None:
        """The closing block of the epoch before the two whose blocks come along."""
        assert self._offer is not None
        height = self._offer.head.height
        below = [each.header.height for each in self._chain.trusted if each.header.height < height]
        epochs = [each.header.epoch for each in self._chain.trusted if each.header.height <= height]
        complete = len(epochs) >= 3 and epochs[-1] - epochs[-3] == 2
        return below[-2] if complete else None

    def _fetch_blocks(self) -> None:
        blocks, importing, store = self._blocks, self._importing, self._course.store
        assert blocks is not None and importing is not None and store is not None
        blocks.work()
        if blocks.is_complete:
            self._blocks = None
            self._course.enter(Stage.FINISHING)
            self._desk.work(Work(lambda _: store.finish(importing), lambda _: self._finished(), storing=True))
        elif self._is_stalled(blocks.fetch.answered_at):
            self._stalled("its blocks do not come")

    def _finished(self) -> None:
        self._course.end("the snapshot is in place", self._chain, imported=True)


_STEPS = {
    Stage.OFFERS: Loading._look_for_offers,
    Stage.LINKING: Loading._follow_down,
    Stage.MANIFEST: Loading._fetch_manifest,
    Stage.COINS: Loading._fetch_coins,
    Stage.BLOCKS: Loading._fetch_blocks,
}
