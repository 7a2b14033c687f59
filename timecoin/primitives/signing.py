"""ECDSA over secp256k1 by two interchangeable backends that accept and make exactly the same signatures.

A signature is valid iff it is strict DER (BIP 66) or 64 bytes, 1 ≤ r < n, 1 ≤ s ≤ n / 2 (low S), the key is a
compressed encoding of a point on the curve, and the equation holds. ``coincurve`` (libsecp256k1) is the fast
backend and gives the interpreter's lock away while it works; ``ecdsa`` runs wherever Python does and is what
the fast one is tested against.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

__all__ = [
    "DEFAULT",
    "SignatureBackend",
    "SignatureCheck",
    "Verifiable",
    "check_all",
    "get_backend",
]

DEFAULT: Final = "coincurve"
"""Name of the backend that a node uses unless it is told otherwise."""


class SignatureBackend(Protocol):
    """What a backend can do. Methods are pure and may be called from any thread."""

    def public_key(self, secret: bytes) -> bytes:
        """The 33-byte compressed key of a 32-byte secret; ``ValueError`` unless :meth:`is_secret`."""
        ...

    def sign(self, secret: bytes, digest: bytes) -> bytes:
        """A DER signature of the 32-byte ``digest``: RFC 6979 nonce with SHA-256, low S.

        Raises ``ValueError`` for a bad secret or a digest of another length.
        """
        ...

    def sign_compact(self, secret: bytes, digest: bytes) -> bytes:
        """The signature of :meth:`sign` as r ‖ s, 64 big-endian bytes; raises as :meth:`sign`."""
        ...

    def verify(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether a DER ``signature`` (without hash type) of ``digest`` by ``key`` is valid; never raises."""
        ...

    def verify_compact(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether a 64-byte ``signature`` of ``digest`` by ``key`` is valid; never raises."""
        ...

    def is_public_key(self, key: bytes) -> bool:
        """Whether ``key`` is 33 bytes that encode a point on the curve; never raises."""
        ...

    def is_secret(self, secret: bytes) -> bool:
        """Whether ``secret`` is 32 bytes of a number from 1 to n - 1; never raises."""
        ...


class SignatureCheck(NamedTuple):
    """One signature to verify: DER, or 64 bytes when ``compact``."""

    key: bytes
    digest: bytes
    signature: bytes
    compact: bool = False

    def holds(self, backend: SignatureBackend) -> bool:
        """Whether ``backend`` finds the signature valid."""
        if self.compact:
            return backend.verify_compact(self.key, self.digest, self.signature)
        return backend.verify(self.key, self.digest, self.signature)


class Verifiable(Protocol):
    """Anything that a backend can find to hold: one signature, or several that depend on each other."""

    def holds(self, backend: SignatureBackend) -> bool:
        """Whether ``backend`` finds it valid."""
        ...


def check_all(backend: SignatureBackend, checks: Iterable[Verifiable]) -> bool:
    """Whether all ``checks`` hold; stops at the first that does not."""
    return all(check.holds(backend) for check in checks)


def _coincurve() -> SignatureBackend:
    from .signing_coincurve import CoincurveBackend

    return CoincurveBackend()


def _ecdsa() -> SignatureBackend:
    from .signing_ecdsa import EcdsaBackend

    return EcdsaBackend()


_BACKENDS: Final = {"coincurve": _coincurve, "ecdsa": _ecdsa}


def get_backend(name: str = DEFAULT) -> SignatureBackend:
    """The backend called ``name``: ``coincurve`` or ``ecdsa``.

    Only the library that is asked for is imported. Raises ``ValueError`` for another name and ``ImportError``
    when the library is missing.
    """
    if name not in _BACKENDS:
        raise ValueError(f"no signature backend {name!r}; there are {', '.join(sorted(_BACKENDS))}")
    return _BACKENDS[name]()
