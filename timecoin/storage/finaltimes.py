"""How long the transactions of a block took to become final, as this node saw it: kept beside the block."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from sys import byteorder

_UNKNOWN = 0xFFFFFFFF
_SIZE = 4


def pack_times(times: Sequence[int | None]) -> bytes:
    """Milliseconds in block order as u32, little-endian; None is 2^32 − 1, longer ones become 2^32 − 2."""
    numbers = array("I", [_UNKNOWN if each is None else min(each, _UNKNOWN - 1) for each in times])
    if byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def time_at(packed: bytes, position: int) -> int | None:
    """Milliseconds of the transaction at *position*; None when they are not known."""
    found = packed[_SIZE * position : _SIZE * position + _SIZE]
    number = int.from_bytes(found, "little") if found else _UNKNOWN
    return None if number == _UNKNOWN else number
