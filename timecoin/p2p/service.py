"""The node on the network: listens, dials, holds peers, and hands their messages to its listener."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent

from timecoin.p2p import addrfile, banfile
from timecoin.p2p.admission import Admission, MemberKey
from timecoin.p2p.bans import Ban, BanList
from timecoin.p2p.clocksync import ClockWatch, median_offset
from timecoin.p2p.config import Connector, P2PConfig, endpoint_for
from timecoin.p2p.connections import Connections
from timecoin.p2p.dialer import Dialer, MemberAddresses, Purpose, Target, parse_pinned, to_address
from timecoin.p2p.discourage import Discouraged
from timecoin.p2p.exchange import ASK_EVERY_MS, Exchange
from timecoin.p2p.handshake import Greeting, Identity
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.limits import scaled
from timecoin.p2p.messages import Addr, GetAddr, Message, encode_frame
from timecoin.p2p.netaddress import NetAddress, from_transport
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import VIOLATIONS, CloseReason, Code, Refused
from timecoin.p2p.seeds import SeedError, fetch_seeds
from timecoin.p2p.tls import NodeTLS
from timecoin.p2p.traffic import Traffic
from timecoin.primitives.signing import SignatureBackend

__all__ = ["P2PConfig", "P2PService"]

#: How often clock, address book and bootstrap are looked after, in seconds.
CARE_INTERVAL = 60.0
#: How long a dial through Tor may take, in seconds; a direct one has as long as the hello.
ONION_DIAL_TIMEOUT = 45.0
_ROUNDS_TO_ASK = ASK_EVERY_MS // 60_000
#: Ends of a connection that say nothing against dialling the same address again.
_BLAMELESS = frozenset({Code.DUPLICATE, Code.REPLACED, Code.SHUTTING_DOWN})


class _Gate(Factory):
    """Turns away at once, before TLS, whoever ``refuses`` says; hands all others on."""

    noisy = False

    def __init__(self, inner: IProtocolFactory, refuses: Callable[[IAddress | None], bool]) -> None:
        self._inner = inner
        self._refuses = refuses

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        return None if self._refuses(addr) else self._inner.buildProtocol(addr)  # type: ignore[arg-type]


class _PeerFactory(Factory):
    """Builds peers for accepted connections, or the one peer of a dial."""

    noisy = False

    def __init__(self, make: Callable[[IAddress | None], Peer]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Peer:
        return self._make(addr)


class P2PService(Service):
    """Everything that happens between this node and others. Implements `PeerOwner` for its peers.

    ``listening`` fires with the ports once all endpoints listen (or fails with the first error); a new one
    with each start.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        random: Random,
        identity: Identity,
        backend: SignatureBackend,
        listener: object,
        config: P2PConfig,
        *,
        member_key: MemberKey = lambda masternode_id: None,
        member_addresses: MemberAddresses = tuple,
        height: Callable[[], int] = lambda: 0,
        tls: NodeTLS | None = None,
        connector: Connector | None = None,
        agent: IAgent | None = None,
        wall: Callable[[], float] | None = None,
    ) -> None:
        """``listener`` provides `IPeerListener`; ``member_key`` maps masternode id to operator key for
        members of S(e) and S(e+1); ``member_addresses`` lists (masternode id, address) of masternodes to be
        connected with; ``agent`` fetches seed lists; ``wall`` is the system clock in Unix seconds, if that is not
        the reactor's.
        """
        self.clock = reactor
        self._wall = wall or reactor.seconds
        self.random = random
        self.identity = identity
        self.backend = backend
        self.settings = config.peers
        self.traffic = Traffic()
        self.connections = Connections()
        self.discouraged = Discouraged()
        self.bans = BanList()
        self.active = True
        self.clock_watch = ClockWatch()
        self.ports: list[IListeningPort] = []
        self.listening: Deferred[list[IListeningPort]] = Deferred()
        self._listener = IPeerListener(listener)
        self._config = config
        self._height = height
        self._tls = tls
        self._agent = agent
        self._connector = connector or (lambda host, port: endpoint_for(reactor, host, port))
        self._member_addresses = member_addresses
        self._admission = Admission(
            identity.node_key,
            backend,
            self.connections,
            self.discouraged,
            member_key,
            config.slots,
            silence_ms=config.peers.ping_interval * 3 // 2,
        )
        self._targets: dict[Peer, Target] = {}
        self._open: dict[Peer, None] = {}
        self._begun = 0
        self._connecting: dict[Deferred[Any], None] = {}
        self._care = LoopingCall(self._look_after)
        self._care.clock = reactor
        self._rounds = 0
        self._pinned = tuple(parse_pinned(text) for text in config.pinned)

    # Life cycle

    def startService(self) -> None:
        """Load the address book and the bans, listen and begin to dial; ``BanFileUnreadable``."""
        super().startService()  # type: ignore[no-untyped-call]
        self._open_book()
        self.listening = Deferred.fromCoroutine(self._listen())
        self.dialer.start()
        self._rounds = 0
        self._care.start(CARE_INTERVAL)

    def _open_book(self) -> None:
        config, now = self._config, int(self.clock.seconds())
        self.bans = banfile.load(config.ban_file)
        anchors: list[NetAddress] = []
        if config.address_file is None:
            self.book = addrfile.fresh(self.random, config.allow_private)
        else:
            self.book, anchors, problem = addrfile.load(
                config.address_file, self.random, config.allow_private, now
            )
            if problem is not None:
                self.log.warn("address book not used: {problem}", problem=problem)
        for seed in config.seeds:
            self.book.add(seed, seed, 0, now, now)
        self.exchange = Exchange(self.book, self.connections, self.random)
        self.dialer = Dialer(
            self.clock,
            self.random,
            self.book,
            self.connections,
            self.discouraged,
            self._dial,
            pinned=self._pinned,
            anchors=anchors,
            members=self._member_addresses,
            policy=config.dialling,
            forbidden=self._forbids,
        )
        if self.identity.listen is not None:
            self.dialer.is_ourselves(to_address(self.identity.listen, Purpose.ORDINARY))

    async def _listen(self) -> list[IListeningPort]:
        factory = self.accept_factory()
        for description in self._config.listen:
            port = await serverFromString(self.clock, description).listen(factory)
            self.ports.append(port)
            self.log.info("listening on {host}", host=port.getHost())
        return self.ports

    def stopService(self) -> Deferred[None]:
        """Stop dialling and listening and close every connection; fires when the last one is gone."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.dialer.stop()
        if self._care.running:
            self._care.stop()
        for attempt in tuple(self._connecting):
            attempt.cancel()
        ports, self.ports = self.ports, []
        await gatherResults([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)
        self._save_book()
        gone = [_when_closed(peer) for peer in self._open]
        for peer in tuple(self._open):
            peer.close(Code.SHUTTING_DOWN)
        await gatherResults(gone)

    @property
    def tls(self) -> NodeTLS:
        """The TLS side of this run, made when first needed (so after a daemon's fork)."""
        if self._tls is None:
            self._tls = NodeTLS()
        return self._tls

    def accept_factory(self) -> IProtocolFactory:
        """Return what builds the server side of connections, TLS included; the endpoints listen with it."""
        return _Gate(self.tls.wrap(_PeerFactory(self._accept), False, self.clock), self._turns_away)

    # What the node uses

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All connected peers."""
        return tuple(self.connections)

    def peer(self, node_id: bytes) -> Peer | None:
        """Return the connected peer with this node id."""
        return self.connections.get(node_id)

    def broadcast(self, message: Message | bytes, except_: Collection[Peer] = ()) -> int:
        """Send a message, or a frame of `encode_frame`, to all peers but some; return how many took it.

        It is encoded once.
        """
        frame = message if isinstance(message, bytes) else encode_frame(message)
        return sum(peer.send(frame) for peer in self.connections if peer not in except_)

    def refresh_members(self) -> None:
        """Judge the peers' masternode claims anew; to be called whenever S(e) or S(e+1) has changed."""
        for peer in self.connections:
            assert peer.greeting is not None
            proven = self._admission.proven(peer.greeting)
            if proven != peer.masternode_id:
                peer.promote(proven)

    @property
    def clock_offset_ms(self) -> int | None:
        """Median of outbound peers' and masternodes' clocks minus ours; None with fewer than three of them."""
        counted = (peer for peer in self.connections if not peer.inbound or peer.masternode_id is not None)
        return median_offset(peer.clock_offset_ms for peer in counted)

    # Settings that may change while it runs; connections that there are stay

    def set_max_inbound(self, count: int) -> None:
        """Accept so many ordinary peers at a time."""
        self._config = replace(self._config, slots=replace(self._config.slots, max_inbound=count))
        self._admission.slots = self._config.slots

    def set_max_outbound(self, count: int) -> None:
        """Hold so many connections to ordinary peers."""
        self._config = replace(self._config, dialling=replace(self._config.dialling, outbound=count))
        if self.running:
            self.dialer.policy = self._config.dialling

    def set_rate_percent(self, percent: int) -> None:
        """Let each peer send so many percent of the usual budgets before it is slowed."""
        usual = self._config.peers
        self.settings = replace(
            self.settings,
            public_budgets=scaled(usual.public_budgets, percent),
            member_budgets=scaled(usual.member_budgets, percent),
        )
        for peer in self.connections:
            peer.refresh_budgets()

    # What the operator forbids

    def set_active(self, active: bool) -> None:
        """Switch all of networking off, which closes every connection, or on again."""
        self.active = active
        if active:
            return
        for attempt in tuple(self._connecting):
            attempt.cancel()
        for peer in tuple(self._open):
            peer.close(Code.NOT_WANTED)

    def ban(self, subject: str, until: int) -> Ban:
        """Ban an address, a subnet or a node key until a Unix time; closes what falls under it.

        ``BanError``; ``OSError`` when the ban cannot be kept across a restart: it holds until then.
        """
        ban = self.bans.add(subject, self.wall_ms() // 1000, until)
        for peer in tuple(self._open):
            if self.is_banned(peer.address, peer.node_id):
                peer.close(Code.BANNED)
        self._save_bans()
        return ban

    def unban(self, subject: str | None) -> None:
        """End a ban, or all (None); ``BanError`` when there is none of just this subject, ``OSError`` as `ban`."""
        if subject is None:
            self.bans.clear()
        else:
            self.bans.remove(subject, self.wall_ms() // 1000)
        self._save_bans()

    def _save_bans(self) -> None:
        banfile.save(self._config.ban_file, self.bans.listed(self.wall_ms() // 1000))

    def is_banned(self, address: NetAddress | None, node_id: bytes | None) -> bool:
        """Tell whether the operator banned this address, or a network it is in, or this node key."""
        now = self.wall_ms() // 1000
        return self.bans.holds_address(address, now) or (bool(node_id) and self.bans.holds_key(node_id or b"", now))

    def _forbids(self, target: Target) -> bool:
        return not self.active or self.is_banned(target.address, target.node_id)

    def _turns_away(self, address: IAddress | None) -> bool:
        return not self.active or self.is_banned(from_transport(address), None)

    def target_of(self, peer: Peer) -> Target | None:
        """What a connection was dialled as; None of an inbound one."""
        return self._targets.get(peer)

    # Connections in and out

    def _accept(self, address: IAddress | None) -> Peer:
        crowd = self.connections.crowding_out(self._config.slots.max_pending)
        if crowd is not None:
            crowd.close(Code.FULL)
        return self._begin(Peer(self, inbound=True, address=from_transport(address)))

    def _begin(self, peer: Peer) -> Peer:
        self.connections.begin(peer)
        self._open[peer] = None
        peer.number, self._begun = self._begun, self._begun + 1
        peer.closed.addCallback(self._gone, peer)
        return peer

    def _gone(self, reason: CloseReason, peer: Peer) -> CloseReason:
        del self._open[peer]
        return reason

    def _dial(self, target: Target) -> None:
        def make(address: IAddress | None) -> Peer:
            where = target.address or from_transport(address)
            peer = Peer(self, inbound=False, address=where, expected=target.node_id)
            self._targets[peer] = target
            return self._begin(peer)

        factory = self.tls.wrap(_PeerFactory(make), True, self.clock)
        attempt: Deferred[Any] = self._connector(target.host, target.port).connect(factory)
        self._connecting[attempt] = None
        onion = target.host.endswith(".onion")
        attempt.addTimeout(ONION_DIAL_TIMEOUT if onion else self.settings.hello_timeout / 1000, self.clock)
        attempt.addErrback(self._dial_failed, target)
        attempt.addBoth(lambda _: self._connecting.pop(attempt, None))

    def _dial_failed(self, failure: Failure, target: Target) -> None:
        self.log.debug("{target} did not answer: {why}", target=target, why=failure.getErrorMessage())
        self.dialer.ended(target, 0)

    # PeerOwner

    def height(self) -> int:
        """Return our height, for the hello."""
        return self._height()

    def admit(self, peer: Peer, greeting: Greeting) -> bytes | None:
        """Return the masternode id that the peer proved; raise `Refused` to turn it away."""
        if not self.active:
            raise Refused(Code.NOT_WANTED)
        if self.is_banned(peer.address, greeting.node_id):
            raise Refused(Code.BANNED)
        target = self._targets.get(peer)
        pinned = target is not None and target.purpose is Purpose.PINNED
        pinned = pinned or any(known.node_id == greeting.node_id for known in self.dialer.pinned)
        return self._admission.admit(peer, greeting, self._now(), pinned)

    def established(self, peer: Peer) -> None:
        """Take an admitted peer."""
        self.connections.establish(peer)
        target = self._targets.get(peer)
        if target is not None:
            self.dialer.identified(target, peer.node_id)
            self.dialer.succeeded(target)
        self.log.info("connected: {peer}", peer=peer)
        self._tell(peer, self._listener.peer_connected, peer)
        self.exchange.connected(peer, self._now())

    def received(self, peer: Peer, message: Message) -> None:
        """Take a message of an established peer."""
        if isinstance(message, GetAddr):
            self.exchange.asked(peer, self._now())
        elif isinstance(message, Addr):
            self.exchange.told(peer, message, self._now())
        else:
            self._tell(peer, self._listener.message, peer, message)

    def ended(self, peer: Peer, reason: CloseReason) -> None:
        """Forget a peer that closes."""
        was_connected = self.connections.remove(peer)
        now = self._now()
        if reason.code in VIOLATIONS and not reason.by_peer:
            self.discouraged.add(peer.address, peer.node_id, peer.masternode_id is not None, now)
            self.log.warn("discouraged: {peer}: {reason}", peer=peer, reason=reason)
        target = self._targets.pop(peer, None)
        if target is not None:
            self._dial_ended(target, peer, reason, now - peer.connected_at if was_connected else 0)
        self.exchange.lost(peer)
        if was_connected:
            self.log.info("lost: {peer}: {reason}", peer=peer, reason=reason)
            self._tell(peer, self._listener.peer_lost, peer, reason)

    def _dial_ended(self, target: Target, peer: Peer, reason: CloseReason, lasted: int) -> None:
        if peer.node_id:
            self.dialer.identified(target, peer.node_id)
        if reason.code is Code.SELF and not reason.by_peer:
            self.dialer.is_ourselves(target)
        self.dialer.ended(target, lasted, blameless=reason.code in _BLAMELESS)

    def _tell(self, peer: Peer, call: Callable[..., None], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception:
            self.log.failure("the listener failed on {peer}", peer=peer)
            peer.close(Code.FAULT)

    # Care

    def _look_after(self) -> None:
        offset = self.clock_offset_ms
        if self.clock_watch.update(offset):
            text = "clock is off by {offset} ms" if self.clock_watch.wrong else "clock is right again"
            self.log.warn(text, offset=offset)
        if self._rounds and not self._rounds % _ROUNDS_TO_ASK:
            self.exchange.ask_all()
            self._save_book()
        if self._config.seed_urls and self._agent is not None and not self.connections and not len(self.book):
            Deferred.fromCoroutine(self._bootstrap(self._agent))
        self._rounds += 1

    async def _bootstrap(self, agent: IAgent) -> None:
        for url in self._config.seed_urls:
            try:
                found = await fetch_seeds(self.clock, agent, url)
            except SeedError as error:
                self.log.warn("seed list: {error}", error=error)
                continue
            self._learn(found)

    def _learn(self, addresses: Iterable[NetAddress]) -> None:
        now = int(self.clock.seconds())
        for address in addresses:
            self.book.add(address, address, 0, now, now)

    def _save_book(self) -> None:
        path = self._config.address_file
        if path is None:
            return
        anchors = [
            peer.address
            for peer in sorted(self.connections, key=lambda peer: peer.connected_at)
            if not peer.inbound and peer.address is not None and peer.masternode_id is None
        ]
        try:
            addrfile.save(path, self.book, anchors)
        except OSError as error:
            self.log.warn("address book not saved: {error}", error=error)

    def wall_ms(self) -> int:
        """The system clock, right or wrong, in milliseconds since the Unix epoch."""
        return int(self._wall() * 1000)

    def _now(self) -> int:
        return int(self.clock.seconds() * 1000)


def _when_closed(peer: Peer) -> Deferred[None]:
    # A Deferred of our own: the peer's belongs to whoever added callbacks to it.
    done: Deferred[None] = Deferred()

    def fire(result: object) -> object:
        done.callback(None)
        return result

    peer.closed.addBoth(fire)
    return done
