"""The operator key of a masternode as the consensus core uses it: it signs bodies and knows its public
key.
"""

from __future__ import annotations

from timecoin.primitives.signing import SignatureBackend


class OperatorIdentity:
    """A secret operator key. Signatures are deterministic (RFC 6979), so the core that holds one stays
    reproducible.
    """

    __slots__ = ("_backend", "_secret", "operator_key")

    def __init__(self, secret: bytes, backend: SignatureBackend) -> None:
        self._secret = secret
        self._backend = backend
        self.operator_key = backend.public_key(secret)

    def sign(self, digest: bytes) -> bytes:
        """The 64-byte compact low-S signature over a 32-byte digest (protocol.md 4)."""
        return self._backend.sign_compact(self._secret, digest)

    def __repr__(self) -> str:
        return f"<OperatorIdentity {self.operator_key.hex()}>"
