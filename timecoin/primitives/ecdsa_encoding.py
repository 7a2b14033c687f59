"""The two encodings of an ECDSA signature over secp256k1, and the ranges of its numbers.

Both signing backends stand on these definitions, so what they accept cannot drift apart.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "COMPACT_SIZE",
    "CURVE_ORDER",
    "DIGEST_SIZE",
    "FIELD_PRIME",
    "HALF_ORDER",
    "KEY_SIZE",
    "SECRET_SIZE",
    "compact_from_der",
    "compact_from_scalars",
    "der_from_compact",
    "der_from_scalars",
    "is_compressed_form",
    "is_secret",
    "scalars_from_compact",
    "scalars_from_der",
    "secret_digest",
]

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""n of SEC 2, section 2.4.1."""

FIELD_PRIME: Final = 2**256 - 2**32 - 977
"""p of SEC 2, section 2.4.1."""

HALF_ORDER: Final = CURVE_ORDER // 2
"""The highest S that is low (BIP 146)."""

KEY_SIZE: Final = 33
SECRET_SIZE: Final = 32
DIGEST_SIZE: Final = 32
COMPACT_SIZE: Final = 64

_ORDER_BYTES: Final = CURVE_ORDER.to_bytes(32, "big")
_NO_SECRET: Final = bytes(SECRET_SIZE)
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02


def is_compressed_form(key: bytes) -> bool:
    """Whether ``key`` is 33 bytes beginning with 2 or 3; whether it is on the curve is another question."""
    return len(key) == KEY_SIZE and key[0] in (2, 3)


def is_secret(secret: bytes) -> bool:
    """Whether ``secret`` is 32 big-endian bytes of a number from 1 to n - 1."""
    return len(secret) == SECRET_SIZE and _NO_SECRET < secret < _ORDER_BYTES


def secret_digest(secret: bytes, digest: bytes) -> bytes:
    """``digest`` as RFC 6979 feeds it to its nonce generator: reduced modulo n (section 2.3.4).

    libsecp256k1 leaves that step out, which shows for one digest in 2**128. Raises ``ValueError`` for what
    cannot be signed: a bad ``secret``, or a digest that is not 32 bytes.
    """
    if not is_secret(secret):
        raise ValueError("a secret is 32 bytes of a number from 1 to n - 1")
    if len(digest) != DIGEST_SIZE:
        raise ValueError(f"a digest has {DIGEST_SIZE} bytes, not {len(digest)}")
    if digest < _ORDER_BYTES:
        return digest
    return (int.from_bytes(digest, "big") - CURVE_ORDER).to_bytes(DIGEST_SIZE, "big")


def _in_range(r: int, s: int) -> tuple[int, int] | None:
    return (r, s) if 0 < r < CURVE_ORDER and 0 < s <= HALF_ORDER else None


def _integer(der: bytes, start: int) -> tuple[bytes, int] | None:
    """Content of the minimal non-negative DER integer at ``start``, and the position behind it."""
    content = start + 2
    if len(der) < content or der[start] != _INTEGER:
        return None
    end = content + der[start + 1]
    body = der[content:end]
    if not body or end > len(der) or body[0] & 0x80:
        return None
    if body[0] == 0 and len(body) > 1 and not body[1] & 0x80:
        return None
    return body, end


def scalars_from_der(der: bytes) -> tuple[int, int] | None:
    """``(r, s)`` of a strict DER signature with both in range and S low, None for every other byte string.

    Source: BIP 66 (without the hash type byte), BIP 146.
    """
    if not 8 <= len(der) <= 72 or der[0] != _SEQUENCE or der[1] != len(der) - 2:
        return None
    r = _integer(der, 2)
    s = _integer(der, r[1]) if r else None
    if r is None or s is None or s[1] != len(der):
        return None
    return _in_range(int.from_bytes(r[0], "big"), int.from_bytes(s[0], "big"))


def scalars_from_compact(compact: bytes) -> tuple[int, int] | None:
    """``(r, s)`` of 64 bytes with both in range and S low, None for every other byte string."""
    if len(compact) != COMPACT_SIZE:
        return None
    return _in_range(int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big"))


def compact_from_scalars(r: int, s: int) -> bytes:
    """r ‖ s, 32 big-endian bytes each; ``OverflowError`` for numbers that do not fit."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _der_integer(number: bytes) -> bytes:
    body = number.lstrip(b"\x00") or b"\x00"
    if body[0] & 0x80:
        body = b"\x00" + body
    return bytes((_INTEGER, len(body))) + body


def der_from_compact(compact: bytes) -> bytes:
    """The DER form of 64 bytes; whether the numbers are in range is not looked at."""
    body = _der_integer(compact[:32]) + _der_integer(compact[32:])
    return bytes((_SEQUENCE, len(body))) + body


def der_from_scalars(r: int, s: int) -> bytes:
    """The DER form of two numbers below 2**256."""
    return der_from_compact(compact_from_scalars(r, s))


def compact_from_der(der: bytes) -> bytes:
    """The 64-byte form of a valid DER signature; ``ValueError`` when it is none."""
    scalars = scalars_from_der(der)
    if scalars is None:
        raise ValueError("not a strict DER signature with low S")
    return compact_from_scalars(*scalars)
