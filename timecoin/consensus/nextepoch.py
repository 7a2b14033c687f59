"""Bundles of the next epoch that come before its opening: kept up to a cap, not counted (protocol.md R6)."""

from __future__ import annotations

from timecoin.consensus.bundle import MAX_TXIDS, Bundle

MAX_BUNDLES = 64
"""Early bundles of one signer."""

MAX_STATEMENTS = 2 * MAX_TXIDS
"""Votes and acks in the early bundles of one signer."""


class NextEpoch:
    """Early bundles by signer; whatever exceeds the cap is dropped and comes again with the next sync."""

    def __init__(self) -> None:
        self._bundles: dict[int, dict[int, Bundle]] = {}
        self._statements: dict[int, int] = {}

    def keep(self, bundle: Bundle) -> bool:
        """Keep a verified bundle; False when it is held already or there is no room for it."""
        held = self._bundles.setdefault(bundle.signer, {})
        size = len(bundle.votes) + len(bundle.acks)
        used = self._statements.get(bundle.signer, 0)
        if bundle.sequence in held or len(held) >= MAX_BUNDLES or used + size > MAX_STATEMENTS:
            return False
        held[bundle.sequence] = bundle
        self._statements[bundle.signer] = used + size
        return True

    def take(self) -> list[Bundle]:
        """Return all by signer and sequence, and forget them."""
        found = [
            held[sequence] for _, held in sorted(self._bundles.items()) for sequence in sorted(held)
        ]
        self._bundles.clear()
        self._statements.clear()
        return found
