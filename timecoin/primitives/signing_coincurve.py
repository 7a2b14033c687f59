"""The signature backend on libsecp256k1, through coincurve's public interface.

libsecp256k1 parses DER strictly, refuses high S and numbers out of range, and checks that keys are on the
curve. What it takes beyond Bitcoin's segregated witness rules, and is refused here, are keys of 65 bytes.
"""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey, verify_signature

from .ecdsa_encoding import (
    COMPACT_SIZE,
    DIGEST_SIZE,
    KEY_SIZE,
    compact_from_der,
    der_from_compact,
    is_secret,
    secret_digest,
)

__all__ = ["CoincurveBackend"]


class CoincurveBackend:
    """:class:`~timecoin.primitives.signing.SignatureBackend` on coincurve."""

    __slots__ = ()

    def public_key(self, secret: bytes) -> bytes:
        """See ``SignatureBackend``."""
        if not is_secret(secret):
            raise ValueError("a secret is 32 bytes of a number from 1 to n - 1")
        key: bytes = PublicKey.from_valid_secret(secret).format()
        return key

    def sign(self, secret: bytes, digest: bytes) -> bytes:
        """See ``SignatureBackend``."""
        reduced = secret_digest(secret, digest)
        der: bytes = PrivateKey(secret).sign(reduced, hasher=None)
        return der

    def sign_compact(self, secret: bytes, digest: bytes) -> bytes:
        """See ``SignatureBackend``."""
        return compact_from_der(self.sign(secret, digest))

    def verify(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """See ``SignatureBackend``."""
        if len(key) != KEY_SIZE or len(digest) != DIGEST_SIZE:
            return False
        try:
            return verify_signature(signature, digest, key, None)
        except ValueError:
            return False

    def verify_compact(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """See ``SignatureBackend``."""
        return len(signature) == COMPACT_SIZE and self.verify(key, digest, der_from_compact(signature))

    def is_public_key(self, key: bytes) -> bool:
        """See ``SignatureBackend``."""
        if len(key) != KEY_SIZE:
            return False
        try:
            PublicKey(key)
        except ValueError:
            return False
        return True

    def is_secret(self, secret: bytes) -> bool:
        """See ``SignatureBackend``."""
        return is_secret(secret)
