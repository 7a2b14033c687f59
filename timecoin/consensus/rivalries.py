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

MAX_BYTES = 4 << 20
"""Of the transactions of all rivalries of an epoch together; the oldest go first."""


class Rivalry(NamedTuple):
    """Two transactions that spend one coin, and whose votes for each are known, by signer."""

    txs: tuple[Transaction, Transaction]
    votes: tuple[dict[int, Bundle], dict[int, Bundle]]

    @property
    def size(self) -> int:
        """Bytes of both transactions."""
        return sum([tx.size for tx in self.txs])

    def voted(self, bundle: Bundle, txid: Hash) -> RivalVotes | None:
        """A vote for one of the two; returns what it proves, the first time that its signer is seen with both."""
        side = 0 if self.txs[0].txid == txid else 1
        if bundle.signer in self.votes[side]:
            return None
        self.votes[side][bundle.signer] = bundle
        first, second = [votes.get(bundle.signer) for votes in self.votes]
        if first is None or second is None:
            return None
        one, other = self.txs
        return RivalVotes(bundle.signer, (one.txid, other.txid), (first, second), self.txs)


class Rivalries:
    """The settled rivalries of one epoch, ``by_txid`` for both of each."""

    def __init__(self) -> None:
        self._held: deque[Rivalry] = deque()
        self.by_txid: dict[Hash, list[Rivalry]] = {}
        self._size = 0

    def add(
        self, winner: Transaction, loser: Transaction, votes: tuple[Iterable[Bundle], Iterable[Bundle]]
    ) -> list[RivalVotes]:
        """Remember two rivals; returns what the bundles that voted for each so far prove."""
        if any(loser in each.txs for each in self.by_txid.get(winner.txid, ())):
            return []
        winners, losers = votes
        rivalry = Rivalry((winner, loser), ({bundle.signer: bundle for bundle in winners}, {}))
        self._held.append(rivalry)
        self._size += rivalry.size
        for tx in rivalry.txs:
            self.by_txid.setdefault(tx.txid, []).append(rivalry)
        while self._size > MAX_BYTES:
            self._drop_oldest()
        found = [rivalry.voted(bundle, loser.txid) for bundle in losers]
        return [each for each in found if each is not None]

    def _drop_oldest(self) -> None:
        oldest = self._held.popleft()
        self._size -= oldest.size
        for tx in oldest.txs:
            self.by_txid[tx.txid].remove(oldest)
            if not self.by_txid[tx.txid]:
                del self.by_txid[tx.txid]

    def voted(self, bundle: Bundle, txid: Hash) -> list[RivalVotes]:
        """A vote of ``bundle`` for ``txid``; returns what it proves."""
        found = [rivalry.voted(bundle, txid) for rivalry in self.by_txid[txid]]
        return [each for each in found if each is not None]
