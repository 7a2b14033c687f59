"""Owners, identities and joined peers for the tests of this room."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from tests.p2p.wire import Wire, settle
from timecoin.p2p.handshake import Greeting, Identity, Masternode
from timecoin.p2p.interfaces import IPeerListener
from timecoin.p2p.messages import Message
from timecoin.p2p.netaddress import parse_address
from timecoin.p2p.owner import PeerSettings
from timecoin.p2p.peer import Peer
from timecoin.p2p.reasons import CloseReason, Refused
from timecoin.p2p.tls import NodeTLS
from timecoin.p2p.traffic import Traffic
from timecoin.primitives.hashes import sha256
from timecoin.primitives.signing import get_backend

BACKEND = get_backend()
TLS = NodeTLS()
CHAIN = b"\x11" * 32


def secret(name: str) -> bytes:
    return sha256(name.encode())


def signer(name: str) -> Any:
    return lambda digest: BACKEND.sign_compact(secret(name), digest)


def key(name: str) -> bytes:
    return BACKEND.public_key(secret(name))


def masternode(name: str) -> Masternode:
    return Masternode(sha256(b"masternode " + name.encode()), signer(name + "/operator"))


def identity(name: str, **changes: Any) -> Identity:
    values: dict[str, Any] = {
        "magic": 0x0A0B0C0D,
        "chain_id": CHAIN,
        "node_key": key(name),
        "sign": signer(name),
        "nonce": int.from_bytes(sha256(b"nonce" + name.encode())[:8], "big"),
    }
    return Identity(**(values | changes))


class FakeOwner:
    """A `PeerOwner` that writes down what it is told."""

    def __init__(self, name: str, clock: Clock, settings: PeerSettings | None = None, **changes: Any) -> None:
        self.identity = identity(name, **changes)
        self.backend = BACKEND
        self.clock = clock
        self.random = Random(name)
        self.settings = settings or PeerSettings()
        self.traffic = Traffic()
        self.connected: list[Peer] = []
        self.messages: list[Message] = []
        self.endings: list[tuple[Peer, CloseReason]] = []
        self.refuse: Refused | None = None
        self.clock_error = 0

    def height(self) -> int:
        return 7

    def wall_ms(self) -> int:
        return int((self.clock.seconds() + self.clock_error) * 1000)

    def admit(self, peer: Peer, greeting: Greeting) -> bytes | None:
        if self.refuse is not None:
            raise self.refuse
        claim = greeting.hello.masternode
        return claim.masternode_id if claim is not None else None

    def established(self, peer: Peer) -> None:
        self.connected.append(peer)

    def received(self, peer: Peer, message: Message) -> None:
        self.messages.append(message)

    def ended(self, peer: Peer, reason: CloseReason) -> None:
        self.endings.append((peer, reason))


class Pair:
    """Two peers over TLS on one wire: ``a`` dialled ``b``."""

    def __init__(
        self,
        a: FakeOwner,
        b: FakeOwner,
        clock: Clock,
        expected: bytes | None = None,
    ) -> None:
        self.clock = clock
        self.a = Peer(a, inbound=False, address=parse_address("127.0.0.1:24100"), expected=expected)
        self.b = Peer(b, inbound=True, address=parse_address("127.0.0.1:40000"))
        self.wire = Wire(in_tls(self.a, True, clock), in_tls(self.b, False, clock))

    def settle(self) -> None:
        settle(self.clock, self.wire)

    def advance(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass in steps, carrying data in between."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            self.settle()
            seconds -= step


class _One:
    """A factory of one protocol."""

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol

    def buildProtocol(self, addr: object) -> Any:
        return self.protocol

    def doStart(self) -> None:
        """Nothing to start."""

    def doStop(self) -> None:
        """Nothing to stop."""


def in_tls(protocol: Any, is_client: bool, clock: Clock, tls: NodeTLS = TLS) -> Any:
    return tls.wrap(_One(protocol), is_client, clock).buildProtocol(None)  # type: ignore[arg-type]


@implementer(IPeerListener)
class Listener:
    """Writes down what a service tells."""

    def __init__(self) -> None:
        self.connected: list[Peer] = []
        self.lost: list[tuple[Peer, CloseReason]] = []
        self.messages: list[tuple[Peer, Message]] = []

    def peer_connected(self, peer: Peer) -> None:
        self.connected.append(peer)

    def peer_lost(self, peer: Peer, reason: CloseReason) -> None:
        self.lost.append((peer, reason))

    def message(self, peer: Peer, message: Message) -> None:
        self.messages.append((peer, message))
