"""Whether a peer with a sound hello may stay: masternode proof, discouragement, duplicates, slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timecoin.p2p.connections import Connections, Rival, newcomer_wins
from timecoin.p2p.discourage import Discouraged
from timecoin.p2p.handshake import Greeting
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import Code, Refused
from timecoin.primitives.signing import SignatureBackend

#: Returns the operator key (33 bytes) of a member of S(e) or S(e+1), None for anybody else.
MemberKey = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Slots:
    """How many connections there may be.

    ``max_inbound`` ordinary peers that dial us, ``max_per_group`` of them from one routable network group;
    proven members do not count against either. ``max_pending`` inbound connections may be in their handshake.
    """

    max_inbound: int = 117
    max_per_group: int = 16
    max_pending: int = 64


class Admission:
    """Judges greetings; closes the older connection when the newer one to the same node is to stay."""

    def __init__(
        self,
        my_id: bytes,
        backend: SignatureBackend,
        connections: Connections,
        discouraged: Discouraged,
        member_key: MemberKey,
        slots: Slots,
        silence_ms: int,
    ) -> None:
        """``silence_ms``: a connection without a message for this long does not stand in the way of a new
        one.
        """
        self._my_id = my_id
        self._backend = backend
        self._connections = connections
        self._discouraged = discouraged
        self._member_key = member_key
        self.slots = slots
        self._silence_ms = silence_ms

    def admit(self, peer: Peer, greeting: Greeting, now: int, pinned: bool) -> bytes | None:
        """Return the masternode id that the peer proved, or None.

        Raises:
            Refused: discouraged, duplicate or full.
        """
        masternode_id = self.proven(greeting)
        reserved = pinned or masternode_id is not None
        if not pinned and self._discouraged.refuses_key(greeting.node_id, now):
            raise Refused(Code.DISCOURAGED)
        if not reserved and self._discouraged.refuses_address(peer.address, now):
            raise Refused(Code.DISCOURAGED)
        old = self._connections.get(greeting.node_id)
        if old is not None:
            self._contest(old, peer, greeting, now)
        if peer.inbound and not reserved:
            self._check_slots(peer, old)
        if old is not None:
            old.close(Code.REPLACED)
        return masternode_id

    def proven(self, greeting: Greeting) -> bytes | None:
        """Return the masternode id of a greeting whose claim holds with the operator key known *now*.

        A claim that does not hold is no offence: one of the two may lag behind an update of the registry.
        """
        claim = greeting.hello.masternode
        if claim is None:
            return None
        key = self._member_key(claim.masternode_id)
        if key is None or not greeting.proves_masternode(self._backend, key):
            return None
        return claim.masternode_id

    def _contest(self, old: Peer, new: Peer, greeting: Greeting, now: int) -> None:
        assert old.greeting is not None
        restarted = old.greeting.hello.nonce != greeting.hello.nonce
        silent = not old.held and now - old.last_received > self._silence_ms
        # Who was restarted or has gone silent has left the old connection: it is no rival any more.
        if restarted or silent:
            return
        rivals = Rival(old.inbound, old.session), Rival(new.inbound, new.session)
        if newcomer_wins(self._my_id, new.node_id, *rivals):
            return
        # If the old connection is dead after all, this finds out sooner.
        old.ping()
        raise Refused(Code.DUPLICATE)

    def _check_slots(self, peer: Peer, replaced: Peer | None) -> None:
        used = [other for other in self._connections.inbound() if other is not replaced]
        if len(used) >= self.slots.max_inbound:
            raise Refused(Code.FULL)
        address = peer.address
        if address is None or address.group() == b"\x00":
            return
        if self._connections.in_group(address) >= self.slots.max_per_group:
            raise Refused(Code.FULL, "too many from your network")
