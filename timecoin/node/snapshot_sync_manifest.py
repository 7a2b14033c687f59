"""Manifest and state of a snapshot: all from one peer at a time, so that it is known who lied."""

from __future__ import annotations

from collections.abc import Callable

from timecoin.ledger.snapshot_manifest import (
    BadManifest,
    BadState,
    ForeignPages,
    ForeignParts,
    Manifest,
    check_manifest,
    check_state,
)
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer, Work
from timecoin.node.snapshot_sync_fetch import Fetch
from timecoin.node.snapshot_sync_offers import Offer
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header

SILENCE_MS = 8_000
"""A peer of which nothing came for so long is left for another one."""
TURN_MS = 30_000
"""For so long a peer is asked while others hold the same; twice as long at each further turn, for slow lines."""
_MOST_DOUBLINGS = 6


class Preparation:
    """Manifest and state of one offer, checked. ``ready(manifest, state, sender)`` or ``failed(reason)`` is told once.

    A failure means that the offer is false, and everybody who makes it a liar. A peer that sends other bytes than those
    that the offer names is one too, but no other holder is.
    """

    def __init__(
        self,
        desk: Desk,
        offer: Offer,
        header: Header,
        holders: Callable[[], list[JoinPeer]],
        ready: Callable[[Manifest, bytes, JoinPeer], None],
        failed: Callable[[str], None],
    ) -> None:
        self._desk, self._offer, self._header, self._holders = desk, offer, header, holders
        self._ready, self._failed = ready, failed
        self._checking = self._stopped = False
        self._turns: dict[bytes, int] = {}
        self._began = self._answered = self.answered_at = desk.now
        self._begin(None)

    def _begin(self, source: JoinPeer | None) -> None:
        """Ask a peer for all of it."""
        offer, desk = self._offer, self._desk
        self._source = source
        self._kept: tuple[dict[int, bytes], dict[int, bytes]] = {}, {}
        sources = [] if source is None else [source]
        self._pages = Fetch[int](desk, lambda: sources, lambda number: wire.GetManifest(offer.snapshot_id, number))
        self._parts = Fetch[int](desk, lambda: sources, lambda number: wire.GetState(offer.snapshot_id, number))
        self._pages.add(range(offer.head.pages))
        self._parts.add(range(offer.head.state_parts))
        self._began = self._answered = desk.now
        if source is not None:
            self._turns[source.key] = self._turns.get(source.key, 0) + 1

    def work(self) -> None:
        """Ask for what is missing."""
        if self._checking or self._stopped:
            return
        others = [peer for peer in self._holders() if peer is not self._source]
        if others and (self._source is None or self._is_over(self._source)):
            self._leave()
            self._begin(min(others, key=lambda peer: (self._turns.get(peer.key, 0), peer.failures)))
        self._pages.work()
        self._parts.work()

    def _is_over(self, source: JoinPeer) -> bool:
        now = self._desk.now
        turn = TURN_MS << min(self._turns[source.key] - 1, _MOST_DOUBLINGS)
        return now - self._answered > SILENCE_MS or now - self._began > turn or source not in self._holders()

    def _leave(self) -> None:
        self._source = None
        self._pages.stop()
        self._parts.stop()

    def stop(self) -> None:
        """It is given up."""
        self._stopped = True
        self._leave()

    def takes_page(self, peer: JoinPeer, message: wire.ManifestPage) -> None:
        """A page came."""
        if message.snapshot == self._offer.snapshot_id:
            self._take(0, peer, message.page, message.ranges)

    def takes_part(self, peer: JoinPeer, message: wire.StatePart) -> None:
        """A part of the state came."""
        if message.snapshot == self._offer.snapshot_id:
            self._take(1, peer, message.part, message.data)

    def _take(self, which: int, peer: JoinPeer, number: int, data: bytes) -> None:
        if peer is not self._source or self._checking:
            return
        fetch = (self._pages, self._parts)[which]
        if not data:
            fetch.lacks(peer, number)
        elif fetch.came(peer, number):
            self._kept[which][number] = data
            self._answered = self.answered_at = self._desk.now
        if self._pages.is_idle and self._parts.is_idle:
            self._check(peer)

    def _check(self, source: JoinPeer) -> None:
        self._checking = True
        pages, parts = ([kept[number] for number in sorted(kept)] for kept in self._kept)
        offer, header, state = self._offer, self._header, b"".join(parts)

        def check(_: object) -> Manifest:
            manifest = Manifest.assemble(offer.snapshot_id, offer.encoded, pages)
            check_manifest(manifest, header)
            check_state(manifest, state, header)
            return manifest

        self._desk.work(
            Work(
                check,
                then=lambda manifest: self._checked(manifest, state, source),
                wrong=lambda problem: self._refused(source, problem),
                expected=(BadManifest, BadState),
            )
        )

    def _checked(self, manifest: Manifest, state: bytes, source: JoinPeer) -> None:
        if not self._stopped:
            self._ready(manifest, state, source)

    def _refused(self, source: JoinPeer, problem: Exception) -> None:
        self._checking = False
        if isinstance(problem, ForeignPages | ForeignParts):
            # A false head under a true id looks the same; its holders are found out one by one.
            self._desk.drop(source, f"false parts of a snapshot: {problem}")
            self.lost(source)
        elif not self._stopped:
            self._failed(str(problem))

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        if peer is self._source and not self._checking:
            self._leave()
            self._begin(None)
