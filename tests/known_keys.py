"""Networks whose keys are the same in every run: what is signed over their coins is then the same, too."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from timecoin.primitives.hashes import sha256
from timecoin.primitives.signing import SignatureBackend


def known_keys(name: str) -> Callable[[SignatureBackend], bytes]:
    """For ``make_network(draw=…)``: the secrets that follow from ``name``, one after the other."""
    numbers = count()

    def draw(backend: SignatureBackend) -> bytes:
        found = (sha256(b"%s %d" % (name.encode(), n)) for n in numbers)
        return next(secret for secret in found if backend.is_secret(secret))

    return draw
