"""Hash functions of the protocol and the two orders in which hashes are written.

A ``Hash`` is 32 bytes in *wire order*, as it comes out of SHA-256. People see it reversed (as Bitcoin shows
txids), and wherever the protocol sorts txids or block hashes it sorts them as people see them.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from embit.hashes import ripemd160 as _ripemd160

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = [
    "HASH_SIZE",
    "ZERO",
    "Hash",
    "display",
    "display_order",
    "hash160",
    "parse_display",
    "sha256",
    "sha256d",
    "tagged_hash",
]

Hash: TypeAlias = bytes
"""32 bytes in wire order."""

HASH_SIZE = 32
ZERO: Hash = bytes(HASH_SIZE)
"""The hash that stands for *none*."""

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")

_sha256 = hashlib.sha256


def sha256(data: bytes) -> Hash:
    """SHA-256 of ``data``."""
    return _sha256(data).digest()


def sha256d(data: bytes) -> Hash:
    """SHA-256 of the SHA-256 of ``data``: Bitcoin's hash of transactions, headers and merkle nodes."""
    return _sha256(_sha256(data).digest()).digest()


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of the SHA-256 of ``data``: 20 bytes, the program of a P2WPKH output."""
    digest: bytes = _ripemd160(_sha256(data).digest())
    return digest


@lru_cache(maxsize=64)
def _tag_midstate(tag: str) -> _Hash:
    tag_hash = sha256(tag.encode("utf-8"))
    return _sha256(tag_hash + tag_hash)


def tagged_hash(tag: str, body: bytes) -> Hash:
    """``SHA256(SHA256(tag) ‖ SHA256(tag) ‖ body)`` (BIP 340's tagged hash; protocol.md section 4).

    A signature over one kind of message can so never be shown as one over another kind.
    """
    state = _tag_midstate(tag).copy()
    state.update(body)
    return state.digest()


def display(value: Hash) -> str:
    """The 64 lower-case hexadecimal digits that people see: ``value`` reversed."""
    return value[::-1].hex()


def parse_display(text: str) -> Hash:
    """The hash that :func:`display` shows as ``text``.

    Raises ``ValueError`` unless ``text`` is exactly 64 hexadecimal digits; either case is taken.
    """
    if len(text) != 2 * HASH_SIZE or not _HEX_DIGITS.issuperset(text):
        raise ValueError(f"not a hash of {2 * HASH_SIZE} hexadecimal digits: {text[:80]!r}")
    return bytes.fromhex(text)[::-1]


def display_order(value: Hash) -> bytes:
    """Sort key under which hashes stand in the order of their displayed form."""
    return value[::-1]
