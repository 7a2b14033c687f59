"""Bodies that bundles named and nobody sent: whom to ask for them again (R5)."""

from __future__ import annotations

from collections.abc import Iterable

from timecoin.consensus.tally import Tally, signers_of
from timecoin.primitives.hashes import Hash

MAX_ASKED_AGAIN = 256
"""Bodies that one signer named and nobody sent, asked for again in one sync interval: it may have made them up, and
whoever asks too much is slowed."""


def by_signer(wanted: Iterable[Tally], turn: int) -> list[tuple[int, tuple[Hash, ...]]]:
    """(signer, txids to ask it for), by signer; with each ``turn`` another one of those that named a body."""
    asked: dict[int, list[Hash]] = {}
    for tally in wanted:
        signers = tuple(signers_of(tally.votes | tally.acks))
        txids = asked.setdefault(signers[turn % len(signers)], [])
        if len(txids) < MAX_ASKED_AGAIN:
            txids.append(tally.txid)
    return [(signer, tuple(txids)) for signer, txids in sorted(asked.items())]
