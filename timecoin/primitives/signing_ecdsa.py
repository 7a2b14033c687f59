"""The portable signature backend on the pure Python package ``ecdsa``: the oracle for the fast one."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ecdsa import SECP256k1, SigningKey, VerifyingKey
from ecdsa.ellipticcurve import INFINITY
from ecdsa.errors import MalformedPointError
from ecdsa.util import sigencode_string_canonize

from .ecdsa_encoding import (
    CURVE_ORDER,
    DIGEST_SIZE,
    FIELD_PRIME,
    der_from_compact,
    is_compressed_form,
    is_secret,
    scalars_from_compact,
    scalars_from_der,
    secret_digest,
)

__all__ = ["EcdsaBackend"]

_ENCODINGS: Final = ("compressed",)


def _parse_key(key: bytes) -> VerifyingKey | None:
    if not is_compressed_form(key) or int.from_bytes(key[1:], "big") >= FIELD_PRIME:
        return None
    try:
        return VerifyingKey.from_string(key, curve=SECP256k1, valid_encodings=_ENCODINGS)
    except MalformedPointError:
        return None


def _verify(key: bytes, digest: bytes, scalars: tuple[int, int] | None) -> bool:
    parsed = _parse_key(key)
    if scalars is None or parsed is None or len(digest) != DIGEST_SIZE:
        return False
    r, s = scalars
    inverse = pow(s, -1, CURVE_ORDER)
    u1 = int.from_bytes(digest, "big") * inverse % CURVE_ORDER
    u2 = r * inverse % CURVE_ORDER
    # The package's own verify() raises TypeError when this sum is the point at infinity.
    point = SECP256k1.generator.mul_add(u1, parsed.pubkey.point, u2)
    return bool(point != INFINITY and point.x() % CURVE_ORDER == r)


class EcdsaBackend:
    """:class:`~timecoin.primitives.signing.SignatureBackend` on ecdsa."""

    __slots__ = ()

    def public_key(self, secret: bytes) -> bytes:
        """See ``SignatureBackend``."""
        if not is_secret(secret):
            raise ValueError("a secret is 32 bytes of a number from 1 to n - 1")
        key: bytes = _signing_key(secret).verifying_key.to_string("compressed")
        return key

    def sign(self, secret: bytes, digest: bytes) -> bytes:
        """See ``SignatureBackend``."""
        return der_from_compact(self.sign_compact(secret, digest))

    def sign_compact(self, secret: bytes, digest: bytes) -> bytes:
        """See ``SignatureBackend``."""
        reduced = secret_digest(secret, digest)
        compact: bytes = _signing_key(secret).sign_digest_deterministic(
            reduced, hashfunc=sha256, sigencode=sigencode_string_canonize
        )
        return compact

    def verify(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """See ``SignatureBackend``."""
        return _verify(key, digest, scalars_from_der(signature))

    def verify_compact(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """See ``SignatureBackend``."""
        return _verify(key, digest, scalars_from_compact(signature))

    def is_public_key(self, key: bytes) -> bool:
        """See ``SignatureBackend``."""
        return _parse_key(key) is not None

    def is_secret(self, secret: bytes) -> bool:
        """See ``SignatureBackend``."""
        return is_secret(secret)


def _signing_key(secret: bytes) -> SigningKey:
    return SigningKey.from_string(secret, curve=SECP256k1, hashfunc=sha256)
