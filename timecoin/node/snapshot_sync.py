"""Joining an old network: closing headers, a snapshot, the blocks beside it (protocol.md section 10).

A pure state machine: peers, messages, the clock and finished work in; requests, work and notes out
(:mod:`timecoin.node.snapshot_sync_desk`); :attr:`SnapshotSync.outcome` in the end. Nothing that a peer says is
believed: headers follow from the anchor by commits (:mod:`timecoin.node.snapshot_sync_trust`), manifest and state from
a header, coins and blocks from those (:mod:`timecoin.node.snapshot_sync_loading`).
"""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.closing_chain import ClosingLink, Trusted
from timecoin.ledger.params import Parameters
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.snapshot_sync_coins import Importing
from timecoin.node.snapshot_sync_desk import Desk, Effect, JoinPeer, Work
from timecoin.node.snapshot_sync_headers import Followed
from timecoin.node.snapshot_sync_loading import Loading
from timecoin.node.snapshot_sync_stages import Course, JoinStore, Outcome, Plan, Stage
from timecoin.node.snapshot_sync_trust import ChainSearch
from timecoin.node.sync_progress import Meter, Progress
from timecoin.p2p import messages as wire

_PHASES = ("closing headers", "headers", "coins", "recent blocks")


class SnapshotSync:
    """Give it peers, messages and the time; carry out :meth:`take_effects` after every call."""

    def __init__(
        self,
        params: Parameters,
        origin: Trusted,
        plan: Plan,
        store: JoinStore | None,
        resumed: tuple[Importing, Manifest, Sequence[ClosingLink]] | None = None,
        now: int = 0,
    ) -> None:
        """``origin`` is block 0 with S(1), or the last closing block here with its set; ``resumed``: an import that an
        earlier run began; ``store``: None if no snapshot is wanted.
        """
        self._desk = Desk(origin.header.chain_id, now)
        self._course = Course(params, plan, store, self._desk)
        self._loading = Loading(self._course, lambda: self._search.begin_anew())
        self._search = ChainSearch(self._course, origin, self._loading.begin)
        if resumed is not None:
            self._resume_later(origin, *resumed)
        self._meters = {name: Meter(name) for name in _PHASES}

    def _resume_later(
        self, origin: Trusted, importing: Importing, manifest: Manifest, links: Sequence[ClosingLink]
    ) -> None:
        trusted = [Trusted(link.header, link.members) for link in links if link.members is not None]
        chain = Followed([origin, *trusted], list(links))
        self._search.instead = lambda: self._loading.resume(chain, importing, manifest)

    # Inputs

    def connected(self, peer: JoinPeer, now: int) -> None:
        """A peer was admitted."""
        self._desk.now = now
        if self.stage is Stage.PEERS and not self._desk.peers:
            self._course.since = now
        before = self._desk.peers.get(peer.key)
        if before is not None:
            self._forget(before)
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
        self._search.lost(peer)
        self._loading.lost(peer)

    def message(self, key: bytes, message: wire.Message, now: int) -> None:
        """A peer sent something; what is not about joining is left alone."""
        self._desk.now = now
        peer = self._desk.peers.get(key)
        if peer is None:
            return
        if isinstance(message, wire.Status):
            peer.epoch, peer.height = message.epoch, message.height
        elif isinstance(message, wire.ClosingHeaders | wire.Headers):
            self._search.takes(peer, message)
        else:
            self._loading.takes(peer, message)
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
    def stage(self) -> Stage:
        """How far it has come."""
        return self._course.stage

    @property
    def outcome(self) -> Outcome | None:
        """What came of it; None before the end."""
        return self._course.outcome

    @property
    def report(self) -> tuple[str, ...]:
        """While peers show different chains: who said what."""
        return self._search.report

    @property
    def progress(self) -> Progress | None:
        """How far the present stage has come, where that can be told."""
        if self.stage in (Stage.DESCENT, Stage.LINKING, Stage.OWN):
            descent = None if self._search.ancestry is None else self._search.ancestry.descent
            return None if descent is None else self._measured("headers", *descent.progress)
        if self.stage is Stage.HEADERS:
            done = self._search.chain.epoch
            total = max((peer.epoch - 1 for peer in self._desk.peers.values()), default=0)
            return self._measured("closing headers", done, max(total, done))
        known = self._loading.progress if self.stage in (Stage.COINS, Stage.BLOCKS) else None
        return None if known is None else self._measured(*known)

    def _measured(self, name: str, done: int, total: int) -> Progress:
        return self._meters[name].progress(done, total, len(self._desk.peers), self._desk.now)

    def __str__(self) -> str:
        ancestry = self._search.ancestry
        if self.stage is Stage.ANCHOR and ancestry is not None and ancestry.search.is_told:
            return f"{self.stage.value}: {ancestry.search.problem}"
        progress = self.progress
        return self.stage.value if progress is None else f"{self.stage.value}: {progress}"

    # Stages

    def _work(self) -> None:
        """One look at everything; again as long as a stage leads to the next."""
        stage = None
        while stage is not self.stage:
            stage = self.stage
            self._search.work()
            self._loading.work()
        progress = self.progress
        if progress is not None:
            meter = self._meters[progress.phase]
            meter.note(progress.done, self._desk.now)
            meter.show(progress, self._desk.now)
