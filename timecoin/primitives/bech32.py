"""Bech32 (BIP 173) behind strict edges: embit's functions, without bech32m and with typed errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from embit import bech32 as _reference

__all__ = ["MAX_LENGTH", "Bech32Error", "decode", "encode", "from_words", "to_words"]

MAX_LENGTH: Final = 90
"""Characters in a bech32 string, at most."""

_CHECKSUM_LENGTH: Final = 6
_WORD_BITS: Final = 5
_BYTE_BITS: Final = 8


class Bech32Error(ValueError):
    """Not a bech32 string; the text says what is wrong with it."""


def encode(hrp: str, words: Sequence[int]) -> str:
    """The lower-case string of ``words`` (0 to 31 each) under the prefix ``hrp``.

    Raises :class:`Bech32Error` unless the prefix is 1 to 83 lower-case printable ASCII characters and the
    whole is at most 90 characters.
    """
    if not hrp or not all(33 <= ord(char) <= 126 for char in hrp) or hrp != hrp.lower():
        raise Bech32Error(f"not a lower-case bech32 prefix: {hrp[:MAX_LENGTH]!r}")
    if not all(0 <= word < 1 << _WORD_BITS for word in words):
        raise Bech32Error("a bech32 word has 5 bits")
    if len(hrp) + 1 + len(words) + _CHECKSUM_LENGTH > MAX_LENGTH:
        raise Bech32Error(f"more than {MAX_LENGTH} characters")
    text: str = _reference.bech32_encode(_reference.Encoding.BECH32, hrp, list(words))
    return text


def decode(text: str) -> tuple[str, list[int]]:
    """``(prefix in lower case, words without checksum)`` of a string; :class:`Bech32Error` otherwise."""
    if len(text) > MAX_LENGTH:
        raise Bech32Error(f"more than {MAX_LENGTH} characters")
    encoding, hrp, words = _reference.bech32_decode(text)
    if encoding is None:
        raise Bech32Error("not a bech32 string: mistyped, in mixed case or with characters of another kind")
    if encoding != _reference.Encoding.BECH32:
        raise Bech32Error("checksum is bech32m's")
    return hrp, words


def to_words(data: bytes) -> list[int]:
    """``data`` in groups of 5 bits, the last one filled with zeros."""
    words: list[int] = _reference.convertbits(data, _BYTE_BITS, _WORD_BITS, True)
    return words


def from_words(words: Sequence[int]) -> bytes:
    """The bytes in ``words``; :class:`Bech32Error` when the padding is a whole word or not zero."""
    data = _reference.convertbits(words, _WORD_BITS, _BYTE_BITS, False)
    if data is None:
        raise Bech32Error("padding is not zero, or longer than needed")
    return bytes(data)
