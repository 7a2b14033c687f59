"""A decided block as storage takes it, and what it changes, in a form to look things up in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from timecoin.storage.errors import Damaged

POSITION_BITS = 20
"""Bits of a location that hold the position in the block; ``max_block_txs`` is far below 2^20."""

_HEAD = Struct("<III")
_ADDED = Struct("<36sH")
_OUTPOINT = 36
_TXID = 32


class Closing(NamedTuple):
    """What one wants to find of a closing block by its epoch: the hash of S(epoch), and that set encoded."""

    epoch: int
    set_hash: bytes
    members: bytes


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """
    A decided block, all in bytes as on the wire (protocol.md 6 R11).

    ``commit`` is the commit that decided it; ``state`` the encoded ledger state after it; ``added`` maps
    outpoints (36 bytes) to coin bytes, ``removed`` names outpoints that were in the set before; ``txids`` in
    block order, coinbase first. An outpoint in both ``added`` and ``removed`` was made and spent in the block
    and enters nothing. ``times`` is ``finaltimes.pack_times`` of the transactions, empty when none is known.
    ``closing`` is given for a closing block (and block 0).
    """

    height: int
    block_hash: bytes
    header: bytes
    block: bytes
    commit: bytes
    state: bytes
    added: dict[bytes, bytes]
    removed: tuple[bytes, ...]
    txids: tuple[bytes, ...]
    times: bytes = b""
    closing: Closing | None = None


@dataclass(frozen=True, slots=True)
class BlockDelta:
    """
    The changes of one block; never altered once made, so that threads share it.

    ``changes`` maps an outpoint to its coin bytes, or to None when the block spent it; ``positions`` maps
    each txid to its position in the block; ``growth`` is the number of coins by which the set grew.
    """

    height: int
    changes: dict[bytes, bytes | None]
    positions: dict[bytes, int]
    growth: int

    @property
    def size(self) -> int:
        """Keys that merging this block costs at most."""
        return len(self.changes) + len(self.positions)

    @property
    def locations(self) -> Iterator[tuple[bytes, int]]:
        """(txid, location) for every transaction of the block, in block order."""
        base = self.height << POSITION_BITS
        return ((txid, base | position) for txid, position in self.positions.items())


def delta_of(block: CommittedBlock) -> BlockDelta:
    """The changes of *block*, without what was made and spent inside it."""
    return _delta(block.height, block.added, block.removed, block.txids)


def _delta(height: int, added: dict[bytes, bytes], removed: tuple[bytes, ...], txids: Iterable[bytes]) -> BlockDelta:
    changes: dict[bytes, bytes | None] = dict(added)
    growth = len(added)
    for outpoint in removed:
        if outpoint in added:
            del changes[outpoint]
        else:
            changes[outpoint] = None
        growth -= 1
    return BlockDelta(height, changes, {txid: i for i, txid in enumerate(txids)}, growth)


def encode_delta(delta: BlockDelta) -> bytes:
    """
    ``delta.changes`` as bytes: counts, added (outpoint, u16 length, coin), removed. The txids are stored
    elsewhere.
    """
    added = [(outpoint, coin) for outpoint, coin in delta.changes.items() if coin is not None]
    removed = [outpoint for outpoint, coin in delta.changes.items() if coin is None]
    pack = _ADDED.pack
    parts = chain.from_iterable((pack(outpoint, len(coin)), coin) for outpoint, coin in added)
    return b"".join(chain((_HEAD.pack(delta.height, len(added), len(removed)),), parts, removed))


def decode_delta(data: bytes, txids: bytes) -> BlockDelta:
    """
    Back from :func:`encode_delta` and the concatenated *txids* of the block; ``Damaged`` when lengths
    disagree.
    """
    at, added = _HEAD.size, {}
    try:
        height, added_count, removed_count = _HEAD.unpack_from(data)
        for _ in range(added_count):
            outpoint, length = _ADDED.unpack_from(data, at)
            at += _ADDED.size
            added[outpoint] = data[at : at + length]
            at += length
    except StructError:
        raise Damaged("the stored changes of a block are cut short") from None
    if len(data) - at != removed_count * _OUTPOINT or len(txids) % _TXID:
        raise Damaged(f"the stored changes of block {height} have a wrong length")
    removed = tuple(data[i : i + _OUTPOINT] for i in range(at, len(data), _OUTPOINT))
    return _delta(height, added, removed, split_txids(txids))


def split_txids(joined: bytes) -> list[bytes]:
    """The 32-byte txids that *joined* consists of."""
    return [joined[i : i + _TXID] for i in range(0, len(joined), _TXID)]


def location_key(txid: bytes) -> int:
    """The signed 64-bit key under which *txid* stands in the location tree."""
    return int.from_bytes(txid[:8], "big", signed=True)


def split_location(location: int) -> tuple[int, int]:
    """(height, position) of a stored location."""
    return location >> POSITION_BITS, location & ((1 << POSITION_BITS) - 1)
