"""Rivals of which one was settled: their bodies are kept for a while, for whoever voted for both (protocol.md 3).

While both are in the pool, ``counter`` finds double votes there. Votes for the loser that come once it was rejected, or
for the winner once it is archived, are found here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import RivalVotes
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction

MAX_BYTES = 32 << 20
"""Of memory of an epoch: the transactions of all rivalries and the bundles with votes for them, which hold other
statements too; the oldest rivalries go first."""

PER_STATEMENT, PER_BUNDLE, PER_VOTE = 80, 700, 100
"""Bytes of memory: a txid in a bundle, a bundle without them, a vote's place."""


class Rivalry(NamedTuple):
    """Two transactions that spend one coin, and whose votes for each are known, by signer."""

    txs: tuple[Transaction, Transaction]
    votes: tuple[dict[int, Bundle], dict[int, Bundle]]

    @property
    def size(self) -> int:
        """Bytes of both transactions."""
        return sum([tx.size for tx in self.txs])

    def votes_for(self, txid: Hash) -> dict[int, Bundle]:
        """The votes for one of the two."""
        return self.votes[0 if self.txs[0].txid == txid else 1]

    def proof(self, signer: int) -> RivalVotes | None:
        """What the votes of ``signer`` prove."""
        first, second = [votes.get(signer) for votes in self.votes]
        if first is None or second is None:
            return None
        one, other = self.txs
        return RivalVotes(signer, (one.txid, other.txid), (first, second), self.txs)


class Rivalries:
    """The settled rivalries of one epoch, ``by_txid`` for both of each."""

    def __init__(self) -> None:
        self._held: deque[Rivalry] = deque()
        self._uses: dict[Hash, int] = {}
        self.by_txid: dict[Hash, list[Rivalry]] = {}
        self.size = 0

    def add(
        self, winner: Transaction, loser: Transaction, votes: tuple[Iterable[Bundle], Iterable[Bundle]]
    ) -> list[RivalVotes]:
        """Remember two rivals; returns what the bundles that voted for each so far prove."""
        if any(each.txs[0].txid == winner.txid for each in self.by_txid.get(loser.txid, ())):
            return []
        rivalry = Rivalry((winner, loser), ({}, {}))
        self._held.append(rivalry)
        self.size += rivalry.size
        for tx in rivalry.txs:
            self.by_txid.setdefault(tx.txid, []).append(rivalry)
        found = [
            self._record(rivalry, bundle, tx.txid)
            for tx, bundles in zip(rivalry.txs, votes, strict=True)
            for bundle in bundles
        ]
        self._shrink()
        return [each for each in found if each is not None]

    def voted(self, bundle: Bundle, txid: Hash) -> list[RivalVotes]:
        """A vote of ``bundle`` for ``txid``; returns what it proves, the first time that its signer is seen with both.
        """
        found = [self._record(rivalry, bundle, txid) for rivalry in self.by_txid[txid]]
        self._shrink()
        return [each for each in found if each is not None]

    def _record(self, rivalry: Rivalry, bundle: Bundle, txid: Hash) -> RivalVotes | None:
        votes = rivalry.votes_for(txid)
        if bundle.signer in votes:
            return None
        votes[bundle.signer] = bundle
        uses = self._uses.get(bundle.digest, 0)
        self._uses[bundle.digest] = uses + 1
        self.size += PER_VOTE + (0 if uses else _memory(bundle))
        return rivalry.proof(bundle.signer)

    def _shrink(self) -> None:
        while self.size > MAX_BYTES:
            self._drop(self._held.popleft())

    def _drop(self, rivalry: Rivalry) -> None:
        self.size -= rivalry.size
        for votes in rivalry.votes:
            for bundle in votes.values():
                self._release(bundle)
        for tx in rivalry.txs:
            self.by_txid[tx.txid].remove(rivalry)
            if not self.by_txid[tx.txid]:
                del self.by_txid[tx.txid]

    def _release(self, bundle: Bundle) -> None:
        uses = self._uses[bundle.digest] - 1
        self.size -= PER_VOTE
        if uses:
            self._uses[bundle.digest] = uses
        else:
            del self._uses[bundle.digest]
            self.size -= _memory(bundle)


def _memory(bundle: Bundle) -> int:
    return PER_BUNDLE + PER_STATEMENT * (len(bundle.votes) + len(bundle.acks))
