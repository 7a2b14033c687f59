"""The coins of one range of a snapshot as bytes, and what makes them the right ones (protocol.md section 10)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from sys import byteorder
from typing import ClassVar, Final

from timecoin.ledger.coins import coin_bytes_element
from timecoin.ledger.snapshot_manifest import MAX_CHUNK_BYTES, CoinRange, Manifest
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.transaction import OutPoint

_OUTPOINT: Final = 36
_LEAST_COIN: Final = 13
_COUNT: Final = 4
_LENGTH: Final = 2

ChunkCoins = Sequence[tuple[OutPoint, bytes]]
"""Outpoints with coins in stored form (:func:`timecoin.ledger.coins.encode_coin`), ascending."""


class BadChunk(DecodeError):
    """Bytes that are not the coins of their range; ``.code`` names what is wrong."""

    code: ClassVar[str] = "bad-chunk"


class ChunkMalformed(BadChunk):
    """Not the encoding of any coins, or not of the size that the manifest says."""

    code = "chunk-malformed"


class ChunkMiscounted(BadChunk):
    """More or fewer coins than the manifest says."""

    code = "chunk-count"


class ChunkUnsorted(BadChunk):
    """The outpoints do not ascend."""

    code = "chunk-unsorted"


class ChunkOutside(BadChunk):
    """It begins elsewhere than the range, or reaches into the next one."""

    code = "chunk-range"


class ChunkMismatch(BadChunk):
    """The coins do not multiply up to the MuHash of the range."""

    code = "chunk-muhash"


def _swapped(numbers: array[int]) -> array[int]:
    if byteorder == "big":
        numbers.byteswap()
    return numbers


def encode_chunk(coins: ChunkCoins) -> bytes:
    """Count u32 ‖ outpoints, 36 bytes each ‖ lengths u16 each ‖ coins."""
    lengths = _swapped(array("H", [len(coin) for _, coin in coins])).tobytes()
    outpoints = [outpoint for outpoint, _ in coins]
    return b"".join([len(coins).to_bytes(_COUNT, "little"), *outpoints, lengths, *[coin for _, coin in coins]])


def decode_chunk(data: bytes) -> list[tuple[OutPoint, bytes]]:
    """Back from :func:`encode_chunk`; ``ChunkMalformed`` for anything else, before more than ``data`` is
    allocated."""
    count = int.from_bytes(data[:_COUNT], "little")
    lengths_at = _COUNT + count * _OUTPOINT
    start = lengths_at + count * _LENGTH
    if len(data) < max(start, _COUNT):
        raise ChunkMalformed(f"{len(data)} bytes for {count} coins")
    lengths = array("H")
    lengths.frombytes(data[lengths_at:start])
    bounds = list(accumulate(_swapped(lengths), initial=start))
    if bounds[-1] != len(data) or min(lengths, default=_LEAST_COIN) < _LEAST_COIN:
        raise ChunkMalformed("the lengths of the coins do not add up")
    outpoints = [data[at : at + _OUTPOINT] for at in range(_COUNT, lengths_at, _OUTPOINT)]
    return list(zip(outpoints, [data[left:right] for left, right in pairwise(bounds)], strict=True))


def range_of(coins: ChunkCoins, data: bytes) -> CoinRange:
    """What a manifest says about ``coins`` whose encoding is ``data``. About 10 µs a coin."""
    return CoinRange(coins[0][0], len(coins), len(data), muhash_of(coins))


def muhash_of(coins: ChunkCoins) -> MuHash:
    """The product over ``coins``."""
    return MuHash.empty().update([coin_bytes_element(outpoint, coin) for outpoint, coin in coins])


def check_chunk(manifest: Manifest, index: int, data: bytes) -> list[tuple[OutPoint, bytes]]:
    """The coins of range ``index`` of a checked ``manifest``, exactly those; about 10 µs a coin, cheap rules first.

    Raises the ``BadChunk`` of what is wrong with ``data``, ``IndexError`` for an index that the manifest
    lacks. Pure, and made for a thread.
    """
    due = manifest.ranges[index]
    if len(data) != due.size or len(data) > MAX_CHUNK_BYTES:
        raise ChunkMalformed(f"{len(data)} bytes instead of {due.size}")
    coins = decode_chunk(data)
    if len(coins) != due.coins:
        raise ChunkMiscounted(f"{len(coins)} coins instead of {due.coins}")
    if any(left >= right for (left, _), (right, _) in pairwise(coins)):
        raise ChunkUnsorted("the outpoints do not ascend")
    behind = manifest.below(index)
    if coins[0][0] != due.first or (behind is not None and coins[-1][0] >= behind):
        raise ChunkOutside("the coins are not those of the range")
    if muhash_of(coins) != due.muhash:
        raise ChunkMismatch("the coins do not multiply up to the MuHash of the range")
    return coins
