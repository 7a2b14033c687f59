"""The manifest of a snapshot: which ranges of coins there are and what each must multiply up to (protocol.md
section 10).

It follows from the coins and from the ledger's state alone, so all honest nodes have the same for one block, and its
hash, the *snapshot id*, names it among peers. It travels as a head of fixed size and in pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from struct import Struct
from typing import Final, NamedTuple

from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, sha256
from timecoin.primitives.muhash import ENCODED_SIZE as MUHASH_SIZE
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.transaction import OutPoint

RANGE_COINS: Final = 8_192
"""Coins in every range but the last."""
MAX_CHUNK_BYTES: Final = 1 << 20
"""Bytes of one chunk at most. 8,192 coins of P2WSH outputs are 690 KB."""
MAX_RANGES: Final = 100_000
PAGE_RANGES: Final = 512
"""Ranges in every page of a manifest but the last."""
STATE_PART_BYTES: Final = 1 << 20
"""Bytes of every part of the state but the last."""
MAX_STATE_BYTES: Final = 64 << 20

_MAGIC: Final = b"TCSN\x01"
_HEAD: Final = Struct("<5sI32sQII32s")
_RANGE: Final = Struct(f"<36sII{MUHASH_SIZE}s")
HEAD_SIZE: Final = _HEAD.size
RANGE_SIZE: Final = _RANGE.size


class BadManifest(DecodeError):
    """Not a manifest, or not one of the snapshot that it is said to be of."""


class BadState(DecodeError):
    """Not the ledger state that the snapshot's header vouches for."""


class ForeignPages(BadManifest):
    """Head and pages are not those of the id: who sent them lied, not who holds a snapshot of that id."""


class ForeignParts(BadState):
    """Not the state that the manifest names: who sent it lied, not who holds the manifest."""


class CoinRange(NamedTuple):
    """Consecutive coins in key order: the ``first`` outpoint, how many, the bytes of their chunk, their MuHash."""

    first: OutPoint
    coins: int
    size: int
    muhash: MuHash

    def encode(self) -> bytes:
        """First outpoint 36 ‖ coins u32 ‖ bytes u32 ‖ MuHash 384."""
        return _RANGE.pack(self.first, self.coins, self.size, self.muhash.encode())


