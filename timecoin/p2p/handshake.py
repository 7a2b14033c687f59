"""The hello: who I am, proven over this very TLS session, and whether the other one's hello is acceptable.
Pure.

Both sides send `Hello` first. The node key signs ``tagged_hash('timecoin/hello', exporter ‖ role ‖ node
key)`` where role is ``client`` for the dialler and ``server`` for the other side, so that a signature can
neither be reflected nor relayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from timecoin.p2p.messages import Hello, MasternodeClaim
from timecoin.p2p.netaddress import NetAddress
from timecoin.p2p.reasons import Code, Refused
from timecoin.primitives.hashes import tagged_hash
from timecoin.primitives.signing import SignatureBackend

#: Protocol versions that this software speaks.
PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

#: Signs a 32-byte digest: 64 bytes, compact, low S.
Signer = Callable[[bytes], bytes]


class Role(Enum):
    """Which end of the TLS session somebody is; the value goes into the signed bytes."""

    CLIENT = b"client"
    SERVER = b"server"

    @property
    def other(self) -> Role:
        """The opposite end."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


@dataclass(frozen=True, slots=True)
class Masternode:
    """A masternode's identity: id (32 bytes) and its operator key's signer."""

    masternode_id: bytes
    sign: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a node says of itself in every hello.

    ``nonce`` is drawn at each start of the process: it tells a restarted peer from one that dials twice.
    """

    magic: int
    chain_id: bytes
    node_key: bytes
    sign: Signer
    nonce: int
    services: int = 0
    listen: NetAddress | None = None
    user_agent: str = "/timecoin/"
    masternode: Masternode | None = None
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


@dataclass(frozen=True, slots=True)
class Greeting:
    """A peer's verified hello. ``version`` is the highest protocol version that both speak."""

    hello: Hello
    digest: bytes
    version: int

    @property
    def node_id(self) -> bytes:
        """The peer's node key, 33 bytes: its identity."""
        return self.hello.node_key

    def proves_masternode(self, backend: SignatureBackend, operator_key: bytes) -> bool:
        """Tell whether the hello's masternode claim is signed by ``operator_key`` for this session."""
        claim = self.hello.masternode
        return claim is not None and backend.verify_compact(operator_key, self.digest, claim.signature)


def hello_digest(exporter: bytes, role: Role, node_key: bytes) -> bytes:
    """Return what node key and operator key sign (protocol.md, section 8)."""
    return tagged_hash("timecoin/hello", exporter + role.value + node_key)


def make_hello(identity: Identity, exporter: bytes, role: Role, height: int) -> Hello:
    """Return our hello for a session with this ``exporter`` value, in which we are ``role``."""
    digest = hello_digest(exporter, role, identity.node_key)
    masternode = identity.masternode
    claim = None
    if masternode is not None:
        claim = MasternodeClaim(masternode.masternode_id, masternode.sign(digest))
    return Hello(
        magic=identity.magic,
        protocol_min=identity.protocol_min,
        protocol_max=identity.protocol_max,
        chain_id=identity.chain_id,
        node_key=identity.node_key,
        signature=identity.sign(digest),
        services=identity.services,
        listen=identity.listen,
        height=height,
        user_agent=identity.user_agent,
        nonce=identity.nonce,
        masternode=claim,
    )


def check_hello(
    identity: Identity,
    backend: SignatureBackend,
    exporter: bytes,
    role: Role,
    hello: Hello,
    expected: bytes | None = None,
) -> Greeting:
    """Verify the hello of a peer that is ``role`` in this session.

    ``expected`` is the node key of a pinned peer. The masternode claim is not judged here: who lags may not
    know the masternode, or not its newest key.

    Raises:
        Refused: wrong network, wrong genesis, too old, too new, bad signature, self, wrong identity; in this
        order.
    """
    _check_network(identity, hello)
    digest = hello_digest(exporter, role, hello.node_key)
    if not backend.verify_compact(hello.node_key, digest, hello.signature):
        raise Refused(Code.BAD_SIGNATURE, "node key does not sign this session")
    if hello.node_key == identity.node_key:
        raise Refused(Code.SELF, "same node key")
    if expected is not None and hello.node_key != expected:
        raise Refused(Code.WRONG_IDENTITY, "not the pinned node key")
    return Greeting(hello, digest, min(identity.protocol_max, hello.protocol_max))


def _check_network(identity: Identity, hello: Hello) -> None:
    if hello.magic != identity.magic:
        raise Refused(Code.WRONG_NETWORK, f"magic {hello.magic:08x}, here it is {identity.magic:08x}")
    if hello.chain_id != identity.chain_id:
        raise Refused(Code.WRONG_GENESIS, f"here it is {identity.chain_id[::-1].hex()}")
    if hello.protocol_max < identity.protocol_min:
        raise Refused(Code.TOO_OLD, f"protocol {identity.protocol_min} or later")
    if hello.protocol_min > identity.protocol_max:
        raise Refused(Code.TOO_NEW, f"protocol {identity.protocol_max} or earlier")
