"""Checksums of output descriptors (BIP 380)."""

from __future__ import annotations

from typing import Final

from embit.descriptor.checksum import checksum as _checksum
from embit.descriptor.errors import DescriptorError

from .errors import BadDescriptor

__all__ = ["checked", "checksum", "with_checksum"]

_LENGTH: Final = 8
_LIMIT: Final = 10_000
"""Characters of a descriptor; 15 keys with origins and paths need 3,000."""


def checksum(text: str) -> str:
    """The 8 characters of *text* (without ``#``); ``BadDescriptor`` for a character that descriptors do not have."""
    if "#" in text:
        raise BadDescriptor("a descriptor has one # at most, before its checksum")
    try:
        found: str = _checksum(text)
    except DescriptorError:
        raise BadDescriptor("a character that no descriptor has") from None
    return found


def with_checksum(text: str) -> str:
    """*text* with ``#`` and its checksum."""
    return f"{text}#{checksum(text)}"


def checked(text: str, required: bool = False) -> str:
    """*text* without its checksum, which is right; it may be missing unless *required*. ``BadDescriptor``."""
    if len(text) > _LIMIT:
        raise BadDescriptor(f"a descriptor has at most {_LIMIT} characters")
    body, mark, found = text.partition("#")
    if not mark:
        if required:
            raise BadDescriptor("the checksum is missing")
        checksum(body)
        return body
    if len(found) != _LENGTH:
        raise BadDescriptor(f"a checksum has {_LENGTH} characters, not {len(found)}")
    if checksum(body) != found:
        raise BadDescriptor("the checksum is wrong: the descriptor was mistyped or altered")
    return body
