"""The messages of the wire: one msgspec struct each, and one table with type number, limit, rate class and
priority.

Payloads are msgpack arrays without names. What is signed (bundles, proposals, votes, blocks, evidence,
transactions) stays opaque bytes here. Heights, epochs, rounds and sequences are u32, signers u16, times ms
since the Unix epoch.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import Meta, Struct

from timecoin.ledger.snapshot_manifest import MAX_CHUNK_BYTES, PAGE_RANGES, RANGE_SIZE, STATE_PART_BYTES
from timecoin.p2p.framing import MAX_PAYLOAD, NO_SUCH_TYPE, make_frame
from timecoin.p2p.limits import RateClass
from timecoin.p2p.netaddress import NetAddress
from timecoin.primitives.block import HEADER_SIZE

#: Most transaction ids in one message, the same as in one bundle (protocol.md, section 4).
MAX_IDS = 8_192
#: Most addresses in one `Addr` (Bitcoin's MAX_ADDR_TO_SEND).
MAX_ADDRESSES = 1_000
#: Largest payload of transactions; the largest `max_tx_bytes` that a genesis may set fits (protocol.md,
#: section 12).
MAX_TX_PAYLOAD = (1 << 20) + 64
#: Most bundles, votes or blocks listed in one message.
MAX_BUNDLES, MAX_VOTES, MAX_BLOCKS = 1_024, 1_024, 1_024
#: Most signers that a status may speak of, and the bytes of a mask of them.
MAX_SIGNERS = 4_096

#: Most closing blocks and most snapshots listed in one message.
MAX_LINKS, MAX_SNAPSHOTS = 1_024, 16
#: Most headers in one message.
MAX_HEADERS = 1_024
#: Bytes of the largest page of a manifest, and of the largest chunk or part of a state.
MAX_PAGE_BYTES, MAX_PART_BYTES = PAGE_RANGES * RANGE_SIZE, max(MAX_CHUNK_BYTES, STATE_PART_BYTES)

U8 = Annotated[int, Meta(ge=0, le=0xFF)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
# msgpack has no integer above 64 bits, and msgspec takes no bound above 63.
U64 = Annotated[int, Meta(ge=0)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes33 = Annotated[bytes, Meta(min_length=33, max_length=33)]
Bytes64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
Ids = Annotated[tuple[Bytes32, ...], Meta(max_length=MAX_IDS)]
Mask = Annotated[bytes, Meta(max_length=MAX_SIGNERS // 8)]
VoteBytes = Annotated[bytes, Meta(max_length=512)]
VoteList = Annotated[tuple[VoteBytes, ...], Meta(max_length=MAX_VOTES)]


class MessageError(ValueError):
    """A payload that is not a message of its type."""


class Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of all wire messages; immutable, compared by value."""