class Head(NamedTuple):
    """What a snapshot is of and how large; ``state_hash`` is SHA-256 of the encoded ledger state."""

    height: int
    block_hash: Hash
    coins: int
    ranges: int
    state_size: int
    state_hash: Hash

    @property
    def pages(self) -> int:
        """Pages of the manifest; one at least."""
        return max(1, -(-self.ranges // PAGE_RANGES))

    @property
    def state_parts(self) -> int:
        """Parts in which the state travels."""
        return -(-self.state_size // STATE_PART_BYTES)

    def encode(self) -> bytes:
        """``TCSN`` 1 ‖ height u32 ‖ block hash ‖ coins u64 ‖ ranges u32 ‖ bytes of the state u32 ‖ its SHA-256."""
        return _HEAD.pack(_MAGIC, *self)


def read_head(data: bytes) -> Head:
    """The head that ``data`` encodes, all its numbers within bounds; ``BadManifest``."""
    if len(data) != HEAD_SIZE:
        raise BadManifest(f"the head of a manifest has {HEAD_SIZE} bytes, not {len(data)}")
    magic, *fields = _HEAD.unpack(data)
    head = Head(*fields)
    if magic != _MAGIC:
        raise BadManifest("not a manifest of a version that is known here")
    if head.ranges > MAX_RANGES or not 0 < head.state_size <= MAX_STATE_BYTES:
        raise BadManifest(f"{head.ranges} ranges and {head.state_size} bytes of state")
    if not head.ranges <= head.coins <= head.ranges * MAX_CHUNK_BYTES:
        raise BadManifest(f"{head.coins} coins in {head.ranges} ranges")
    return head


@dataclass(frozen=True)
class Manifest:
    """The ranges of all coins after the closing block at ``height``, in key order, and the state beside them."""

    height: int
    block_hash: Hash
    state_size: int
    state_hash: Hash
    ranges: tuple[CoinRange, ...]

    @cached_property
    def coins(self) -> int:
        """Coins in all ranges."""
        return sum(each.coins for each in self.ranges)

    @cached_property
    def head(self) -> Head:
        """Everything but the ranges."""
        return Head(self.height, self.block_hash, self.coins, len(self.ranges), self.state_size, self.state_hash)

    @cached_property
    def snapshot_id(self) -> Hash:
        """SHA-256 of :meth:`encode`."""
        return sha256(self.encode())

    def page(self, number: int) -> bytes:
        """Encoded ranges of page ``number`` (from 0); empty behind the last one."""
        start = number * PAGE_RANGES
        return b"".join([each.encode() for each in self.ranges[start : start + PAGE_RANGES]])

    def encode(self) -> bytes:
        """The head and the ranges."""
        return self.head.encode() + b"".join([each.encode() for each in self.ranges])

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """The manifest that ``data`` encodes, its ranges ascending and adding up to the head; ``BadManifest``."""
        head = read_head(data[:HEAD_SIZE])
        if len(data) != HEAD_SIZE + head.ranges * RANGE_SIZE:
            raise BadManifest(f"{len(data)} bytes for {head.ranges} ranges")
        ranges = tuple([_read_range(data, at) for at in range(HEAD_SIZE, len(data), RANGE_SIZE)])
        manifest = cls(head.height, head.block_hash, head.state_size, head.state_hash, ranges)
        _check_ranges(manifest, head)
        return manifest

    @classmethod
    def assemble(cls, snapshot_id: Hash, head: bytes, pages: Sequence[bytes]) -> Manifest:
        """The manifest of that id from its head and all its pages in order; ``BadManifest``, first ``ForeignPages``."""
        data = head + b"".join(pages)
        if sha256(data) != snapshot_id:
            raise ForeignPages("head and pages are not those of that snapshot")
        return cls.decode(data)

    def below(self, index: int) -> OutPoint | None:
        """The first outpoint behind range ``index``, None when it is the last one."""
        return self.ranges[index + 1].first if index + 1 < len(self.ranges) else None


def _read_range(data: bytes, at: int) -> CoinRange:
    first, count, size, muhash = _RANGE.unpack_from(data, at)
    if not 0 < count < size <= MAX_CHUNK_BYTES:
        raise BadManifest(f"a range of {count} coins and {size} bytes")
    try:
        return CoinRange(first, count, size, MuHash.decode(muhash))
    except DecodeError as error:
        raise BadManifest(str(error)) from error


def _check_ranges(manifest: Manifest, head: Head) -> None:
    if manifest.coins != head.coins:
        raise BadManifest(f"the ranges hold {manifest.coins} coins, the head says {head.coins}")
    if any(left.first >= right.first for left, right in pairwise(manifest.ranges)):
        raise BadManifest("the ranges do not ascend")


def product(ranges: Sequence[CoinRange]) -> MuHash:
    """The MuHash of all coins of ``ranges``."""
    total = MuHash.empty()
    for each in ranges:
        total = total.combine(each.muhash)
    return total


def check_manifest(manifest: Manifest, header: Header) -> None:
    """Check that the ranges multiply up to the UTXO commitment of the trusted closing ``header``; ``BadManifest``.

    From then on each range stands or falls by itself.
    """
    if (manifest.height, manifest.block_hash) != (header.height, header.hash):
        raise BadManifest("the manifest is of another block")
    if product(manifest.ranges).digest() != header.utxo_commitment:
        raise BadManifest("the ranges do not multiply up to the UTXO commitment")


def check_state(manifest: Manifest, blob: bytes, header: Header) -> LedgerState:
    """The ledger after the trusted closing ``header``, every part of it vouched for; ``BadState``, first
    ``ForeignParts``.
    """
    if len(blob) != manifest.state_size or sha256(blob) != manifest.state_hash:
        raise ForeignParts("not the state that the manifest names")
    try:
        state = LedgerState.decode(blob)
    except DecodeError as error:
        raise BadState(str(error)) from error
    if state.header != header or not state.is_committed():
        raise BadState("the header does not vouch for the state")
    if state.encode() != blob:
        # Who joined by it hands on what it encodes itself, under the same hash.
        raise BadState("the state is encoded in another way than nodes do it")
    return state
