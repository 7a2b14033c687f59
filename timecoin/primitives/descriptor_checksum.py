"""The checksum of output descriptors (BIP 380), a symbol at a time by a table: blocks are shown with thousands of them.

``embit`` has the same, ten times slower; tests hold this to it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["with_checksum"]

_INPUT: Final = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
_OUTPUT: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_LOW: Final = (1 << 35) - 1
_LENGTH: Final = 8
_PLACES: Final = {character: place for place, character in enumerate(_INPUT)}


def _combination(top: int) -> int:
    found = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            found ^= generator
    return found


_TABLE: Final = tuple(_combination(top) for top in range(32))


def _symbols(text: str) -> list[int]:
    """BIP 380's expansion: the low five bits of each character, and after each three their high bits."""
    found: list[int] = []
    groups = count = 0
    for character in text:
        place = _PLACES[character]
        found.append(place & 31)
        groups, count = groups * 3 + (place >> 5), count + 1
        if count == 3:
            found.append(groups)
            groups = count = 0
    if count:
        found.append(groups)
    return found


def with_checksum(text: str) -> str:
    """A descriptor with ``#`` and its checksum; KeyError for a character that descriptors do not have."""
    table, state = _TABLE, 1
    for symbol in (*_symbols(text), *(0,) * _LENGTH):
        state = (state & _LOW) << 5 ^ symbol ^ table[state >> 35]
    state ^= 1
    return f"{text}#" + "".join(_OUTPUT[state >> 5 * (7 - n) & 31] for n in range(_LENGTH))
