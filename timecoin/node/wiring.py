"""The node, wired: which services there are, in which order they start, and who is given whom. Nothing else is
decided here."""

from __future__ import annotations

import gc
import random
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.web.client import Agent

import timecoin
from timecoin.consensus.identity import OperatorIdentity
from timecoin.ledger.genesis import Genesis, GenesisError
from timecoin.node import halt_proof, settings_bindings
from timecoin.node.address_service import AddressService
from timecoin.node.chain_sync import ChainSync
from timecoin.node.coin_scans import CoinScans
from timecoin.node.config import Config, ConfigError
from timecoin.node.consensus_service import ConsensusService
from timecoin.node.event_pages import EventPages
from timecoin.node.event_service import EventService
from timecoin.node.exit_status import ExitStatus
from timecoin.node.facade import USER_AGENT, Facade
from timecoin.node.feed import Feed
from timecoin.node.gauges import add_gauges, add_push_figures
from timecoin.node.insight import NodeInsight
from timecoin.node.intake import Intake
from timecoin.node.joining import Joining, JoinSettings
from timecoin.node.keys import node_secret, read_secret
from timecoin.node.membership import Membership
from timecoin.node.network import NodeNetwork
from timecoin.node.p2p_settings import p2p_config
from timecoin.node.proofs import ProofSource
from timecoin.node.readiness import Readiness
from timecoin.node.reports import Reports
from timecoin.node.returning import Returning
from timecoin.node.root import Child, RootService, StartRefused, Step
from timecoin.node.rpc_options import rpc_options
from timecoin.node.settings import Settings
from timecoin.node.settings_file import SETTINGS_FILE, read_kept, write_kept
from timecoin.node.settings_table import declared
from timecoin.node.snapshot_serving import SnapshotServing
from timecoin.node.storage_service import StorageService
from timecoin.node.wallet_chain import NodeChain
from timecoin.node.wallet_service import WalletService
from timecoin.node.warm_up import WarmingUp
from timecoin.ops.logs import Levels
from timecoin.ops.metrics import MetricsService, NodeMetrics
from timecoin.ops.ticks import ReactorTickMonitor
from timecoin.p2p.banfile import BanFileUnreadable
from timecoin.p2p.handshake import Identity, Masternode
from timecoin.p2p.netaddress import NetAddress, parse_address
from timecoin.p2p.service import P2PService
from timecoin.primitives.hashes import display
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.push.hub import Hub
from timecoin.push.hub import Limits as PushLimits
from timecoin.push.service import PushService
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.face_settings import SettingError
from timecoin.rpc.service import RpcService

MAX_POOL_BYTES = 256 << 20
SWITCH_INTERVAL = 0.0005
"""Threads that crunch Python give the reactor its turn after this many seconds (Python's default is ten times that)."""
GC_THRESHOLDS = (50_000, 20, 100)
"""Almost nothing here forms cycles; Python's defaults walk the whole pool every few seconds, some 50 ms each time."""
READY_FILE = "ready"
EVENTS_NAME = "events"


