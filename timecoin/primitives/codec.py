"""Reading and writing of Bitcoin's elementary wire types.

Every reader in this room is canonical: one value has one encoding, and all other byte strings are refused.
Otherwise two nodes could hold the same thing under two hashes.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = [
    "DecodeError",
    "NonCanonical",
    "Reader",
    "Truncated",
    "compact_size",
    "read_compact_size",
    "var_bytes",
]

_U16 = Struct("<H")
_U32 = Struct("<I")
_U64 = Struct("<Q")
_I64 = Struct("<q")

_ONE_BYTE_LIMIT: Final = 0xFD
_U16_LIMIT: Final = 1 << 16
_U32_LIMIT: Final = 1 << 32
_U64_LIMIT: Final = 1 << 64


class DecodeError(ValueError):
    """Bytes are not the canonical encoding of what they should be."""


class Truncated(DecodeError):
    """The data end before the value does."""


class NonCanonical(DecodeError):
    """The value has a shorter or different canonical encoding, or bytes follow it."""


def compact_size(n: int) -> bytes:
    """Bitcoin's compact size encoding of ``n`` in 1, 3, 5 or 9 bytes.

    Raises ``ValueError`` unless 0 ≤ n < 2**64.
    """
    if 0 <= n < _ONE_BYTE_LIMIT:
        return bytes((n,))
    if not 0 <= n < _U64_LIMIT:
        raise ValueError(f"no compact size for {n}")
    if n < _U16_LIMIT:
        return b"\xfd" + _U16.pack(n)
    if n < _U32_LIMIT:
        return b"\xfe" + _U32.pack(n)
    return b"\xff" + _U64.pack(n)


def var_bytes(data: bytes) -> bytes:
    """``data`` behind its compact size."""
    return compact_size(len(data)) + data


_WIDE: Final = {
    0xFD: (_U16, _ONE_BYTE_LIMIT),
    0xFE: (_U32, _U16_LIMIT),
    0xFF: (_U64, _U32_LIMIT),
}


def read_compact_size(data: bytes, position: int) -> tuple[int, int]:
    """The compact size at ``position`` of ``data`` and the position behind it.

    Raises :class:`Truncated`, or :class:`NonCanonical` when a shorter form exists.
    """
    if position >= len(data):
        raise Truncated("no compact size: data end")
    first = data[position]
    if first < _ONE_BYTE_LIMIT:
        return first, position + 1
    form, least = _WIDE[first]
    end = position + 1 + form.size
    if end > len(data):
        raise Truncated("compact size is cut off")
    value: int = form.unpack_from(data, position + 1)[0]
    if value < least:
        raise NonCanonical(f"compact size {value} in {1 + form.size} bytes")
    return value, end


class Reader:
    """Takes values off the front of ``data``; one that raises :class:`DecodeError` consumed nothing."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = bytes(data)
        self._position = position

    @property
    def position(self) -> int:
        """Count of bytes consumed."""
        return self._position

    @property
    def remaining(self) -> int:
        """Count of bytes not yet consumed."""
        return len(self._data) - self._position

    def take(self, n: int) -> bytes:
        """The next ``n`` bytes; :class:`Truncated` when there are fewer, before anything is allocated."""
        if not 0 <= n <= self.remaining:
            raise Truncated(f"{n} bytes wanted, {self.remaining} left")
        start = self._position
        self._position = start + n
        return self._data[start : start + n]

    def _fixed(self, form: Struct) -> int:
        value: int = form.unpack(self.take(form.size))[0]
        return value

    def u8(self) -> int:
        """An unsigned byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """A little-endian unsigned 16-bit integer."""
        return self._fixed(_U16)

    def u32(self) -> int:
        """A little-endian unsigned 32-bit integer."""
        return self._fixed(_U32)

    def u64(self) -> int:
        """A little-endian unsigned 64-bit integer."""
        return self._fixed(_U64)

    def i64(self) -> int:
        """A little-endian signed 64-bit integer."""
        return self._fixed(_I64)

    def compact_size(self) -> int:
        """A compact size in its shortest form; :class:`NonCanonical` for any longer one."""
        value, self._position = read_compact_size(self._data, self._position)
        return value

    def count(self, least_size: int) -> int:
        """A compact size counting items of at least ``least_size`` bytes each that are to follow.

        Raises :class:`Truncated` when so many cannot follow, so that no caller sizes a list by a peer's word.
        """
        start = self._position
        value = self.compact_size()
        if value * least_size > self.remaining:
            self._position = start
            raise Truncated(f"{value} items announced, {self.remaining} bytes left")
        return value

    def var_bytes(self, limit: int) -> bytes:
        """Bytes behind their compact size; :class:`DecodeError` when they are more than ``limit``."""
        size, start = read_compact_size(self._data, self._position)
        if size > limit:
            raise DecodeError(f"{size} bytes, at most {limit} allowed")
        end = start + size
        if end > len(self._data):
            raise Truncated(f"{size} bytes announced, fewer left")
        self._position = end
        return self._data[start:end]

    def finish(self) -> None:
        """Raises :class:`NonCanonical` when bytes are left over."""
        if self.remaining:
            raise NonCanonical(f"{self.remaining} bytes after the end")
