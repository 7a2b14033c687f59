"""Taking some transactions out of an encoded block without decoding the others."""

from __future__ import annotations

from collections.abc import Iterable

from .block import HEADER_SIZE
from .codec import DecodeError, read_compact_size
from .transaction import Transaction

__all__ = ["pick", "skip"]

_LONG = 0xFD
_OUTPOINT, _SEQUENCE, _VALUE, _VERSION, _LOCK_TIME = 36, 4, 8, 4, 4


def _item(data: bytes, at: int) -> int:
    """Where what follows the byte string at ``at`` begins."""
    size = data[at]
    if size < _LONG:
        return at + 1 + size
    size, at = read_compact_size(data, at)
    return at + size


def skip(data: bytes, start: int) -> int:
    """Where what follows the transaction at ``start`` begins; of bytes that were decoded once, some 4 µs.

    Raises IndexError or ``DecodeError`` when there is none.
    """
    at = start + _VERSION
    has_witness = data[at] == 0
    inputs, at = read_compact_size(data, at + 2 if has_witness else at)
    for _ in range(inputs):
        at = _item(data, at + _OUTPOINT) + _SEQUENCE
    outputs, at = read_compact_size(data, at)
    for _ in range(outputs):
        at = _item(data, at + _VALUE)
    if has_witness:
        for _ in range(inputs):
            items, at = read_compact_size(data, at)
            for _ in range(items):
                at = _item(data, at)
    return at + _LOCK_TIME


def pick(block: bytes, positions: Iterable[int]) -> dict[int, Transaction]:
    """The transactions at ``positions`` of an encoded block; ``DecodeError`` when it has not so many."""
    count, at = read_compact_size(block, HEADER_SIZE)
    found: dict[int, Transaction] = {}
    passed = 0
    for position in sorted(set(positions)):
        if not 0 <= position < count:
            raise DecodeError(f"no transaction {position} among {count}")
        while passed < position:
            at, passed = skip(block, at), passed + 1
        found[position], at = Transaction.decode_from(block, at)
        passed += 1
    return found
