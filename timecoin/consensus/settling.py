"""What becomes of transactions: certified, final, rejected, and the events that tell it (R3, R4, R12)."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.consensus import events as ev
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.finalityview import FinalityView
from timecoin.consensus.tally import Tally
from timecoin.mempool.entry import Entry, all_ancestors, descendants
from timecoin.mempool.errors import RivalFinal
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction

REJECTED_RIVAL = RivalFinal.code
REJECTED_PARENT = "parent-rejected"
REJECTED_EXPIRED = "expired"


class Settling(FinalityView):
    """Marks entries, takes them out, and keeps the events in order."""

    def _begin(self) -> None:
        super()._begin()
        self._events: list[ev.Event] = []
        self._version = 0

    def take_events(self) -> list[ev.Event]:
        """Return what happened since the last call, in order."""
        taken, self._events = self._events, []
        return taken

    def _enter_certified(self, tally: Tally) -> None:
        entry = tally.entry
        if entry is None or entry.certified:
            return
        self.pool.certify(entry)
        self._certified.add(entry)
        for rival in self.pool.rivals(entry):
            if rival.certified:
                bundles = [*self.certificate(rival.txid), *tally.vote_bundles]
                self._violated(ev.Breach.RIVAL_CERTIFICATES, (rival.txid, entry.txid), bundles)

    def _violated(self, breach: ev.Breach, txids: tuple[Hash, ...], bundles: Sequence[Bundle]) -> None:
        self._events.append(ev.Violation(breach, txids, tuple(bundles)))

    def _settle(self, tally: Tally, now: int) -> None:
        """An ack quorum: the transaction and its ancestors are final, their rivals rejected (R3, R4)."""
        entry = tally.entry
        if entry is None:
            return
        family = sorted(all_ancestors(entry), key=lambda each: each.order)
        for each in [*family, entry]:
            if not each.final:
                self._mark_final(each, now, archived=False)

    def _mark_final(self, entry: Entry, now: int, *, archived: bool) -> None:
        self.pool.finalize(entry)
        milliseconds = max(0, now - entry.first_seen)
        self._final_ms[entry.txid] = milliseconds
        self._events.append(ev.Final(entry.txid, milliseconds, archived))
        for rival in self.pool.rivals(entry):
            if rival.txid in self.pool:
                self._reject(rival, REJECTED_RIVAL, entry.tx)

    def _evict(self, entry: Entry) -> None:
        self._remove(entry, None)
        self._events.append(ev.Evicted(entry.txid))

    def _remove(self, entry: Entry, winner: Transaction | None) -> None:
        self.pool.remove(entry)
        self._certified.discard(entry)
        if winner is not None:
            self.counter.settled(winner, entry.tx)
        self.counter.tallies.unkeep(entry.txid, winner.txid if winner is not None else None)
        self._version += 1

    def _reject(self, entry: Entry, code: str, winner: Transaction | None = None) -> None:
        """Take ``entry`` and everything that spends from it out for good."""
        for child in reversed(descendants(entry)):
            self._reject_one(child, REJECTED_PARENT, None)
        self._reject_one(entry, code, winner)

    def _reject_one(self, entry: Entry, code: str, winner: Transaction | None) -> None:
        self._remove(entry, winner)
        self._reasons[entry.txid] = code
        self._events.append(ev.Rejected(entry.txid, code))
