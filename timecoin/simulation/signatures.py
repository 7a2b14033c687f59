"""Signature checks of a whole network: real ones, but each is done once and remembered for all nodes."""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.primitives.signing import SignatureBackend, Verifiable, check_all

MAX_REMEMBERED = 200_000


class SharedSignatures:
    """A signature backend that remembers what it verified; when full it forgets everything and begins anew."""

    def __init__(self, backend: SignatureBackend) -> None:
        self._backend = backend
        self._known: dict[tuple[bytes, bytes, bytes], bool] = {}
        self.public_key = backend.public_key
        self.sign = backend.sign
        self.sign_compact = backend.sign_compact
        self.is_public_key = backend.is_public_key
        self.is_secret = backend.is_secret
        self.asked = 0

    def all_hold(self, checks: Iterable[Verifiable]) -> bool:
        """Whether all of them hold."""
        return check_all(self, checks)

    def verify(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """As the backend's, by DER."""
        return self._remembered(key, digest, signature, compact=False)

    def verify_compact(self, key: bytes, digest: bytes, signature: bytes) -> bool:
        """As the backend's, by 64 bytes."""
        return self._remembered(key, digest, signature, compact=True)

    def _remembered(self, key: bytes, digest: bytes, signature: bytes, *, compact: bool) -> bool:
        # A DER signature is never 64 bytes of r and s that verify as such, and the other way round.
        self.asked += 1
        question = (key, digest, signature)
        verdict = self._known.get(question)
        if verdict is None:
            verify = self._backend.verify_compact if compact else self._backend.verify
            verdict = verify(key, digest, signature)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[question] = verdict
        return verdict
