"""Which chain of closing headers is believed: peers, the trusted block, what follows from it, and who agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timecoin.ledger.closing_chain import Anchor, ClosingLink, Trusted
from timecoin.node.anchor import describe, is_recent
from timecoin.node.header_path import HeaderPath
from timecoin.node.snapshot_sync_ancestry import Ancestry
from timecoin.node.snapshot_sync_desk import JoinPeer
from timecoin.node.snapshot_sync_headers import Followed, Follower
from timecoin.node.snapshot_sync_opinions import Opinions
from timecoin.node.snapshot_sync_stages import SETTLE_MS, Course, Stage
from timecoin.p2p import messages as wire
from timecoin.primitives.hashes import display

OTHERS_MS = 10_000
"""For so long others are waited for before less than three decide that there is nothing to join."""
ALONE_MS = 10_000
"""Without any peer for so long the node starts as it is."""
GROUPS = 3
"""Network groups that have to agree where no block is trusted from outside."""
GROUPS_WAIT_MS = 20_000
"""For so long more groups are waited for; then those that there are have to do."""
INBOUND_WAIT_MS = 60_000
"""For so long nobody counts who was not dialled from here."""
RETURN_WAIT_MS = 20_000
"""Who has a chain hears peers for so long, before they decide that nobody is ahead of it."""
ASK_AGAIN_MS = 60_000
DISAGREE_MS = 180_000
"""A chain on which nobody agrees is left after so long."""
DESCENT_STALL_MS = 180_000
"""No header below the trusted block for so long: blocks are fetched instead."""


class ChainSearch:
    """The stages up to a chain that is proven or agreed on, of which ``found(chain)`` is told."""

    def __init__(self, course: Course, origin: Trusted, found: Callable[[Followed, Ancestry | None], None]) -> None:
        """``origin`` is block 0 with S(1), or the last closing block here; ``found`` is given what is known of the
        blocks below the chain, too.
        """
        self._course, self._origin, self._found = course, origin, found
        self._desk, self._plan, self._params = course.desk, course.plan, course.params
        self.ancestry: Ancestry | None = None
        """The trusted block and what it proves of those below it."""
        self._opinions: Opinions | None = None
        self.chain: Followed
        self._follower: Follower
        self.instead: Callable[[], None] | None = None
        """What is done when there are peers, if no chain is to be searched for."""
        self._told = -ASK_AGAIN_MS
        self.report: tuple[str, ...] = ()
        """While peers show different chains: who said what."""
        self._begin_chain(origin, None)

    def begin_anew(self) -> None:
        """Search for a chain from the beginning."""
        self.instead = self.ancestry = None
        self._begin_chain(self._origin, None)
        self._course.enter(Stage.PEERS)

    def work(self) -> None:
        """Whatever the present stage asks for, if it is one of these."""
        step = _STEPS.get(self._course.stage)
        if step is not None:
            step(self)

    def takes(self, peer: JoinPeer, message: wire.ClosingHeaders | wire.Headers) -> None:
        """Headers came."""
        if (self.ancestry is not None and self.ancestry.takes(peer, message)) or isinstance(message, wire.Headers):
            return
        for part in (self._opinions, self._follower):
            if part is not None and part.takes(peer, message):
                return

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        for part in (self.ancestry, self._opinions, self._follower):
            if part is not None:
                part.lost(peer)

    def _look_for_peers(self) -> None:
        peers = self._desk.peers.values()
        if self._course.waited < SETTLE_MS or not any(peer.epoch for peer in peers):
            # What was begun is a lot to throw away, and a chain without a block no reason to hurry.
            if self._course.waited > ALONE_MS and self.instead is None and self._plan.own_tip is None:
                self._course.end("no peer tells its epoch" if peers else "no peer answers")
            return
        # A liar's word is enough to go and see: its headers will tell. It is not enough to leave it.
        if self.instead is not None or self._is_behind(max(peer.epoch for peer in peers)) or self._leads_on:
            self._begin()
        elif self._have_enough_told:
            self._course.end("the chain here is not far behind")

    @property
    def _have_enough_told(self) -> bool:
        """Have some told how far they are, or had the time for it?"""
        if self._plan.own_tip is not None:
            return self._course.waited > RETURN_WAIT_MS and any(
                self._counts(peer) for peer in self._desk.peers.values()
            )
        told = sum(peer.epoch > 0 for peer in self._desk.peers.values())
        return told >= GROUPS or self._course.waited > OTHERS_MS

    @property
    def _leads_on(self) -> bool:
        """Does the operator know of a block above the chain here, whatever peers say?"""
        return self._plan.own_tip is not None and self._plan.anchor is not None

    def _counts(self, peer: JoinPeer) -> bool:
        return peer.epoch > 0 and (peer.chosen or self._course.waited > INBOUND_WAIT_MS)

    def _is_behind(self, epoch: int) -> bool:
        return epoch - self._plan.own_epoch > self._plan.ahead_epochs

    def _begin(self) -> None:
        if self.instead is not None:
            self.instead()
        elif self._plan.anchor is not None:
            self._desk.note(f"joining from the trusted block {describe(self._plan.anchor)}")
            epochs = self._params.snapshot_epochs
            self.ancestry = Ancestry(self._desk, self._plan.anchor, self._origin, epochs)
            self._course.enter(Stage.ANCHOR)
        else:
            since = "the genesis block" if self._plan.own_tip is None else "the chain here, which is old"
            self._desk.note(f"no trusted block is given: joining from {since}", loud=True)
            self._course.enter(Stage.HEADERS)

    def _begin_chain(self, origin: Trusted, link: ClosingLink | None) -> None:
        self.chain = Followed.begin(origin, link)
        self._ended: set[bytes] = set()
        self._follower = Follower(self._desk, self.chain, lambda peer: self._ended.add(peer.key))

    def _find_anchor(self) -> None:
        assert self.ancestry is not None
        self.ancestry.work()
        if self.ancestry.descent is not None:
            self._course.path = self.ancestry.descent.path
            self._course.enter(Stage.DESCENT)

    def _descend(self) -> None:
        """To the nearest closing block: from there on commits lead upwards."""
        ancestry = self.ancestry
        assert ancestry is not None and ancestry.descent is not None
        ancestry.work()
        nearest = ancestry.descent.nearest
        rooted = None if nearest is None else ancestry.rooted(nearest)
        if rooted is not None:
            self._begin_chain(*rooted)
            self._course.enter(Stage.HEADERS)
        elif self._is_stalled(ancestry):
            if self._plan.own_tip is not None:
                self._begin_descent_anew()
            else:
                self._course.end("the headers below the trusted block do not come")

    def _is_stalled(self, ancestry: Ancestry) -> bool:
        since = max(self._course.since, ancestry.moved_at)
        return not self._desk.working and self._desk.now - since > DESCENT_STALL_MS

    def _begin_descent_anew(self) -> None:
        # Nothing else will do: without them old keys could lead astray until the trusted block.
        self._desk.note("the headers down to the chain here do not come: beginning anew", loud=True)
        self.begin_anew()

    def _rank(self, peer: JoinPeer) -> int:
        return 0 if self.ancestry is None else self.ancestry.search.rank(peer)

    def _follow_headers(self) -> None:
        # Old keys sign another chain, which commits alone may not tell from the trusted block's: its peers come first.
        if self.ancestry is not None:
            self.ancestry.search.work()
        self._follower.look_at_clock()
        if not self._follower.is_free:
            return
        now = self._desk.now
        newer = [
            peer
            for peer in self._desk.peers.values()
            if peer.epoch - 1 > self.chain.epoch and peer.key not in self._ended and self._rank(peer) < 2
        ]
        ready = [peer for peer in newer if peer.rests_until <= now]
        if ready:
            self._follower.follow(min(ready, key=lambda peer: (self._rank(peer), peer.failures, peer.slow, peer.key)))
        elif self._has_newest(newer) and (self.chain.links or self._have_enough_told):
            self._headers_followed()

    def _has_newest(self, newer: Sequence[JoinPeer]) -> bool:
        """Is all followed that anybody shows? Who claims more and did not answer does not count, if others did."""
        if self._plan.own_tip is not None and not self.chain.links:
            return self._is_nobody_ahead()
        if not newer:
            return any(peer.epoch for peer in self._desk.peers.values())
        reached = self.chain.epoch + 1
        return any(0 < peer.epoch <= reached and not peer.failures for peer in self._desk.peers.values())

    def _is_nobody_ahead(self) -> bool:
        """Peers that claim more show nothing that follows from the chain here: are those more who claim no more?

        They may all have begun later, and then somebody alone that shares our past would be a liar.
        """
        reached, now = self.chain.epoch + 1, self._desk.now
        peers = [each for each in self._desk.peers.values() if each.epoch and self._rank(each) < 2]
        ahead = {each.group for each in peers if each.epoch > reached}
        if len({each.group for each in peers if each.epoch <= reached and self._counts(each)} - ahead) > len(ahead):
            return True
        if ahead and self._course.waited > RETURN_WAIT_MS and now - self._told > ASK_AGAIN_MS:
            self._told = now
            self._desk.note(
                "peers are ahead, but none shows closing headers that follow from the chain here. If all began after "
                "it, begin with an empty data directory, with the keys; or set [sync] trusted to a recent block",
                loud=True,
            )
            self._ended.clear()
        return False

    def _headers_followed(self) -> None:
        proven = self._is_proven()
        if not self._is_behind(self.chain.epoch + 1):
            self._course.end(self._why_not(), self.chain if proven else None)
        elif proven:
            self._trust_chain()
        else:
            self._opinions = Opinions(self._desk, self.chain)
            self._course.enter(Stage.AGREEMENT)

    def _why_not(self) -> str:
        """Why there is nothing to join by headers."""
        claimed = max([peer.epoch for peer in self._desk.peers.values()], default=0)
        if self.chain.links or not self._is_behind(claimed):
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
        first, newest = self.chain.trusted[0].header, self.chain.newest.header
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
        elif self._opinions.is_complete and self._is_enough(self._opinions):
            groups = self._opinions.groups() or self._opinions.groups(chosen=False)
            self._desk.note(
                f"peers of {groups} network groups agree on the chain up to epoch {self.chain.epoch}; "
                "that is their word, not a proof: give a trusted block to have one",
                loud=True,
            )
            self._trust_chain()
        elif self._course.waited > DISAGREE_MS:
            # Who showed it may be gone, and those who are here cannot show where they part from it.
            self._desk.note(f"nobody else has the chain up to epoch {self.chain.epoch}: asking again", loud=True)
            self._begin_headers_anew()

    def _is_enough(self, opinions: Opinions) -> bool:
        waited = self._course.waited
        if opinions.groups() >= GROUPS or (opinions.groups() and waited > GROUPS_WAIT_MS):
            return True
        return waited > INBOUND_WAIT_MS and opinions.groups(chosen=False) > 0

    def _refuse(self, opinions: Opinions) -> None:
        own = [str(each) for each in opinions.opinions.values() if each.agrees]
        self.report = (*own, *[str(each) for each in opinions.conflicts])
        self._desk.note(
            "peers show different chains, each with valid commits; none is chosen. Ask people you trust for a recent "
            "closing block and set [sync] trusted. " + "; ".join(self.report),
            loud=True,
        )
        self._course.enter(Stage.REFUSED)

    def _ask_again(self) -> None:
        if self._course.waited > ASK_AGAIN_MS:
            self._begin_headers_anew()

    def _begin_headers_anew(self) -> None:
        self.report = ()
        self._opinions = None
        if self._plan.anchor is None:
            self.ancestry = None
        self._begin_chain(self.chain.trusted[0], self.chain.links[0] if self._has_base_link else None)
        self._course.enter(Stage.HEADERS)

    @property
    def _has_base_link(self) -> bool:
        return bool(self.chain.links) and self.chain.links[0].header == self.chain.trusted[0].header

    def _trust_chain(self) -> None:
        self._opinions = None
        if self._plan.own_tip is not None:
            newest = self.chain.newest.header
            if self.ancestry is None:
                anchor = Anchor(newest.height, newest.hash)
                self.ancestry = Ancestry(self._desk, anchor, self._origin, self._params.snapshot_epochs)
            self._course.enter(Stage.OWN)
        elif self._plan.snapshot:
            self._found(self.chain, self.ancestry)
        else:
            self._course.end("blocks are fetched, not a snapshot", self.chain)

    def _descend_to_own(self) -> None:
        """Its hashes tell whether the chain here leads to the one that is believed, and which blocks lie between."""
        ancestry, tip = self.ancestry, self._plan.own_tip
        assert ancestry is not None and tip is not None
        ancestry.work()
        if ancestry.descent is not None:
            ancestry.descent.seek(tip.height)
            if ancestry.descent.is_there:
                self._compare_own(ancestry.descent.path, tip)
                return
        elif self._plan.anchor is None and self._course.waited > DESCENT_STALL_MS:
            self._begin_descent_anew()
            return
        if self._is_stalled(ancestry):
            self._begin_descent_anew()

    def _compare_own(self, path: HeaderPath, tip: Anchor) -> None:
        theirs = path.hash_at(tip.height)
        if theirs == tip.block_hash:
            self._course.path = path
            self._course.end("the chain here leads to it", self.chain)
            return
        other = f"at height {tip.height} the chain here has {display(tip.block_hash)}"
        if theirs is not None:
            other += f", the other {display(theirs)}"
        if self._plan.anchor is not None:
            block = describe(self._plan.anchor)
            self._course.end(
                "another chain", contradiction=f"the chain here does not lead to the trusted {block}: {other}"
            )
        else:
            self.report = (other,)
            self._desk.note(
                f"peers agree on another chain than the one here: {other}. None is chosen. Ask people you trust for a "
                "recent block and set [sync] trusted",
                loud=True,
            )
            self._course.enter(Stage.REFUSED)


_STEPS = {
    Stage.PEERS: ChainSearch._look_for_peers,
    Stage.ANCHOR: ChainSearch._find_anchor,
    Stage.DESCENT: ChainSearch._descend,
    Stage.HEADERS: ChainSearch._follow_headers,
    Stage.AGREEMENT: ChainSearch._agree,
    Stage.REFUSED: ChainSearch._ask_again,
    Stage.OWN: ChainSearch._descend_to_own,
}
