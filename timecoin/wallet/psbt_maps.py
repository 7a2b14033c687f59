"""The outermost layer of a PSBT: magic bytes and lists of key-value pairs (BIP 174, section Specification).

Nothing is understood here but that the pairs are whole, in the shortest form and each key there once. Written out,
the pairs of a map stand in ascending order of their keys, so that one content has one form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from timecoin.primitives.codec import DecodeError, Reader, var_bytes
from timecoin.wallet.psbt_errors import MalformedPsbt

MAGIC: Final = b"psbt\xff"

MAX_PSBT_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a PSBT, at most: what 2,000 inputs need with a previous transaction of 2 KB each."""

MAX_PAIRS: Final = 5_000
"""Pairs of one map, at most."""

_SEPARATOR: Final = b"\x00"

Pairs: TypeAlias = dict[bytes, bytes]
"""One map: key (type and key data) to value."""


def read_global(data: bytes) -> tuple[Pairs, Reader]:
    """The global map of ``data`` and a reader that stands behind it.

    Raises :class:`~timecoin.wallet.psbt_errors.MalformedPsbt`.
    """
    if len(data) > MAX_PSBT_BYTES:
        raise MalformedPsbt(f"{len(data)} bytes, at most {MAX_PSBT_BYTES} are taken")
    if data[: len(MAGIC)] != MAGIC:
        raise MalformedPsbt("Invalid PSBT magic bytes")
    reader = Reader(data, len(MAGIC))
    return read_map(reader), reader


def read_map(reader: Reader) -> Pairs:
    """The next map, with its separator; raises as :func:`read_global`."""
    pairs: Pairs = {}
    try:
        while key := reader.var_bytes(MAX_PSBT_BYTES):
            if key in pairs:
                raise MalformedPsbt(f"Duplicate Key {key[:40].hex()}")
            pairs[key] = reader.var_bytes(MAX_PSBT_BYTES)
            if len(pairs) > MAX_PAIRS:
                raise MalformedPsbt(f"a map has at most {MAX_PAIRS} pairs here")
    except DecodeError as error:
        if isinstance(error, MalformedPsbt):
            raise
        raise MalformedPsbt(str(error)) from error
    return pairs


def write(maps: Iterable[Mapping[bytes, bytes]]) -> bytes:
    """The serialisation of maps, the global one first."""
    parts = [MAGIC]
    for pairs in maps:
        parts.extend(var_bytes(key) + var_bytes(pairs[key]) for key in sorted(pairs))
        parts.append(_SEPARATOR)
    return b"".join(parts)
