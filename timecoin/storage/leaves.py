"""
Tree leaves that are stored as one byte string.

ZODB's pickler asks a Python function about every key and every value, which is 60 % of what a leaf costs to
write; a leaf whose state is one ``bytes`` is asked about once.
"""

from __future__ import annotations

from array import array
from itertools import accumulate, pairwise
from sys import byteorder
from typing import Any

from BTrees.LLBTree import LLBTree, LLBucket
from BTrees.OOBTree import OOBTree, OOBucket

_OUTPOINT = 36


def _swapped(numbers: array[int]) -> array[int]:
    # Little-endian on disk, on whatever machine.
    if byteorder == "big":
        numbers.byteswap()
    return numbers


def pack_coins(items: tuple[bytes, ...]) -> bytes:
    """
    Key, value, key, value, … as bytes: keys of 36 bytes, then values, then u16 lengths of the values; their
    count is last.
    """
    keys, values = items[::2], items[1::2]
    lengths = _swapped(array("H", [len(value) for value in values])).tobytes()
    return b"".join((*keys, *values, lengths, len(keys).to_bytes(2, "little")))


def unpack_coins(data: bytes) -> tuple[bytes, ...]:
    """Back from :func:`pack_coins`."""
    count = int.from_bytes(data[-2:], "little")
    middle, end = count * _OUTPOINT, len(data) - 2
    lengths = array("H")
    lengths.frombytes(data[end - 2 * count : end])
    items: list[bytes] = [b""] * (2 * count)
    items[::2] = [data[at : at + _OUTPOINT] for at in range(0, middle, _OUTPOINT)]
    bounds = accumulate(_swapped(lengths), initial=middle)
    items[1::2] = [data[start:stop] for start, stop in pairwise(bounds)]
    return tuple(items)


def pack_numbers(items: tuple[int, ...]) -> bytes:
    """Signed 64-bit numbers as bytes."""
    return _swapped(array("q", items)).tobytes()


def unpack_numbers(data: bytes) -> tuple[int, ...]:
    """Back from :func:`pack_numbers`."""
    numbers = array("q")
    numbers.frombytes(data)
    return tuple(_swapped(numbers))


class CoinLeaf(OOBucket):  # type: ignore[misc]
    """Some coins in key order; its state is their packed bytes and the reference to the next leaf."""

    def __getstate__(self) -> tuple[Any, ...] | None:
        state = super().__getstate__()
        return state and (pack_coins(state[0]), *state[1:])

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        super().__setstate__((unpack_coins(state[0]), *state[1:]))


class LocationLeaf(LLBucket):  # type: ignore[misc]
    """Some locations in key order; its state is their packed numbers and the reference to the next leaf."""

    def __getstate__(self) -> tuple[Any, ...] | None:
        state = super().__getstate__()
        return state and (pack_numbers(state[0]), *state[1:])

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        super().__setstate__((unpack_numbers(state[0]), *state[1:]))


class CoinTree(OOBTree):  # type: ignore[misc]
    """Outpoint (36 bytes) → coin bytes (< 64 KiB)."""

    _bucket_type = CoinLeaf
    max_leaf_size = 120
    max_internal_size = 60


class LocationTree(LLBTree):  # type: ignore[misc]
    """Signed 64-bit prefix of a txid → height << 20 | position."""

    _bucket_type = LocationLeaf
    max_leaf_size = 500
    max_internal_size = 250
