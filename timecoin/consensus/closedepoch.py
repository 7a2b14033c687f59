"""The epoch before the open one: its late bundles prove things and count nowhere (protocol.md 3, R12)."""

from __future__ import annotations

from collections.abc import Iterator

from timecoin.consensus import events as ev
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.counter import Counter
from timecoin.consensus.recent import RecentSet
from timecoin.consensus.sequences import Seen
from timecoin.consensus.tally import Tally
from timecoin.mempool.chainview import ChainView
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import Hash


class ClosedEpoch:
    """What was said in an epoch that was closed here, live, about what is not in its blocks."""

    def __init__(
        self, epoch: int, counter: Counter, archived: RecentSet, chain: ChainView, pool: Pool
    ) -> None:
        """Take over ``counter`` and ``archived`` txids of ``epoch``; the chain is at its closing block."""
        self.epoch = epoch
        self.counter = counter
        self._archived = archived
        self._chain, self._pool = chain, pool
        self._height = chain.height
        counter.is_archived = self._is_archived

    def _is_archived(self, txid: Hash) -> bool:
        if txid in self._archived:
            return True
        place = None if self._archived.complete else self._chain.archived(txid)
        return place is not None and place[0] <= self._height

    def unarchived_finals(self, slice_size: int) -> Iterator[list[ev.Event]]:
        """Yield, slice by slice, the violations that are plain at the border."""
        found: list[ev.Event] = []
        for done, tally in enumerate(self.counter.tallies, 1):
            if tally.final:
                found.append(self._final_not_archived(tally))
            if not done % slice_size:
                yield found
                found = []
        yield found

    def is_news(self, bundle: Bundle) -> bool:
        """Tell whether a late bundle is worth verifying: of a member, and not seen yet."""
        counter = self.counter
        if bundle.set_hash != counter.members.set_hash or bundle.signer >= len(counter.members):
            return False
        return counter.sequences[bundle.signer].look(bundle) is not Seen.KNOWN

    def receive(self, bundle: Bundle) -> list[ev.Event]:
        """Look at a late bundle whose signature was verified; return what it proves."""
        counter = self.counter
        if not self.is_news(bundle):
            return []
        counted = counter.count(bundle)
        found: list[ev.Event] = [*counted.offences]
        found += [self._final_not_archived(tally) for tally in counted.final]
        for tally in counted.certified:
            found += self._rival_certificates(tally)
        return found

    def drain(self, slice_size: int) -> Iterator[None]:
        """Give the memory back in slices."""
        return self.counter.tallies.drain(slice_size)

    def _final_not_archived(self, tally: Tally) -> ev.Violation:
        return ev.Violation(ev.Breach.FINAL_NOT_ARCHIVED, (tally.txid,), tuple(tally.ack_bundles))

    def _rival_certificates(self, tally: Tally) -> list[ev.Event]:
        winners: dict[Hash, list[Bundle]] = {} if tally.winner is None else {tally.winner: []}
        for rival in self._pool.rivals(tally.entry) if tally.entry is not None else ():
            other = self.counter.tallies.get(rival.txid)
            if other is not None and other.certified:
                winners[rival.txid] = other.vote_bundles
        return [
            ev.Violation(ev.Breach.RIVAL_CERTIFICATES, (winner, tally.txid), (*bundles, *tally.vote_bundles))
            for winner, bundles in winners.items()
        ]
