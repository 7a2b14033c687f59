"""Who is connected: peers by node id, pending ones, and which of two connections to one node stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from timecoin.p2p.netaddress import NetAddress
from timecoin.p2p.peer import Peer


class Rival(NamedTuple):
    """One of two connections to the same node: who dialled it, and its TLS session's exporter value."""

    inbound: bool
    session: bytes


def newcomer_wins(my_id: bytes, their_id: bytes, old: Rival, new: Rival) -> bool:
    """Tell which of two live connections between two nodes stays; both ends come to the same answer.

    Of two dials in opposite directions the lower node id's stays (protocol.md, section 8). Two in one
    direction are two addresses of one node, dialled at once: the lower exporter value stays, because the ends
    may have finished the handshakes in different orders.
    """
    if old.inbound == new.inbound:
        return new.session < old.session
    new_dialler = their_id if new.inbound else my_id
    return new_dialler == min(my_id, their_id)


class Connections:
    """All connections of a node: ``pending`` until their hello is accepted, then by node id."""

    def __init__(self) -> None:
        self._peers: dict[bytes, Peer] = {}
        # A dict for its order: the oldest first.
        self._pending: dict[Peer, None] = {}

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers.values()))

    def __len__(self) -> int:
        return len(self._peers)

    def get(self, node_id: bytes) -> Peer | None:
        """Return the connected peer with this node id."""
        return self._peers.get(node_id)

    @property
    def pending(self) -> tuple[Peer, ...]:
        """Connections whose hello has not been accepted yet, oldest first."""
        return tuple(self._pending)

    def begin(self, peer: Peer) -> None:
        """Take a new connection."""
        self._pending[peer] = None

    def establish(self, peer: Peer) -> None:
        """Take an admitted peer; the caller has closed any other of its node id."""
        self._pending.pop(peer, None)
        self._peers[peer.node_id] = peer

    def remove(self, peer: Peer) -> bool:
        """Forget a connection; return whether it was an established one."""
        self._pending.pop(peer, None)
        if self._peers.get(peer.node_id) is not peer:
            return False
        del self._peers[peer.node_id]
        return True

    def inbound(self) -> list[Peer]:
        """Return inbound peers without a reserved slot."""
        return [peer for peer in self._peers.values() if peer.inbound and peer.masternode_id is None]

    def in_group(self, address: NetAddress) -> int:
        """Count unreserved inbound peers of an address's network group."""
        group = address.group()
        return sum(1 for peer in self.inbound() if peer.address is not None and peer.address.group() == group)

    def has_masternode(self, masternode_id: bytes) -> bool:
        """Tell whether a peer has proven to be this masternode."""
        return any(peer.masternode_id == masternode_id for peer in self._peers.values())

    def crowding_out(self, limit: int) -> Peer | None:
        """Return the pending inbound connection to give up when there are ``limit`` or more: the oldest of
        the network group that has most, so that one sender of half-open connections only hurts itself.
        """
        waiting = [peer for peer in self._pending if peer.inbound]
        if len(waiting) < limit:
            return None
        groups = Counter(_group(peer) for peer in waiting)
        crowded = max(groups.values())
        return next(peer for peer in waiting if groups[_group(peer)] == crowded)


def _group(peer: Peer) -> bytes:
    return peer.address.group() if peer.address is not None else b""
