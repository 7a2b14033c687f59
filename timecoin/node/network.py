"""The operator's hand on connections (``rpc.face_network.Connections``), over the P2P service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from timecoin.node.peer_view import PeerView
from timecoin.p2p.bans import AlreadyBanned, BanError, parse_subject
from timecoin.p2p.dialer import Purpose, Target, parse_pinned
from timecoin.p2p.limits import RateClass
from timecoin.p2p.netaddress import AddressError, NetAddress, Network
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import Code
from timecoin.p2p.service import P2PService
from timecoin.rpc.face_network import (
    AddedNode,
    BanView,
    BookFigures,
    KnownAddress,
    NetworkRefused,
    PeerDetails,
    Reach,
    Totals,
)

NETWORKS = {Network.IPV4: "ipv4", Network.IPV6: "ipv6", Network.TORV3: "onion"}
"""Core's words for the networks of addresses."""
_UNROUTABLE = "not_publicly_routable"


class NodeNetwork:
    """Reads and steers the P2P service; everything on the reactor's thread, in memory but for the file of bans."""

    def __init__(
        self, p2p: P2PService, view: Callable[[Peer], PeerView | None], default_port: int, onion: bool
    ) -> None:
        """``view``: what gossip believes of a peer; ``default_port`` of nodes given without one; ``onion``: Tor is
        there to dial through."""
        self._p2p = p2p
        self._view = view
        self._port = default_port
        self._onion = onion
        self._added: dict[str, Target] = {}

    # Looking

    def peers(self) -> Sequence[PeerDetails]:
        """The connections, oldest first."""
        return [self._details(peer) for peer in sorted(self._p2p.peers, key=lambda peer: peer.number)]

    def _details(self, peer: Peer) -> PeerDetails:
        assert peer.greeting is not None
        hello, view, total = peer.greeting.hello, self._view(peer), peer.traffic.total()
        by_name = peer.traffic.by_name()
        return PeerDetails(
            number=peer.number,
            address=str(peer.address or ""),
            bound=str(peer.local_address or ""),
            network=network_of(peer.address),
            inbound=peer.inbound,
            purpose=self._purpose(peer),
            node_id=peer.node_id,
            masternode_id=peer.masternode_id,
            session=peer.session,
            connected_ms=peer.connected_at,
            last_send_ms=peer.last_sent,
            last_recv_ms=peer.last_received,
            last_transaction_ms=peer.last_of[RateClass.TRANSACTIONS],
            last_block_ms=peer.last_of[RateClass.BLOCKS],
            bytes_sent=total.bytes_out,
            bytes_received=total.bytes_in,
            messages_out={name: count.bytes_out for name, count in by_name.items() if count.bytes_out},
            messages_in={name: count.bytes_in for name, count in by_name.items() if count.bytes_in},
            ping_ms=peer.rtt_ms,
            least_ping_ms=peer.least_rtt_ms,
            ping_wait_ms=peer.ping_wait_ms,
            offset_ms=peer.clock_offset_ms,
            version=peer.greeting.version,
            user_agent=hello.user_agent,
            services=hello.services,
            starting_height=hello.height,
            height=max(hello.height, view.height - 1 if view is not None else 0),
            pinned=self._is_pinned(peer),
            addresses=self._p2p.exchange.counts(peer),
        )

    def _purpose(self, peer: Peer) -> str:
        target = self._p2p.target_of(peer)
        if peer.inbound or target is None:
            return "inbound"
        return "manual" if target.purpose is Purpose.PINNED else "outbound-full-relay"

    def _is_pinned(self, peer: Peer) -> bool:
        return any(target.node_id == peer.node_id for target in self._p2p.dialer.pinned)

    def totals(self) -> Totals:
        """What went over the wire since the start."""
        total = self._p2p.traffic.total()
        return Totals(total.bytes_in, total.bytes_out)

    def networks(self) -> Sequence[Reach]:
        """IPv4 and IPv6 are dialled as the machine can; onions only with Tor."""
        active = self._p2p.active
        return [Reach("ipv4", active), Reach("ipv6", active), Reach("onion", active and self._onion)]

    def addresses(self, count: int, network: str) -> Sequence[KnownAddress]:
        """Random addresses of the book."""
        book, now = self._p2p.book, int(self._p2p.clock.seconds())
        found = [
            KnownAddress(each.last_seen, each.services, each.address.host_text(), each.address.port, kind)
            for each in book.sample(len(book), now)
            if not network or NETWORKS.get(Network(each.address.network), "") == network
            for kind in (NETWORKS[Network(each.address.network)],)
        ]
        return found[:count] if count else found

    def book(self) -> Mapping[str, BookFigures]:
        """What the address book holds."""
        tally = self._p2p.book.tally()
        return {name: BookFigures(*tally.get(network, (0, 0))) for network, name in NETWORKS.items()}

    # Connections

    def ping(self) -> None:
        """Ask every peer for a sign of life."""
        for peer in self._p2p.peers:
            peer.ping()

    def _target(self, node: str) -> Target:
        where = node if node.rpartition(":")[2].isdigit() and not node.endswith("]") else f"{node}:{self._port}"
        try:
            return parse_pinned(where)
        except (AddressError, ValueError) as problem:
            raise NetworkRefused("invalid", str(problem)) from None

    def add(self, node: str) -> None:
        """Keep a connection to a node."""
        target = self._target(node)
        if node in self._texts():
            raise NetworkRefused("known", f"{node} is added already")
        self._added[node] = target
        self._p2p.dialer.pin(target)
        self._p2p.dialer.try_once(target)

    def remove(self, node: str) -> None:
        """Keep it no longer."""
        target = self._texts().get(node)
        if target is None:
            raise NetworkRefused("unknown", f"{node} was not added")
        self._added.pop(node, None)
        self._p2p.dialer.unpin(target)

    def try_once(self, node: str) -> None:
        """Dial a node now."""
        self._p2p.dialer.try_once(self._target(node))

    def _texts(self) -> dict[str, Target]:
        """The nodes that are always dialled, by how they were given."""
        given = set(self._added.values())
        pinned = {_text(target): target for target in self._p2p.dialer.pinned if target not in given}
        return pinned | self._added

    def added(self) -> Sequence[AddedNode]:
        """The nodes that are always dialled, with their connections."""
        return [AddedNode(text, self._connections_to(target)) for text, target in sorted(self._texts().items())]

    def _connections_to(self, target: Target) -> tuple[tuple[str, bool], ...]:
        where = target.address
        return tuple(
            (str(peer.address or ""), peer.inbound)
            for peer in self._p2p.peers
            if self._p2p.target_of(peer) == target
            or (target.node_id is not None and peer.node_id == target.node_id)
            or (where is not None and where in (peer.address, peer.listen))
        )

    def disconnect(self, *, address: str = "", number: int = -1) -> bool:
        """Close a connection."""
        for peer in self._p2p.peers:
            names = (str(peer.address or "-"), peer.node_id.hex())
            if (address and address.lower() in names) or peer.number == number:
                peer.close(Code.NOT_WANTED)
                return True
        return False

    # Bans

    def ban(self, subject: str, until: int) -> None:
        """Ban an address, subnet or node key."""
        try:
            self._p2p.ban(subject, until)
        except AlreadyBanned as problem:
            raise NetworkRefused("known", str(problem)) from None
        except BanError as problem:
            raise NetworkRefused("invalid", str(problem)) from None

    def unban(self, subject: str) -> None:
        """End a ban."""
        try:
            parse_subject(subject)
        except BanError as problem:
            raise NetworkRefused("invalid", str(problem)) from None
        try:
            self._p2p.unban(subject)
        except BanError as problem:
            raise NetworkRefused("unknown", str(problem)) from None

    def clear_bans(self) -> None:
        """End all bans."""
        self._p2p.unban(None)

    def bans(self) -> Sequence[BanView]:
        """The bans that hold."""
        return [BanView(*ban) for ban in self._p2p.bans.listed(self._p2p.wall_ms() // 1000)]

    def set_active(self, active: bool) -> None:
        """Switch networking off or on."""
        self._p2p.set_active(active)

    def is_active(self) -> bool:
        """Whether networking is on."""
        return self._p2p.active


def network_of(address: NetAddress | None) -> str:
    """Core's word for the network of an address."""
    if address is None or not (address.is_onion() or address._replace(port=1).is_routable()):
        return _UNROUTABLE
    return NETWORKS[Network(address.network)]


def _text(target: Target) -> str:
    where = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
    return f"{target.node_id.hex()}@{where}" if target.node_id else where
