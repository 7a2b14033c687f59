"""Before consensus begins: a node with a fresh data directory joins an old network (protocol.md section 10).

The state machine is :class:`timecoin.node.snapshot_sync.SnapshotSync`; here it gets peers, threads and the disk. Its
connections end with it: the node then starts as on any other day, only with a chain that others kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.ledger.closing_chain import Anchor, ClosingLink, Trusted
from timecoin.ledger.first import first_state
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.anchor import TrustSetting, chosen_anchor, describe
from timecoin.node.header_path import HeaderPath
from timecoin.node.root import StartRefused
from timecoin.node.snapshot_sync import SnapshotSync
from timecoin.node.snapshot_sync_coins import Importing
from timecoin.node.snapshot_sync_desk import Drop, Effect, JoinPeer, Note, Send, Work
from timecoin.node.snapshot_sync_stages import Outcome, Plan
from timecoin.node.storage_service import StorageService
from timecoin.p2p import messages as wire
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import CloseReason
from timecoin.primitives.hashes import display
from timecoin.primitives.signing import SignatureBackend
from timecoin.storage.errors import StorageError, UnknownBlock, WriteFailed
from timecoin.storage.importing import ImportRecord, SnapshotImport

TICK = 0.1
"""Seconds between two looks at the clock."""


class Network(Protocol):
    """Connections for as long as joining takes: ``p2p.service.P2PService`` that listens nowhere."""

    def startService(self) -> object:
        """Dial."""

    def stopService(self) -> Deferred[None]:
        """Close all connections."""

    def peer(self, node_id: bytes) -> Peer | None:
        """A connected peer."""


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """[sync] of node.ini: ``mode`` is auto, blocks or snapshot."""

    mode: str
    ahead_epochs: int
    trust: TrustSetting


class DiskStore:
    """The import as the state machine wants it; in the thread that writes the chain."""

    def __init__(self, storage: StorageService) -> None:
        self._storage = storage
        self._token: Any = None
        self._import: SnapshotImport | None = None

    def begin(
        self, manifest: Manifest, state: bytes, links: Sequence[ClosingLink], vouched: Anchor | None
    ) -> Importing:
        """Begin, in place of any begun before; of the same one what is here stays."""
        self.close()
        self._forget_files(manifest.height)
        self._import = self._storage.chain.begin_import(manifest, state, links, self._files, vouched)
        return self._import

    def abandon(self) -> None:
        """Leave nothing of what was begun: the chain goes on by blocks."""
        self._import = None
        self._storage.chain.abandon_import()
        self._forget_files(None)

    def _forget_files(self, kept: int | None) -> None:
        try:
            self._storage.snapshots.forget_joining(kept)
        except OSError as error:
            raise WriteFailed(f"cannot remove a snapshot: {error.strerror or error}") from error

    def unfinished(self) -> ImportRecord | None:
        """What an earlier run began."""
        return self._storage.chain.unfinished_import()

    def resume(self, record: ImportRecord) -> tuple[SnapshotImport, Manifest, Sequence[ClosingLink]]:
        """Go on with that."""
        self._import = self._storage.chain.resume_import(record, self._files)
        return self._import, record.manifest, record.links

    @property
    def _files(self) -> Any:
        return self._storage.snapshots if self._storage.makes_snapshots else None

    def finish(self, importing: Importing) -> None:
        """Everything is here."""
        assert isinstance(importing, SnapshotImport)
        self._token = importing.finish()
        self._import = None

    def show(self) -> None:
        """On the reactor's thread: reads show the imported chain from here."""
        self._storage.chain.imported(self._token)
        self._storage.read_tip()

    def close(self) -> None:
        """What is under way stays on the disk, for the next start."""
        if self._import is not None:
            self._import.close()
            self._import = None


def group_of(peer: Peer, *, private: bool) -> bytes:
    """What makes peers independent of each other: their network group; on loopback, where all share one, their key."""
    address = peer.address
    if address is None or (private and not address.is_routable()):
        return peer.node_id
    return address.group()


def known_as(peer: Peer, *, private: bool, chosen: bool = True) -> JoinPeer:
    """A peer as the state machine of joining knows it; ``private`` as in :func:`group_of`."""
    name = str(peer.address or peer.node_id.hex()[:16])
    return JoinPeer(peer.node_id, group_of(peer, private=private), name, chosen=chosen)


