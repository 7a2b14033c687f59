"""Wallet import format: a secret as people store it, base58check with the network's version byte.

Keys are always compressed, so the form without the compression mark is refused.
"""

from __future__ import annotations

from typing import Final

from embit import base58

from .ecdsa_encoding import SECRET_SIZE, is_secret

__all__ = ["WifError", "decode_wif", "encode_wif"]

_COMPRESSED: Final = b"\x01"
_LENGTH: Final = 52
"""Characters of 38 bytes in base58 with Bitcoin's version bytes."""


class WifError(ValueError):
    """Not a secret of this network in wallet import format. Never quotes the text: it may be a secret."""


def encode_wif(secret: bytes, version: int) -> str:
    """``secret`` (32 bytes) as WIF with the network's ``version`` byte (0x80 on main, 0xef on test networks).

    Raises :class:`WifError` when the secret is out of range or the version is no byte.
    """
    if not is_secret(secret) or not 0 <= version <= 0xFF:
        raise WifError("a secret is 32 bytes of a number from 1 to n - 1, a version is one byte")
    text: str = base58.encode_check(bytes((version,)) + secret + _COMPRESSED)
    return text


def decode_wif(text: str, version: int) -> bytes:
    """The 32-byte secret in ``text``, whose version byte must be ``version``; :class:`WifError` otherwise."""
    try:
        payload: bytes = base58.decode_check(text) if len(text) <= _LENGTH else b""
    except ValueError:
        raise WifError("not base58, or its checksum is wrong") from None
    secret = payload[1 : 1 + SECRET_SIZE]
    if payload[1 + SECRET_SIZE :] != _COMPRESSED or not is_secret(secret):
        raise WifError("not a secret with a compressed key")
    if payload[0] != version:
        raise WifError("the secret belongs to another network")
    return secret
