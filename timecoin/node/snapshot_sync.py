"""Joining an old network: closing headers, a snapshot, the blocks beside it (protocol.md section 10).

A pure state machine: peers, messages, the clock and finished work in; requests, work and notes out
(:mod:`timecoin.node.snapshot_sync_desk`); :attr:`SnapshotSync.outcome` in the end. Nothing that a peer says is
believed: headers follow from the anchor by commits, manifest and state from a header, coins and blocks from those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from timecoin.ledger.closing_chain import Anchor, ClosingLink, Trusted
from timecoin.ledger.params import Parameters
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.anchor import describe, is_recent
from timecoin.node.snapshot_sync_blocks import Blocks
from timecoin.node.snapshot_sync_coins import Coins, Importing
from timecoin.node.snapshot_sync_desk import Desk, Effect, JoinPeer, Work
from timecoin.node.snapshot_sync_headers import AnchorSearch, Followed, Follower, Opinions
from timecoin.node.snapshot_sync_manifest import Preparation
from timecoin.node.snapshot_sync_offers import Offer, Offers
from timecoin.node.sync_progress import Meter, Progress
from timecoin.p2p import messages as wire

SETTLE_MS = 2_000
"""After the first peer others get so long to come, before anything is decided by what they say."""
OTHERS_MS = 10_000
"""For so long others are waited for before less than three decide that there is nothing to join."""
ALONE_MS = 30_000
"""Without any peer for so long the node starts as it is."""
GROUPS = 3
"""Network groups that have to agree where no block is trusted from outside."""
GROUPS_WAIT_MS = 20_000
"""For so long more groups are waited for; then those that there are have to do."""
ASK_AGAIN_MS = 60_000
STALL_MS = 60_000
"""A snapshot of which nothing came for so long is given up."""
NO_OFFER_MS = 15_000
MAX_TRIES = 3


class JoinStore(Protocol):
    """Where a snapshot goes; the thread that writes calls it."""

    def begin(self, manifest: Manifest, state: bytes, links: Sequence[ClosingLink]) -> Importing:
        """Begin an import, in place of any begun before."""
        ...

    def finish(self, importing: Importing) -> None:
        """Everything is here: make it the chain."""
        ...


class Stage(Enum):
    """How far joining has come."""

    PEERS = "looking for peers"
    ANCHOR = "looking for the trusted block"
    HEADERS = "following closing headers"
    AGREEMENT = "asking several peers for the newest closing header"
    REFUSED = "peers show different chains"
    OFFERS = "looking for snapshots"
    MANIFEST = "fetching a snapshot's manifest"
    BEGINNING = "beginning to import the snapshot"
    COINS = "fetching coins"
    BLOCKS = "fetching recent blocks"
    FINISHING = "putting the snapshot in place"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``imported``: the chain is the snapshot's; else why not, and block sync is to do it. ``checkpoint``: the newest
    closing block that was found trustworthy: no other one of its height may be adopted.
    """

    imported: bool
    reason: str
    checkpoint: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator wants. ``anchor``: a block that is trusted from outside; ``genesis_will_do``: the operator's
    word that block 0 is enough; ``snapshot``: whether to fetch one; ``ahead_epochs``: no joining unless peers are more
    than so many epochs ahead of ``own_epoch``.
    """

    anchor: Anchor | None
    genesis_will_do: bool
    snapshot: bool
    ahead_epochs: int
    own_epoch: int = 1


class SnapshotSync:
    """Give it peers, messages and the time; carry out :meth:`take_effects` after every call."""

    def __init__(
        self,
        params: Parameters,
        origin: Trusted,
        plan: Plan,
        store: JoinStore,
        resumed: tuple[Importing, Manifest, Sequence[ClosingLink]] | None = None,
        now: int = 0,
    ) -> None:
        """``origin`` is block 0 with S(1); ``resumed``: an import that an earlier run began."""
        self._params, self._origin, self._plan, self._store = params, origin, plan, store
        self._desk = Desk(origin.header.chain_id, now)
        self._resumed = resumed
        self._since = now
        self._importing: Importing | None = None
        self._chain: Followed
        self._follower: Follower
        self._search: AnchorSearch | None = None
        self._opinions: Opinions | None = None
        self._offers: Offers | None = None
        self._offer: Offer | None = None
        self._preparation: Preparation | None = None
        self._coins: Coins | None = None
        self._blocks: Blocks | None = None
        self._meters = {name: Meter(name) for name in ("closing headers", "coins", "recent blocks")}
        self.stage = Stage.PEERS
        self.report: tuple[str, ...] = ()
        """While peers show different chains: who said what."""
        self.outcome: Outcome | None = None
        self._begin_chain(origin, None)

    # Inputs

    def connected(self, peer: JoinPeer, now: int) -> None:
        """A peer was admitted."""
        self._desk.now = now
        if self.stage is Stage.PEERS and not self._desk.peers:
            self._since = now
        self._desk.peers[peer.key] = peer
        self._work()

    def lost(self, key: bytes, now: int) -> None:
        """A peer is gone."""
        self._desk.now = now
        peer = self._desk.peers.pop(key, None)
        if peer is not None:
            self._forget(peer)
            self._work()

    def _forget(self, peer: JoinPeer) -> None:
        parts = (self._follower, self._search, self._opinions, self._offers, self._preparation)
        for part in (*parts, self._coins, self._blocks):
            if part is not None:
                part.lost(peer)

    def message(self, key: bytes, message: wire.Message, now: int) -> None:
        """A peer sent something; what is not about joining is left alone."""
        self._desk.now = now
        peer = self._desk.peers.get(key)
        if peer is None:
            return
        self._take(peer, message)
        if key not in self._desk.peers:
            self._forget(peer)
        self._work()

    def tick(self, now: int) -> None:
        """Call it some times a second."""
        self._desk.now = now
        self._work()

    def worked(self, work: Work, outcome: object, now: int) -> None:
        """Work was done; ``outcome`` is what it returned or raised. What was not expected is raised here."""
        self._desk.now = now
        self._desk.working -= 1
        if not isinstance(outcome, Exception):
            work.then(outcome)
        elif work.wrong is not None and isinstance(outcome, work.expected):
            work.wrong(outcome)
        else:
            raise outcome
        self._work()

    def take_effects(self) -> list[Effect]:
        """What is to be done, in order."""
        return self._desk.take_effects()

    # Reading

    @property
    def progress(self) -> Progress | None:
        """How far the present stage has come, where that can be told."""
        now, sources = self._desk.now, len(self._desk.peers)
        if self.stage in (Stage.HEADERS, Stage.ANCHOR):
            total = max((peer.epoch - 1 for peer in self._desk.peers.values()), default=0)
            return self._measured("closing headers", self._chain.epoch, max(total, self._chain.epoch), sources, now)
        if self.stage is Stage.COINS and self._coins is not None:
            return self._measured("coins", self._coins.done, self._coins.total, sources, now)
        if self.stage is Stage.BLOCKS and self._blocks is not None:
            return self._measured("recent blocks", self._blocks.done, self._blocks.total, sources, now)
        return None

    def _measured(self, name: str, done: int, total: int, sources: int, now: int) -> Progress:
        return self._meters[name].progress(done, total, sources, now)

    def __str__(self) -> str:
        progress = self.progress
        return self.stage.value if progress is None else f"{self.stage.value}: {progress}"

    # Messages

    def _take(self, peer: JoinPeer, message: wire.Message) -> None:
        if isinstance(message, wire.Status):
            peer.epoch, peer.height = message.epoch, message.height
        elif isinstance(message, wire.ClosingHeaders):
            self._take_headers(peer, message)
        elif isinstance(message, wire.Snapshots):
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

    def _take_headers(self, peer: JoinPeer, message: wire.ClosingHeaders) -> None:
        for part in (self._search, self._opinions, self._follower):
            if part is not None and part.takes(peer, message):
                return

    # Stages

    def _work(self) -> None:
        """One look at everything; again as long as a stage leads to the next."""
        stage = None
        while stage is not self.stage:
            stage = self.stage
            _STEPS[stage](self)
        progress = self.progress
        if progress is not None:
            meter = self._meters[progress.phase]
            meter.note(progress.done, self._desk.now)
            meter.show(progress, self._desk.now)

    def _enter(self, stage: Stage) -> None:
        self.stage, self._since = stage, self._desk.now

    @property
    def _waited(self) -> int:
        return self._desk.now - self._since

    def _look_for_peers(self) -> None:
        peers = self._desk.peers.values()
        if self._waited < SETTLE_MS or not any(peer.epoch for peer in peers):
            # What was begun is a lot to throw away, and a chain without a block no reason to hurry.
            if self._waited > ALONE_MS and self._resumed is None:
                self._end(False, "no peer tells its epoch" if peers else "no peer answers")
            return
        # A liar's word is enough to go and see: its headers will tell. It is not enough to leave it.
        if self._resumed is not None or self._is_behind(max(peer.epoch for peer in peers)):
            self._begin()
        elif self._have_enough_told:
            self._end(False, "the chain here is not far behind")

    @property
    def _have_enough_told(self) -> bool:
        """Have some told how far they are, or had the time for it?"""
        told = sum(peer.epoch > 0 for peer in self._desk.peers.values())
        return told >= GROUPS or self._waited > OTHERS_MS

    def _is_behind(self, epoch: int) -> bool:
        return epoch - self._plan.own_epoch > self._plan.ahead_epochs

    def _begin(self) -> None:
        if self._resumed is not None:
            self._resume(*self._resumed)
        elif self._plan.anchor is not None:
            self._desk.note(f"joining from the trusted block {describe(self._plan.anchor)}")
            self._search = AnchorSearch(self._desk, self._plan.anchor, self._found_anchor)
            self._enter(Stage.ANCHOR)
        else:
            self._desk.note("no trusted block is given: joining from the genesis block", loud=True)
            self._enter(Stage.HEADERS)

    def _begin_chain(self, origin: Trusted, link: ClosingLink | None) -> None:
        self._chain, self._trusted = Followed.begin(origin, link), False
        self._ended: set[bytes] = set()
        self._follower = Follower(self._desk, self._chain, lambda peer: self._ended.add(peer.key))

    def _find_anchor(self) -> None:
        assert self._search is not None
        self._search.work()

    def _found_anchor(self, trusted: Trusted, link: ClosingLink) -> None:
        self._search = None
        self._begin_chain(trusted, link)
        self._enter(Stage.HEADERS)

    def _follow_headers(self) -> None:
        self._follower.look_at_clock()
        if not self._follower.is_free:
            return
        now = self._desk.now
        newer = [
            peer
            for peer in self._desk.peers.values()
            if peer.epoch - 1 > self._chain.epoch and peer.key not in self._ended
        ]
        ready = [peer for peer in newer if peer.rests_until <= now]
        if ready:
            self._follower.follow(min(ready, key=lambda peer: (peer.failures, peer.slow, peer.key)))
        elif self._has_newest(newer) and (self._chain.links or self._have_enough_told):
            self._headers_followed()

    def _has_newest(self, newer: Sequence[JoinPeer]) -> bool:
        """Is all followed that anybody shows? Who claims more and did not answer does not count, if others did."""
        if not newer:
            return any(peer.epoch for peer in self._desk.peers.values())
        reached = self._chain.epoch + 1
        return any(0 < peer.epoch <= reached and not peer.failures for peer in self._desk.peers.values())

    def _headers_followed(self) -> None:
        self._trusted = self._is_proven()
        if not self._is_behind(self._chain.epoch + 1):
            self._end(False, self._why_not())
        elif self._trusted:
            self._trust_chain()
        else:
            self._opinions = Opinions(self._desk, self._chain)
            self._enter(Stage.AGREEMENT)

    def _why_not(self) -> str:
        """Why there is nothing to join by headers."""
        claimed = max([peer.epoch for peer in self._desk.peers.values()], default=0)
        if self._chain.links or not self._is_behind(claimed):
            return "the chain here is not far behind"
        reason = "no peer shows closing headers that follow from the genesis block"
        self._desk.note(
            f"{reason}, though one says that epoch {claimed} is open. If all joined by snapshots, nobody has its first "
            "blocks either: set [sync] trusted to a recent closing block",
            loud=True,
        )
        return reason

    def _is_proven(self) -> bool:
        """Does the anchor alone prove the chain, without anybody's word?"""
        first, newest = self._chain.trusted[0].header, self._chain.newest.header
        if self._plan.anchor is None and self._plan.genesis_will_do:
            return True
        recent = is_recent(self._params, first.epoch, first.slot_time, newest.epoch, self._desk.now)
        if not recent and self._plan.anchor is not None:
            self._desk.note(
                f"the trusted block {describe(self._plan.anchor)} is over {self._params.unbonding_epochs} epochs old, "
                "so it alone proves nothing any more",
                loud=True,
            )
        return recent

    def _agree(self) -> None:
        assert self._opinions is not None
        self._opinions.work()
        if self._opinions.conflicts:
            self._refuse(self._opinions)
        elif self._opinions.is_complete and (
            self._opinions.groups >= GROUPS or (self._opinions.groups and self._waited > GROUPS_WAIT_MS)
        ):
            self._desk.note(
                f"peers of {self._opinions.groups} network groups agree on the chain up to epoch {self._chain.epoch}; "
                "that is their word, not a proof: give a trusted block to have one",
                loud=True,
            )
            self._trust_chain()

    def _refuse(self, opinions: Opinions) -> None:
        own = [str(each) for each in opinions.opinions.values() if each.agrees]
        self.report = (*own, *[str(each) for each in opinions.conflicts])
        self._desk.note(
            "peers show different chains, each with valid commits; none is chosen. Ask people you trust for a recent "
            "closing block and set [sync] trusted. " + "; ".join(self.report),
            loud=True,
        )
        self._enter(Stage.REFUSED)

    def _ask_again(self) -> None:
        if self._waited > ASK_AGAIN_MS:
            self.report = ()
            self._opinions = None
            self._begin_chain(self._chain.trusted[0], self._chain.links[0] if self._plan.anchor else None)
            self._enter(Stage.HEADERS)

    def _trust_chain(self) -> None:
        self._opinions, self._trusted = None, True
        if not self._plan.snapshot:
            self._end(False, "blocks are fetched, not a snapshot")
            return
        self._offers = Offers(self._desk, self._chain, self._params.snapshot_epochs)
        self._enter(Stage.OFFERS)

    def _look_for_offers(self) -> None:
        assert self._offers is not None
        self._offers.work()
        offer = self._offers.best()
        if offer is not None and (self._offers.all_told or self._waited > SETTLE_MS):
            self._prepare(offer, self._offers)
        elif offer is None and self._waited > NO_OFFER_MS:
            self._end(False, "no peer holds a snapshot of the chain")

    def _prepare(self, offer: Offer, offers: Offers) -> None:
        header = next(each.header for each in self._chain.trusted if each.header.height == offer.head.height)
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
        self._enter(Stage.MANIFEST)

    def _fetch_manifest(self) -> None:
        assert self._preparation is not None and self._offers is not None
        self._offers.work()
        self._preparation.work()
        if self._is_stalled(self._preparation.answered_at):
            self._stalled("its manifest does not come")

    def _is_stalled(self, answered_at: int) -> bool:
        return not self._desk.working and self._desk.now - max(self._since, answered_at) > STALL_MS

    def _false_offer(self, reason: str) -> None:
        """Manifest or state is a lie: whoever offers that snapshot goes. Liars are fewer then: no failure."""
        if self._offers is None or self._offer is None:
            return
        for peer in self._offers.refuse(self._offer):
            self._desk.drop(peer, f"a false snapshot: {reason}")
            self._forget(peer)
        self._give_up(reason)
        self._begin_anew()

    def _stalled(self, reason: str) -> None:
        """Who holds it does not deliver: what others offer is tried first now, and nothing for ever."""
        assert self._offers is not None
        self._offers.stalled()
        best = self._offers.best()
        self._give_up(reason)
        if best is not None and self._offers.stalls(self._offers.holders(best)) >= MAX_TRIES:
            self._end(False, f"no snapshot came in {MAX_TRIES} tries, the last time because {reason}")
        else:
            self._begin_anew()

    def _give_up(self, reason: str) -> None:
        for part in (self._preparation, self._coins, self._blocks):
            if part is not None:
                part.stop()
        self._offer = self._preparation = self._coins = self._blocks = None
        self._desk.note(f"the snapshot is given up: {reason}", loud=True)

    def _begin_anew(self) -> None:
        if self._resumed is not None:
            # It may be too old by now for anybody to hold it.
            self._resumed = self._offers = None
            self._begin_chain(self._origin, None)
            self._enter(Stage.PEERS)
        else:
            self._enter(Stage.OFFERS)

    def _prepared(self, manifest: Manifest, state: bytes, sender: JoinPeer) -> None:
        links = [link for link in self._chain.links if link.header.height <= manifest.height]
        self._preparation = None
        self._enter(Stage.BEGINNING)
        store = self._store
        self._desk.work(
            Work(
                lambda _: store.begin(manifest, state, links),
                lambda found: self._load(found, manifest, sender.key),
                storing=True,
            )
        )

    def _load(self, importing: Importing, manifest: Manifest, sender: bytes | None = None) -> None:
        offers, offer = self._offers, self._offer
        assert offers is not None and offer is not None
        self._importing = importing
        self._coins = Coins(self._desk, manifest, importing, lambda: offers.holders(offer), self._stalled, sender)
        self._enter(Stage.COINS)

    def _resume(self, importing: Importing, manifest: Manifest, links: Sequence[ClosingLink]) -> None:
        self._desk.note(f"going on with the snapshot of block {manifest.height}")
        trusted = [Trusted(link.header, link.members) for link in links if link.members is not None]
        self._chain, self._trusted = Followed([self._origin, *trusted], list(links)), True
        self._offers = Offers(self._desk, self._chain, self._params.snapshot_epochs)
        self._offer = Offer(manifest.snapshot_id, manifest.head.encode(), manifest.head)
        self._offers.trying(self._offer)
        self._load(importing, manifest)

    def _fetch_coins(self) -> None:
        coins = self._coins
        assert coins is not None and self._importing is not None and self._offers is not None
        self._offers.work()
        coins.work()
        if coins.is_complete:
            self._coins = None
            self._blocks = Blocks(self._desk, self._importing, self._lowest())
            self._enter(Stage.BLOCKS)
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
        blocks, importing, store = self._blocks, self._importing, self._store
        assert blocks is not None and importing is not None
        blocks.work()
        if blocks.is_complete:
            self._blocks = None
            self._enter(Stage.FINISHING)
            self._desk.work(Work(lambda _: store.finish(importing), lambda _: self._finished(), storing=True))
        elif self._is_stalled(blocks.fetch.answered_at):
            self._stalled("its blocks do not come")

    def _finished(self) -> None:
        self._end(True, "the snapshot is in place")

    def _end(self, imported: bool, reason: str) -> None:
        newest = self._chain.newest.header
        checkpoint = None if newest.height == 0 or not self._trusted else Anchor(newest.height, newest.hash)
        self.outcome = Outcome(imported, reason, checkpoint)
        self._enter(Stage.ENDED)

    def _wait(self) -> None:
        """Nothing is to be done until work comes back, or ever."""


_STEPS = {
    Stage.PEERS: SnapshotSync._look_for_peers,
    Stage.ANCHOR: SnapshotSync._find_anchor,
    Stage.HEADERS: SnapshotSync._follow_headers,
    Stage.AGREEMENT: SnapshotSync._agree,
    Stage.REFUSED: SnapshotSync._ask_again,
    Stage.OFFERS: SnapshotSync._look_for_offers,
    Stage.MANIFEST: SnapshotSync._fetch_manifest,
    Stage.BEGINNING: SnapshotSync._wait,
    Stage.COINS: SnapshotSync._fetch_coins,
    Stage.BLOCKS: SnapshotSync._fetch_blocks,
    Stage.FINISHING: SnapshotSync._wait,
    Stage.ENDED: SnapshotSync._wait,
}