class MasternodeClaim(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A masternode's id and its operator key's signature over the same digest that the node key signs."""

    masternode_id: Bytes32
    signature: Bytes64


class Hello(Message, frozen=True):
    """First message both ways. ``services`` is a bit mask, ``listen`` where the sender takes connections."""

    magic: U32
    protocol_min: U16
    protocol_max: U16
    chain_id: Bytes32
    node_key: Bytes33
    signature: Bytes64
    services: U64
    listen: NetAddress | None
    height: U32
    user_agent: Annotated[str, Meta(max_length=256)]
    nonce: U64
    masternode: MasternodeClaim | None = None


class Reject(Message, frozen=True):
    """Why the sender closes; ``code`` is one of `reasons.Code`, ``text`` is for people."""

    code: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=200)] = ""


class Ping(Message, frozen=True):
    """Asks for a `Pong` with the same nonce."""

    nonce: U64


class Pong(Message, frozen=True):
    """Answers a `Ping`; ``time_ms`` is the sender's clock."""

    nonce: U64
    time_ms: U64


class GetAddr(Message, frozen=True):
    """Asks for known addresses."""


class AddressRecord(NamedTuple):
    """One known address: BIP 155 network id and bytes, port, service bits, ``last_seen`` in Unix seconds."""

    network: U8
    host: Annotated[bytes, Meta(max_length=64)]
    port: U16
    services: U64
    last_seen: U32

    @property
    def address(self) -> NetAddress:
        """The address alone."""
        return NetAddress(self.network, self.host, self.port)


class Addr(Message, frozen=True):
    """Addresses of nodes."""

    addresses: Annotated[tuple[AddressRecord, ...], Meta(max_length=MAX_ADDRESSES)]


class Inv(Message, frozen=True):
    """Transactions that the sender has, by txid."""

    txids: Ids


class GetTx(Message, frozen=True):
    """Asks for transactions by txid, or by wtxid when ``by_wtxid``."""

    ids: Ids
    by_wtxid: bool = False


class Tx(Message, frozen=True):
    """Whole transactions, BIP 144 serialised."""

    transactions: Annotated[tuple[bytes, ...], Meta(max_length=MAX_IDS)]


class NotFound(Message, frozen=True):
    """Those ids of a `GetTx` that the sender does not have."""

    ids: Ids


class Bundles(Message, frozen=True):
    """Signed bundles, encoded."""

    bundles: Annotated[tuple[bytes, ...], Meta(max_length=MAX_BUNDLES)]


class GetBundles(Message, frozen=True):
    """Asks for up to ``limit`` bundles of one signer from a sequence on."""

    epoch: U32
    signer: U16
    from_sequence: U32
    limit: U16


class Proposal(Message, frozen=True):
    """A signed proposal, encoded."""

    proposal: bytes


class GetProposal(Message, frozen=True):
    """Asks for the proposal of a height, by its round or its block hash."""

    height: U32
    round: U32 | None = None
    block_hash: Bytes32 | None = None

    def __post_init__(self) -> None:
        if (self.round is None) == (self.block_hash is None):
            raise ValueError("either round or block hash")


class Votes(Message, frozen=True):
    """Signed prevotes and precommits, encoded."""

    prevotes: VoteList = ()
    precommits: VoteList = ()


class Status(Message, frozen=True):
    """What the sender has of the open epoch and height, so that the other can send what is missing.

    ``prevotes`` and ``precommits`` are masks over the signer index (little-endian: bit i of byte i // 8) for
    the round; ``sequences`` lists (signer, highest bundle sequence without a gap); ``connected`` is the mask
    of signers to which the sender is directly connected.
    """

    epoch: U32
    height: U32
    round: U32
    step: U8
    tip_hash: Bytes32
    prevotes: Mask = b""
    precommits: Mask = b""
    sequences: Annotated[tuple[tuple[U16, U32], ...], Meta(max_length=MAX_SIGNERS)] = ()
    connected: Mask = b""


class GetPol(Message, frozen=True):
    """Asks for the quorum of prevotes for a block in a round."""

    height: U32
    round: U32
    block_hash: Bytes32


class Pol(Message, frozen=True):
    """A quorum of prevotes, encoded."""

    prevotes: VoteList


class GetBlocks(Message, frozen=True):
    """Asks for up to ``count`` blocks with their commits, heights ascending."""

    from_height: U32
    count: Annotated[int, Meta(ge=1, le=MAX_BLOCKS)]


class BlockWithCommit(NamedTuple):
    """An encoded block and an encoded commit for it."""

    block: bytes
    commit: bytes


class Blocks(Message, frozen=True):
    """Blocks with their commits; as many as fit."""

    blocks: Annotated[tuple[BlockWithCommit, ...], Meta(max_length=MAX_BLOCKS)]


class Evidence(Message, frozen=True):
    """A signed proof of misbehaviour, encoded."""

    evidence: bytes


class GetClosingHeaders(Message, frozen=True):
    """Asks for the closing blocks of up to ``count`` epochs from ``from_epoch`` on."""

    from_epoch: U32
    count: Annotated[int, Meta(ge=1, le=MAX_LINKS)]


class ClosingParts(NamedTuple):
    """A closing block's header, a commit for it and the set of its epoch (empty: that of the link before), encoded."""

    header: Annotated[bytes, Meta(max_length=512)]
    commit: bytes
    members: bytes


class ClosingHeaders(Message, frozen=True):
    """Consecutive closing blocks, as many as fit; none when the sender lacks the first."""

    from_epoch: U32
    links: Annotated[tuple[ClosingParts, ...], Meta(max_length=MAX_LINKS)]


class GetSnapshots(Message, frozen=True):
    """Asks which snapshots the peer holds."""


class SnapshotHead(NamedTuple):
    """A snapshot's id and the encoded head of its manifest."""

    snapshot: Bytes32
    head: Annotated[bytes, Meta(max_length=256)]


class Snapshots(Message, frozen=True):
    """The snapshots that the sender holds, newest first."""

    held: Annotated[tuple[SnapshotHead, ...], Meta(max_length=MAX_SNAPSHOTS)]


class GetManifest(Message, frozen=True):
    """Asks for a page of a snapshot's manifest."""

    snapshot: Bytes32
    page: U32


class ManifestPage(Message, frozen=True):
    """Encoded ranges; empty when the sender has no such page."""

    snapshot: Bytes32
    page: U32
    ranges: Annotated[bytes, Meta(max_length=MAX_PAGE_BYTES)]


class GetState(Message, frozen=True):
    """Asks for a part of a snapshot's encoded ledger state."""

    snapshot: Bytes32
    part: U32


class StatePart(Message, frozen=True):
    """A part of the state; empty when the sender has no such part."""

    snapshot: Bytes32
    part: U32
    data: Annotated[bytes, Meta(max_length=MAX_PART_BYTES)]


class GetChunk(Message, frozen=True):
    """Asks for the coins of a range of a snapshot."""

    snapshot: Bytes32
    index: U32


class Chunk(Message, frozen=True):
    """Encoded coins; empty when the sender has no such range."""

    snapshot: Bytes32
    index: U32
    data: Annotated[bytes, Meta(max_length=MAX_PART_BYTES)]


class GetHeaders(Message, frozen=True):
    """Asks for the header of height ``through`` and those below it, ``count`` together."""

    through: U32
    count: Annotated[int, Meta(ge=1, le=MAX_HEADERS)]


class Headers(Message, frozen=True):
    """Encoded headers from ``through`` downwards, as far as the sender has them; none when it lacks the first."""

    through: U32
    headers: Annotated[
        tuple[Annotated[bytes, Meta(min_length=HEADER_SIZE, max_length=HEADER_SIZE)], ...], Meta(max_length=MAX_HEADERS)
    ]


class Lane(IntEnum):
    """Priority when the connection is slower than we are; lower goes first."""

    CONTROL = 0
    CONSENSUS = 1
    TRANSACTIONS = 2
    BULK = 3


class Kind(NamedTuple):
    """One row of the message table; ``limit`` is the largest payload in bytes."""

    number: int
    struct: type[Message]
    limit: int
    rate_class: RateClass
    lane: Lane


_IDS_LIMIT = MAX_IDS * 34 + 16
_C, _I, _T, _V, _R, _B = RateClass

KINDS: tuple[Kind, ...] = (
    Kind(1, Hello, 1_536, _C, Lane.CONTROL),
    Kind(2, Reject, 1_024, _C, Lane.CONTROL),
    Kind(3, Ping, 16, _C, Lane.CONTROL),
    Kind(4, Pong, 24, _C, Lane.CONTROL),
    Kind(5, GetAddr, 8, _C, Lane.BULK),
    Kind(6, Addr, 96 << 10, _C, Lane.BULK),
    Kind(16, Inv, _IDS_LIMIT, _I, Lane.TRANSACTIONS),
    Kind(17, GetTx, _IDS_LIMIT, _I, Lane.TRANSACTIONS),
    Kind(18, Tx, MAX_TX_PAYLOAD, _T, Lane.TRANSACTIONS),
    Kind(19, NotFound, _IDS_LIMIT, _I, Lane.TRANSACTIONS),
    Kind(32, Bundles, 1 << 20, _V, Lane.CONSENSUS),
    Kind(33, GetBundles, 32, _R, Lane.CONSENSUS),
    Kind(34, Proposal, MAX_PAYLOAD, _V, Lane.CONSENSUS),
    Kind(35, GetProposal, 64, _R, Lane.CONSENSUS),
    Kind(36, Votes, 512 << 10, _V, Lane.CONSENSUS),
    Kind(37, Status, 64 << 10, _V, Lane.CONSENSUS),
    Kind(38, GetPol, 64, _R, Lane.CONSENSUS),
    Kind(39, Pol, 512 << 10, _V, Lane.CONSENSUS),
    Kind(40, Evidence, 256 << 10, _V, Lane.CONSENSUS),
    Kind(48, GetBlocks, 16, _R, Lane.BULK),
    Kind(49, Blocks, MAX_PAYLOAD, _B, Lane.BULK),
    Kind(50, GetClosingHeaders, 16, _R, Lane.BULK),
    Kind(51, ClosingHeaders, 2 << 20, _B, Lane.BULK),
    Kind(52, GetSnapshots, 8, _R, Lane.BULK),
    Kind(53, Snapshots, 8 << 10, _B, Lane.BULK),
    Kind(54, GetManifest, 64, _R, Lane.BULK),
    Kind(55, ManifestPage, MAX_PAGE_BYTES + 64, _B, Lane.BULK),
    Kind(56, GetState, 64, _R, Lane.BULK),
    Kind(57, StatePart, MAX_PART_BYTES + 64, _B, Lane.BULK),
    Kind(58, GetChunk, 64, _R, Lane.BULK),
    Kind(59, Chunk, MAX_PART_BYTES + 64, _B, Lane.BULK),
    Kind(60, GetHeaders, 16, _R, Lane.BULK),
    Kind(61, Headers, MAX_HEADERS * (HEADER_SIZE + 3) + 16, _B, Lane.BULK),
)

KIND_OF: dict[type[Message], Kind] = {kind.struct: kind for kind in KINDS}
_BY_NUMBER: dict[int, Kind] = {kind.number: kind for kind in KINDS}

#: Payload limits by type number, for `FrameBuffer`: all messages, and what may come before the handshake is
#: through.
LIMITS: tuple[int, ...] = tuple(
    _BY_NUMBER[number].limit if number in _BY_NUMBER else NO_SUCH_TYPE for number in range(256)
)
GREETING_LIMITS: tuple[int, ...] = tuple(
    limit if number in (KIND_OF[Hello].number, KIND_OF[Reject].number) else NO_SUCH_TYPE
    for number, limit in enumerate(LIMITS)
)
#: Rate class and lane by type number (None: no such type).
RATE_CLASSES: tuple[RateClass | None, ...] = tuple(
    _BY_NUMBER[number].rate_class if number in _BY_NUMBER else None for number in range(256)
)
LANES: tuple[Lane | None, ...] = tuple(
    _BY_NUMBER[number].lane if number in _BY_NUMBER else None for number in range(256)
)
#: Names by type number, for statistics and logs.
NAMES: dict[int, str] = {
    kind.number: "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.struct.__name__)[1:] for kind in KINDS
}

_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[int, Any] = {kind.number: msgspec.msgpack.Decoder(kind.struct).decode for kind in KINDS}
# Deep nesting and text that is no UTF-8 leave msgspec as these two, not as its own error.
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode_payload(message: Message) -> bytes:
    """Return the payload of a message, without frame header."""
    return _encode(message)


def encode_frame(message: Message) -> bytes:
    """Return the whole frame of a message; encode once, send to many.

    Raises:
        MessageError: the payload is larger than its type allows (the caller put too much into it).
    """
    kind = KIND_OF[type(message)]
    payload = _encode(message)
    if len(payload) > kind.limit:
        raise MessageError(f"{kind.struct.__name__} of {len(payload)} bytes, allowed are {kind.limit}")
    return make_frame(kind.number, payload)


def decode(number: int, payload: bytes | memoryview) -> Message:
    """Return the message of a payload that came with type ``number``.

    Raises:
        MessageError: unknown type, over its limit, or not a message of that type.
    """
    if not 0 <= number < 256 or len(payload) > LIMITS[number]:
        raise MessageError(f"no message of type {number} with {len(payload)} bytes")
    try:
        return cast(Message, _DECODERS[number](payload))
    except _DECODE_ERRORS as error:
        raise MessageError(f"{NAMES[number]}: {error}") from error
