"""A passive node of the network room's own making, which writes down all that it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from zope.interface import implementer

from tests.functional.support import HOST, Devnet, Node, until
from tests.functional.testimony import Testimony
from timecoin.ledger.genesis import Genesis
from timecoin.node.key_files import new_key
from timecoin.p2p.config import P2PConfig
from timecoin.p2p.handshake import Identity
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.messages import Message
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import CloseReason, Code
from timecoin.p2p.service import P2PService
from timecoin.primitives.signing import get_backend

reactor: Any = _reactor
BACKEND = get_backend()


def make_identity(genesis: Genesis, secret: bytes, **changes: Any) -> Identity:
    """The identity of a node of this network, with some values ``changed``."""
    values: dict[str, Any] = {
        "magic": int.from_bytes(genesis.network_info.magic, "big"),
        "chain_id": genesis.chain_id,
        "node_key": BACKEND.public_key(secret),
        "sign": lambda digest: BACKEND.sign_compact(secret, digest),
        "nonce": Random(secret).getrandbits(63),
        "user_agent": "/observer/",
    }
    return Identity(**(values | changes))


class _Service(P2PService):
    """Also notes the ends of connections that never stood."""

    endings: list[tuple[Code, bool]]

    def ended(self, peer: Peer, reason: CloseReason) -> None:
        self.endings.append((reason.code, reason.by_peer))
        super().ended(peer, reason)


@implementer(IPeerListener)
class Observer:
    """Dials ``nodes``, again and again, and says nothing.

    ``testimony`` is what it heard, ``endings`` why connections ended and whether the node said so.
    """

    def __init__(self, net: Devnet, nodes: Iterable[Node] | None = None, **changes: Any) -> None:
        self.testimony = Testimony(net.genesis)
        self.endings: list[tuple[Code, bool]] = []
        self.heard = 0
        pinned = tuple(f"{node.files.node_id}@{HOST}:{node.files.p2p_port}" for node in nodes or net.nodes)
        self.service = _Service(
            reactor,
            Random(5),
            make_identity(net.genesis, new_key(BACKEND), **changes),
            BACKEND,
            self,
            P2PConfig(pinned=pinned, allow_private=True),
        )
        self.service.endings = self.endings

    def start(self) -> None:
        """Begin to dial."""
        self.service.startService()

    def stop(self) -> Deferred[None] | None:
        """Leave."""
        return self.service.stopService() if self.service.running else None

    async def connected(self, count: int) -> None:
        """Wait until it is connected to so many nodes."""
        await until(lambda: len(self.service.peers) >= count, "the observer is connected")

    def peer_connected(self, peer: Peer) -> None:
        """A connection stands."""

    def peer_lost(self, peer: Peer, reason: CloseReason) -> None:
        """A connection has ended."""

    def message(self, peer: Peer, message: Message) -> None:
        """Write it down."""
        self.heard += 1
        self.testimony.hear(message)