def tune_interpreter() -> None:
    """Short turns for threads, and few whole collections of garbage (docs/decisions/interpreter.rst)."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


class Later(Service):
    """A service that can only be made once those before it run."""

    def __init__(self, make: Callable[[], Child]) -> None:
        self._make = make
        self._inner: Child | None = None

    def startService(self) -> Deferred[None] | None:
        """Make it and start it."""
        super().startService()
        self._inner = self._make()
        return self._inner.startService()

    def stopService(self) -> Deferred[None] | None:
        """Stop it."""
        super().stopService()
        return None if self._inner is None else self._inner.stopService()


class _Listening(Service):
    """The P2P service, started only once it listens."""

    def __init__(self, inner: P2PService) -> None:
        self._inner = inner

    def startService(self) -> Deferred[None]:
        """Start and wait for the ports."""
        super().startService()
        try:
            self._inner.startService()
        except BanFileUnreadable as problem:
            raise StartRefused(f"{problem}: mend it, or delete it and nobody is banned") from None
        return self._inner.listening.addCallback(lambda _: None)

    def stopService(self) -> Deferred[None]:
        """Close every connection."""
        super().stopService()
        return self._inner.stopService()


def _greeting(config: Config, genesis: Genesis) -> str:
    """What a log must begin with to be of use to somebody else."""
    network = f"network {genesis.network}, genesis {display(genesis.chain_id)}"
    return f"timecoin {timecoin.__version__} starts: {network}, {config.source}, data directory {config.data_dir}"


class Node:
    """The parts of one node. Made by :func:`build`; the later ones are made when the earlier ones run."""

    def __init__(
        self, config: Config, genesis: Genesis, reactor: Any, wall: Callable[[], float], levels: Levels | None = None
    ) -> None:
        self._config = config
        self._wall = wall
        self._genesis = genesis
        self._reactor = reactor
        self._backend: SignatureBackend = get_backend(config.signing.backend)
        self.metrics = NodeMetrics()
        self.ticks = ReactorTickMonitor(reactor, observe=self.metrics.reactor_lateness.observe)
        self.feed = Feed()
        self.reports = Reports(reactor, self.metrics, self.feed)
        self.storage = StorageService(
            reactor,
            genesis,
            config.data_dir,
            *self._storage_uris(),
            merge_keys=config.storage.merge_keys,
            pack_hours=config.storage.pack_hours,
            snapshots=config.storage.snapshots,
        )
        self.settings = self._make_settings()
        self._levels = levels
        if levels is not None:
            settings_bindings.bind_levels(self.settings, levels)
        settings_bindings.bind_storage(self.settings, self.storage)
        self.root = RootService(
            reactor,
            [
                Step("storage", self.storage, 60.0),
                Step("joining", Later(self._make_joining)),
                *([Step("events", Later(self._make_events))] if self._pushes else []),
                Step("consensus", Later(self._make_consensus)),
                Step("p2p", Later(self._make_p2p)),
                Step("wallets", Later(self._make_wallets), 30.0),
                *([Step("addresses", Later(self._make_addresses), 30.0)] if config.storage.address_index else []),
                Step("rpc", Later(self._make_rpc)),
                *([Step("push", Later(self._make_push))] if self._pushes else []),
                Step("metrics", MetricsService(reactor, self.metrics, config.metrics_endpoints)),
                *([Step("manhole", Later(self._make_manhole))] if config.manhole_endpoints else []),
                Step("ticks", self.ticks),
            ],
            Readiness(config.data_dir / READY_FILE),
            exit_status=ExitStatus(),
            greeting=_greeting(config, genesis),
        )
        self.joining: Joining
        self.events: EventService | None = None
        self.addresses: AddressService | None = None
        self.consensus: ConsensusService
        self.sync: ChainSync
        self.intake: Intake
        self.returning: Returning
        self.membership: Membership
        self.p2p: P2PService
        self.facade: Facade
        self.wallets: WalletService | None = None
        self.rpc: RpcService

    def _storage_uris(self) -> tuple[str, str]:
        directory, given = self._config.data_dir, self._config.storage
        return (
            given.blocks or f"file://{directory / 'blocks.fs'}",
            given.coins or f"file://{directory / 'coins.fs'}",
        )

    def _make_settings(self) -> Settings:
        path = self._config.data_dir / SETTINGS_FILE
        try:
            return Settings(
                declared(self._config, MAX_POOL_BYTES),
                read_kept(path),
                lambda kept: self.storage.in_reading_thread(write_kept, path, kept),
                lambda: int(self._wall() * 1000),
            )
        except SettingError as problem:
            raise ConfigError(str(path), str(problem).removeprefix(f"{path}: ")) from None

    # Joining

    def _make_joining(self) -> Joining:
        given = self._config.sync
        settings = JoinSettings(given.mode, given.ahead_epochs, given.trusted)
        around = [self._make_warm_up] if self._config.rpc_endpoints else []
        self.joining = Joining(
            self._reactor,
            self._genesis,
            self.storage,
            self._backend,
            settings,
            self._join_network,
            around,
            knows_anybody=self._knows_anybody(),
        )
        return self.joining

    def _knows_anybody(self) -> bool:
        identity = self._operator_identity()
        members = Membership(lambda: self.storage.ledger, None if identity is None else identity.operator_key)
        settings = p2p_config(self._config, self._genesis)
        file = settings.address_file
        return bool(
            settings.pinned or settings.seed_urls or (file is not None and file.exists()) or any(members.addresses())
        )

    def _join_network(self, joining: Joining) -> P2PService:
        """Connections that only this node dials, as long as it has nothing to give."""
        membership = Membership(lambda: self.storage.ledger, None)
        return P2PService(
            self._reactor,
            random.SystemRandom(),
            self._node_identity(),
            self._backend,
            joining,
            replace(p2p_config(self._config, self._genesis), listen=()),
            member_key=membership.operator_key,
            member_addresses=membership.addresses,
            agent=Agent(self._reactor),
        )

    def _make_warm_up(self, joining: Joining) -> RpcService:
        node = WarmingUp(
            self._genesis,
            lambda: joining.state,
            lambda: int(self._wall() * 1000),
            self._reactor.stop,
        )
        return self._rpc_service(cast(NodeFacade, node))

    # Events

    @property
    def _pushes(self) -> bool:
        return self._config.push.enabled and bool(self._config.rpc_endpoints)

    def _make_events(self) -> EventService:
        self.events = EventService(
            self._reactor,
            self._config.data_dir / EVENTS_NAME,
            self.feed,
            self.storage,
            lambda: int(self._wall() * 1000),
            max_bytes=self._config.push.log_bytes,
            max_events=self._config.push.log_events,
        )
        return self.events

    def _make_push(self) -> PushService:
        given, events = self._config.push, self.events
        assert events is not None
        limits = PushLimits(given.max_clients, buffer=given.buffer)
        hub = Hub(self._reactor, events, self._genesis.network_info.hrp, limits)
        self.facade.pages = EventPages(self.reports, events)
        add_push_figures(self.metrics, hub, events)
        settings_bindings.bind_push(self.settings, hub)
        return PushService(self._reactor, hub, self.rpc.factory, given.origins)

    # Consensus

    def _make_consensus(self) -> ConsensusService:
        tune_interpreter()
        self.reports.begin()
        identity = self._operator_identity()
        self.consensus = ConsensusService(
            self._reactor,
            self._genesis.parameters,
            self.storage,
            self._backend,
            identity,
            self.reports,
            self.root.abort,
            max_pool_bytes=MAX_POOL_BYTES,
            wall=self._wall,
            keep_proof=lambda reason, proofs: halt_proof.keep(self._config.data_dir, proofs),
        )
        self.consensus.retells = lambda: self.events is not None and self.events.retell
        self.consensus.build()
        settings_bindings.bind_consensus(self.settings, self.consensus)
        own_key = None if identity is None else identity.operator_key
        self.membership = Membership(lambda: self.consensus.participant.ledger, own_key)
        self.sync = ChainSync(self.consensus, self.storage, self._backend)
        self.intake = Intake(self.consensus, self.consensus.gossip, self.consensus.shelf, self.sync)
        self.intake.add_handlers(SnapshotServing(self.storage).handlers)
        self.consensus.offer = lambda tx: self.intake.offer(tx, None)
        self.consensus.bad_block = self.sync.bad_block
        self.intake.guard = self.returning = self._make_returning()
        self.consensus.ticked = self._ticked
        self.sync.checkpoint, self.sync.wrong_chain = self.joining.checkpoint, self.root.abort
        self.sync.path = self.joining.path
        self.consensus.height_opened = self._height_opened
        self.consensus.epoch_opened = self._epoch_opened
        return self.consensus

    def _make_returning(self) -> Returning:
        return Returning(
            self.consensus,
            self.storage,
            self.sync,
            self._backend,
            self._config.sync.trusted,
            self.joining.newest_trusted,
            self.root.abort,
            private=self._genesis.network_info.allows_private_addresses,
        )

    def _ticked(self) -> None:
        self.sync.tick()
        self.returning.tick()

    def _operator_identity(self) -> OperatorIdentity | None:
        masternode = self._config.masternode
        if not masternode.enabled or masternode.operator_key_file is None:
            return None
        return OperatorIdentity(read_secret(masternode.operator_key_file, self._backend), self._backend)

    def _height_opened(self) -> None:
        self.intake.height_opened()
        self.sync.work()

    def _epoch_opened(self) -> None:
        if hasattr(self, "p2p"):
            self.p2p.refresh_members()
            self._claim_masternode()

    # Peers

    def _make_p2p(self) -> _Listening:
        self.p2p = P2PService(
            self._reactor,
            random.SystemRandom(),
            self._node_identity(),
            self._backend,
            self.intake,
            p2p_config(self._config, self._genesis),
            member_key=self.membership.operator_key,
            member_addresses=self.membership.addresses,
            height=lambda: self.consensus.participant.ledger.height,
            agent=Agent(self._reactor),
            wall=self._wall,
        )
        self.consensus.clock_offset_ms = lambda: self.p2p.clock_offset_ms
        settings_bindings.bind_p2p(self.settings, self.p2p)
        self._claim_masternode()
        return _Listening(self.p2p)

    def _node_identity(self) -> Identity:
        secret = node_secret(self._config.data_dir, self._backend)
        advertised = self._config.p2p.advertise
        listen: NetAddress | None = None if advertised is None else parse_address(str(advertised))
        return Identity(
            magic=int.from_bytes(self._genesis.network_info.magic, "big"),
            chain_id=self._genesis.chain_id,
            node_key=self._backend.public_key(secret),
            sign=lambda digest: self._backend.sign_compact(secret, digest),
            nonce=secrets.randbits(63),
            listen=listen,
            user_agent=USER_AGENT,
        )

    def _claim_masternode(self) -> None:
        """Say in the hellos of new connections which masternode this is, from its registration on."""
        masternode_id, identity = self.membership.own_id(), self._operator_identity()
        if masternode_id is not None and identity is not None:
            claim = Masternode(masternode_id, identity.sign)
            self.p2p.identity = replace(self.p2p.identity, masternode=claim)

    # RPC

    def _make_wallets(self) -> Child:
        self._make_facade()
        if not self._config.wallet.enabled:
            return Service()
        chain = NodeChain(self._genesis, self.facade, self.storage, lambda: self.sync.syncing)
        wallet = self._config.wallet
        self.wallets = WalletService(
            self._reactor,
            chain,
            self.feed,
            self._config.wallet_dir,
            self._backend,
            load=wallet.load,
            gap_limit=wallet.gap_limit,
            payments_ahead=wallet.payments_ahead,
        )
        settings_bindings.bind_wallets(self.settings, self.wallets)
        return self.wallets

    def _make_facade(self) -> None:
        self.facade = Facade(
            reactor=self._reactor,
            genesis=self._genesis,
            storage=self.storage,
            consensus=self.consensus,
            sync=self.sync,
            returning=lambda: self.returning.state,
            p2p=self.p2p,
            reports=self.reports,
            ticks=self.ticks,
            stop=self._reactor.stop,
        )

    def _make_addresses(self) -> AddressService:
        self.addresses = AddressService(
            self._reactor,
            self._config.data_dir,
            self._genesis.chain_id,
            self.storage,
            self.feed,
            lambda: self.consensus.participant,
        )
        return self.addresses

    def _make_rpc(self) -> RpcService:
        add_gauges(self.metrics, self.storage, self.consensus, self.sync, self.p2p)
        service = self._rpc_service(self.facade)
        service.context.wallets = self.wallets
        service.context.insight = NodeInsight(self.consensus, self.storage)
        service.context.operator = self._operator_identity()
        service.context.addresses = self.addresses
        service.context.network = NodeNetwork(
            self.p2p, self.consensus.gossip.view, self._genesis.network_info.p2p_port, self._config.p2p.onion
        )
        service.context.scans = CoinScans(self.storage)
        service.context.proofs = ProofSource(self.consensus, self.storage)
        settings_bindings.bind_rpc(self.settings, service)
        self.rpc = service
        return service

    def _make_manhole(self) -> Child:
        # Most nodes have none, and SSH takes a tenth of a second to import.
        from timecoin.node.manhole import make_manhole

        insight = NodeInsight(self.consensus, self.storage)
        wallets = self.rpc.context.wallets
        service = make_manhole(self._config, self._reactor, self.facade, self.settings, insight, wallets)
        settings_bindings.bind_manhole(self.settings, service)
        return service

    def _rpc_service(self, node: NodeFacade) -> RpcService:
        config = self._config
        options = rpc_options(config.rpc)
        service = RpcService(self._reactor, node, config.rpc_endpoints, config.cookie_path, *options)
        if self._levels is not None:
            service.context.log_path = self._levels.file_path
        return service


def build(
    config: Config, reactor: Any, wall: Callable[[], float] | None = None, levels: Levels | None = None
) -> RootService:
    """The node of a configuration; raises ``ConfigError`` when the genesis file or kept settings do not fit it.

    ``wall`` is the system clock in Unix seconds, if that is not the reactor's; ``levels`` are those of the log, if it
    is ours.
    """
    genesis = _load_genesis(config, config.genesis_path)
    return Node(config, genesis, reactor, wall or reactor.seconds, levels).root


def _load_genesis(config: Config, path: Path) -> Genesis:
    try:
        genesis = Genesis.load(path.read_bytes())
    except (OSError, GenesisError) as problem:
        raise ConfigError(config.source, f"= {path}: {problem}", "node", "genesis") from None
    if genesis.network != config.node.network:
        reason = f"= {config.node.network}: the genesis file {path} is for {genesis.network}"
        raise ConfigError(config.source, reason, "node", "network")
    return genesis