def send_or_drop(log: Logger, peer: Peer | None, effect: Send | Drop) -> None:
    """Do what the state machine wants of a peer, if that is still there."""
    if peer is None:
        return
    if isinstance(effect, Send):
        peer.send(effect.message)
    else:
        log.warn("{peer} sent {what}", peer=peer, what=effect.reason)
        peer.misbehaved(effect.reason)


@implementer(IPeerListener)
class Joining(Service):
    """Starts when the storage is open; its start is done when the node may go on, with or without a new chain.

    ``checkpoint`` is then the newest block that was found trustworthy, ``path`` what is known of those below the
    trusted one, for block sync.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        genesis: Genesis,
        storage: StorageService,
        backend: SignatureBackend,
        settings: JoinSettings,
        connect: Callable[[Joining], Network],
        around: Sequence[Callable[[Joining], Service]] = (),
        *,
        knows_anybody: bool = True,
    ) -> None:
        """``connect`` makes the network; ``around``: services that run meanwhile (RPC that tells how far it is);
        ``knows_anybody``: is there an address to begin with?
        """
        self._reactor, self._genesis, self._storage = reactor, genesis, storage
        self._backend, self._settings = backend, settings
        self._connect, self._around = connect, around
        self._knows_anybody = knows_anybody
        self._network: Network | None = None
        self._clock = LoopingCall(self._tick)
        self._clock.clock = reactor
        self._over: Deferred[Outcome] = Deferred()
        self._pumping = self._ended = self._interrupted = False
        self._store = DiskStore(storage)
        self.machine: SnapshotSync | None = None
        self.path: HeaderPath | None = None
        self.found: Anchor | None = None
        """The newest closing block that was proven or agreed on."""
        self.checkpoint: Anchor | None = chosen_anchor(settings.trust, genesis.network)

    # Life cycle

    def startService(self) -> Deferred[None]:
        """Join, if that is called for; fails with ``StartRefused``."""
        super().startService()
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self._check_trusted()
        record = self._store.unfinished()
        if record is not None and not self._is_wanted(record):
            record = None
        if record is None and not self._is_called_for():
            await self._storage.in_chain_thread(self._store.abandon)
            return
        resumed = None if record is None else self._store.resume(record)
        interrupt = self._reactor.addSystemEventTrigger("before", "shutdown", self._interrupt)
        try:
            await self._join(resumed)
        except StorageError as error:
            raise StartRefused(str(error)) from error
        finally:
            if not self._interrupted:
                self._reactor.removeSystemEventTrigger(interrupt)
            # In that thread: something may be on its way to the disk.
            await self._storage.in_chain_thread(self._store.close)

    def _is_wanted(self, record: ImportRecord) -> bool:
        """Is what an earlier run began what the operator still asks for, and proven by what is trusted now?

        If not, what is here of it stays for now: the search for a chain may lead to the same snapshot.
        """
        trusted = self.checkpoint
        if self._settings.mode == "blocks":
            return False
        if trusted is None or trusted == record.vouched:
            return True
        return any((link.header.height, link.header.hash) == trusted for link in record.links)

    async def _check_trusted(self) -> None:
        """A trusted block that is in the chain here must be that block."""
        trusted, tip = self.checkpoint, self._storage.ledger_height
        if trusted is None or trusted.height > tip:
            return
        archive = self._storage.chain.archive
        try:
            own = await self._storage.in_reading_thread(archive.block_hash, trusted.height)
        except UnknownBlock:
            return
        if own != trusted.block_hash:
            raise StartRefused(
                f"the chain in the data directory has {display(own)} at height {trusted.height}, but "
                f"{describe(trusted)} is trusted: one of the two is of a false chain"
            )

    def _is_called_for(self) -> bool:
        """A fresh directory, and a network that can be old enough by the clock and has anybody in it."""
        if self._storage.ledger_height > 0 or not self._knows_anybody:
            return False
        age = int(self._reactor.seconds()) - self._genesis.slot_time
        return age // self._genesis.parameters.epoch_seconds > self._settings.ahead_epochs

    async def _join(self, resumed: Any) -> None:
        self.machine = SnapshotSync(
            self._genesis.parameters, self._origin(), self._plan(), self._store, resumed, self._now()
        )
        services = [make(self) for make in self._around]
        for service in services:
            await maybeDeferred(service.startService)
        self._network = self._connect(self)
        self._network.startService()
        self._clock.start(TICK, now=False)
        try:
            outcome = await self._over
        finally:
            self._ended = True
            if self._clock.running:
                self._clock.stop()
            await self._network.stopService()
            for service in reversed(services):
                await maybeDeferred(service.stopService)
        await self._take(outcome)

    async def _take(self, outcome: Outcome) -> None:
        self.log.info("joining ends: {reason}", reason=outcome.reason)
        self.path = outcome.path
        if outcome.imported or self._storage.ledger_height == 0:
            # The word of peers alone does not weigh more than a chain that was here before.
            self.found = outcome.checkpoint
        if outcome.imported:
            self._store.show()
            return
        if outcome.checkpoint is not None:
            self.checkpoint = outcome.checkpoint
        await self._storage.in_chain_thread(self._store.abandon)

    def _origin(self) -> Trusted:
        block, state, _ = first_state(self._genesis)
        return Trusted(block.header, state.previous_set)

    def _plan(self) -> Plan:
        settings = self._settings
        return Plan(
            anchor=self.checkpoint,
            genesis_will_do=settings.trust.genesis,
            snapshot=settings.mode != "blocks",
            ahead_epochs=settings.ahead_epochs if settings.mode != "snapshot" else 0,
        )

    def _interrupt(self) -> None:
        self._interrupted = True
        self._finish(Failure(CancelledError()))

    def _finish(self, result: Outcome | Failure) -> None:
        if not self._ended:
            self._ended = True
            self._over.callback(result) if isinstance(result, Outcome) else self._over.errback(result)

    @property
    def state(self) -> str:
        """For people."""
        return "starting" if self.machine is None else str(self.machine)

    def _now(self) -> int:
        return int(self._reactor.seconds() * 1000)

    @property
    def newest_trusted(self) -> Anchor | None:
        """The operator's block, or what was found, if that is newer."""
        known = [each for each in (self.checkpoint, self.found) if each is not None]
        return max(known, key=lambda each: each.height, default=None)

    # The state machine's surroundings

    def _tick(self) -> None:
        if self.machine is not None:
            self.machine.tick(self._now())
            self._pump()

    def _pump(self) -> None:
        machine = self.machine
        if self._pumping or self._ended or machine is None:
            return
        self._pumping = True
        try:
            while effects := machine.take_effects():
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._pumping = False
        if machine.outcome is not None:
            self._finish(machine.outcome)

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Note):
            (self.log.warn if effect.loud else self.log.info)("{text}", text=effect.text)
        elif isinstance(effect, Work):
            self._run(effect)
        elif self._network is not None:
            send_or_drop(self.log, self._network.peer(effect.peer), effect)

    def _run(self, work: Work) -> None:
        where = self._storage.in_chain_thread if work.storing else self._storage.in_reading_thread
        result: Deferred[Any] = where(work.run, self._backend)
        result.addBoth(self._worked, work)
        result.addErrback(self._finish)

    def _worked(self, outcome: Any, work: Work) -> None:
        if self._ended or self.machine is None:
            return
        value = outcome.value if isinstance(outcome, Failure) else outcome
        self.machine.worked(work, value, self._now())
        self._pump()

    # IPeerListener

    def peer_connected(self, peer: Peer) -> None:
        """A peer was admitted."""
        if self.machine is not None and not self._ended:
            private = self._genesis.network_info.allows_private_addresses
            self.machine.connected(known_as(peer, private=private), self._now())
            self._pump()

    def peer_lost(self, peer: Peer, reason: CloseReason) -> None:
        """A peer is gone."""
        if self.machine is not None and not self._ended:
            self.machine.lost(peer.node_id, self._now())
            self._pump()

    def message(self, peer: Peer, message: wire.Message) -> None:
        """A peer sent something."""
        if self.machine is not None and not self._ended:
            self.machine.message(peer.node_id, message, self._now())
            self._pump()
