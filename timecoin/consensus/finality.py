"""Instant finality: transactions and bundles in, events and drafts out (protocol.md 5).

``Finality`` is pure: it is told the time, does no I/O, verifies no signature (its caller has), and tells
what happened as events.  Its rules stand in small modules: own votes and acks in ``voter``, counting in
``counter``, what follows from it in ``settling``, the pool in ``timecoin.mempool``; here they meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from timecoin.consensus import events as ev
from timecoin.consensus.admitting import Admitting
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.certified import CertifiedSet
from timecoin.consensus.closedepoch import ClosedEpoch
from timecoin.consensus.counter import Counted, Counter
from timecoin.consensus.nextepoch import NextEpoch
from timecoin.consensus.recent import RecentSet
from timecoin.consensus.settling import REJECTED_EXPIRED, REJECTED_RIVAL
from timecoin.consensus.tally import Tallies, Tally
from timecoin.consensus.voter import SLICE, Draft, Voter
from timecoin.ledger.coins import Coin
from timecoin.ledger.errors import TxInvalid
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.validation import check_inputs
from timecoin.mempool.entry import Entry
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction

LIGHT_SLICE = 20 * SLICE
"""Items between two pauses of a pass that hardly works on them."""

MAX_DEFERRED = 1_024
"""Bundles kept while a block is applied."""


class Finality(Admitting):
    """One node's finality: its pool, its own votes and acks if it is a masternode, everybody's tallies."""

    def _begin(self) -> None:
        super()._begin()
        self._next = NextEpoch()
        self._closed: ClosedEpoch | None = None
        self._deferred: list[Bundle] = []

    # Statements

    def receive(self, bundle: Bundle, now: int) -> bool:
        """Count a bundle whose signature was verified; True when it is new: journal it and pass it on.

        Bundles of other epochs and sets count nowhere; those of the next epoch are kept for its opening,
        those of the last one are looked at for what they prove.  A known bundle is counted again, which
        changes nothing unless something of it had been forgotten.
        """
        if bundle.chain_id != self.chain_id:
            return False
        if bundle.epoch == self.epoch + 1:
            self._next.keep(bundle)
            return False
        if bundle.epoch == self.epoch - 1 and self._closed is not None:
            self._events.extend(self._closed.receive(bundle))
            return False
        if not self._counts_here(bundle):
            return False
        if self._applying:
            if len(self._deferred) < MAX_DEFERRED:
                self._deferred.append(bundle)
            return False
        return self._receive(bundle, now)

    def wants_late(self, bundle: Bundle) -> bool:
        """Tell whether a bundle of the epoch before may prove something: it counts nowhere any more (R12)."""
        closed = self._closed
        return closed is not None and bundle.epoch == closed.epoch and closed.is_news(bundle)

    def tallies_of(self, epoch: int) -> Tallies | None:
        """What was counted in the open epoch, or in the one before if it was closed here."""
        if epoch == self.epoch:
            return self.counter.tallies
        return self._closed.counter.tallies if self._closed is not None and self._closed.epoch == epoch else None

    def _counts_here(self, bundle: Bundle) -> bool:
        members = self.members
        return bundle.epoch == self.epoch and bundle.set_hash == members.set_hash and bundle.signer < len(members)

    def _receive(self, bundle: Bundle, now: int) -> bool:
        counted = self.counter.count(bundle)
        if bundle.signer == self.signer and bundle.sequence > self.voter.sequence:
            self.voter.restore(bundle, self.is_archived)
        self._react(counted, bundle.signer, now)
        return counted.fresh

    def restore_bundle(self, bundle: Bundle, now: int) -> None:
        """Take a journaled bundle of the open epoch back, own ones with their locks, acks and seal."""
        if self._counts_here(bundle):
            self._receive(bundle, now)

    def _react(self, counted: Counted, signer: int, now: int) -> None:
        if counted.unknown:
            self._events.append(ev.Unknown(tuple(counted.unknown), signer))
        self._events.extend(counted.offences)
        for tally in counted.certified:
            self._certify(tally)
        for txid in counted.backed:
            self._events.append(ev.Backed(txid))
        for tally in counted.final:
            self._settle(tally, now)

    def _certify(self, tally: Tally) -> None:
        self._events.append(ev.Certified(tally.txid))
        if tally.winner is not None:
            self._violated(ev.Breach.RIVAL_CERTIFICATES, (tally.winner, tally.txid), tally.vote_bundles)
        if tally.entry is not None:
            self._enter_certified(tally)
            self._advance_certified(tally.entry)

    def _advance_certified(self, entry: Entry) -> None:
        self.voter.step(entry)
        if entry.children:
            self.voter.run(entry.children.values())

    # My own statements

    @property
    def has_draft(self) -> bool:
        """Would ``draft`` return anything?"""
        return not self._applying and self.voter.has_draft

    def draft(self) -> Draft | None:
        """Take the content of my next bundle, or None.

        The caller signs the bundle, makes it durable, and only then gives it to ``receive``.
        """
        return None if self._applying else self.voter.draft()

    def seal(self, now: int) -> None:
        """Seal the epoch (R9): what is acked so far goes out with the seal flag, nothing is acked after."""
        self.voter.seal()

    # Blocks

    def apply(
        self,
        transactions: Sequence[Transaction],
        *,
        closing: bool,
        members: PowerSet,
        signer: int | None,
        now: int,
    ) -> Iterator[None]:
        """Take in a decided block, in slices of a few milliseconds; exhaust the iterator.

        ``transactions`` in block order, with or without coinbase; the chain view is at the new tip already.
        ``members`` and ``signer`` are those of the epoch open after it.
        """
        self._applying = True
        self._version += 1
        return self._apply(transactions, closing, members, signer, now)

    def _apply(
        self,
        transactions: Sequence[Transaction],
        closing: bool,
        members: PowerSet,
        signer: int | None,
        now: int,
    ) -> Iterator[None]:
        freed: dict[Hash, Entry] = {}
        was_unlocked = bool(self.voter.unlocked)
        block = {tx.txid for tx in transactions}
        for done, tx in enumerate(transactions, 1):
            self._archive(tx, block, freed, now)
            if not done % SLICE:
                yield
        if closing:
            yield from self._close(members, signer)
        elif was_unlocked and not self.voter.unlocked:
            yield from self.voter.passing(list(self.pool))
        else:
            yield from self._retry_after_block(freed)
        yield from self._finish(closing, now)

    def _archive(self, tx: Transaction, block: set[Hash], freed: dict[Hash, Entry], now: int) -> None:
        if tx.is_coinbase:
            return
        txid = tx.txid
        entry = self.pool.get(txid)
        if entry is not None:
            self._archive_entry(entry, block, freed, now)
        for outpoint in tx.outpoints():
            for rival in self.pool.spenders(outpoint):
                if rival.txid in self.pool:
                    self._reject(rival, REJECTED_RIVAL, tx)
        self._archived.add(txid)
        self.counter.waste.archived()
        self.counter.tallies.remove(txid)
        self.voter.archived(txid)
        self.voter.locks.spent(tx.outpoints())
        waiting = self.orphans.take(txid)
        if waiting:
            self._events.append(ev.ParentsKnown(tuple(waiting)))

    def _archive_entry(self, entry: Entry, block: set[Hash], freed: dict[Hash, Entry], now: int) -> None:
        if not entry.final:
            self._mark_final(entry, now, archived=True)
        children = [child for txid, child in entry.children.items() if txid not in block]
        self.pool.remove(entry)
        self._certified.discard(entry)
        for child in children:
            freed[child.txid] = child
            child.coins = self._fresh_coins(child, entry.txid)

    def _fresh_coins(self, child: Entry, parent: Hash) -> tuple[Coin, ...]:
        """The coins of ``child``, those that ``parent`` made as they are now in the UTXO set."""
        return tuple([
            (self.chain.coin(outpoint) or coin) if outpoint[:32] == parent else coin
            for outpoint, coin in zip(child.outpoints, child.coins, strict=True)
        ])

    def _retry_after_block(self, freed: dict[Hash, Entry]) -> Iterator[None]:
        candidates = {entry.txid: entry for entry in self.voter.take_waiting()} | freed
        yield from self.voter.passing([entry for entry in candidates.values() if entry.txid in self.pool])

    # The border

    def _close(self, members: PowerSet, signer: int | None) -> Iterator[None]:
        """Open the next epoch: what was said in the old one lapses, what is pending is voted anew (R5)."""
        old_voter, old_closed = self.voter, self._closed
        closed = ClosedEpoch(self.epoch, self.counter, self._archived, self.chain, self.pool)
        self._closed = closed
        self.epoch += 1
        self.voter = Voter(self.params, self.chain, self.pool, signer, self.epoch)
        self.voter.may_sign = old_voter.may_sign
        self.counter = Counter(members, self.pool, self.is_archived, watched=True)
        self._certified = CertifiedSet()
        self._archived = RecentSet()
        yield
        for violations in closed.unarchived_finals(LIGHT_SLICE):
            self._events.extend(violations)
            yield
        yield from self._reopen_all()
        yield from self.voter.passing(list(self.pool))
        yield from old_voter.locks.drain(LIGHT_SLICE)
        if old_closed is not None:
            yield from old_closed.drain(LIGHT_SLICE)

    def _reopen_all(self) -> Iterator[None]:
        announced: list[Hash] = []
        for done, entry in enumerate(list(self.pool), 1):
            if entry.txid in self.pool and self._reopen(entry) and entry.local:
                announced.append(entry.txid)
            if not done % SLICE:
                yield
        if announced:
            self._events.append(ev.Reopened(tuple(txid for txid in announced if txid in self.pool)))

    def _reopen(self, entry: Entry) -> bool:
        """Carry a pending transaction over the border; False when it is rejected."""
        self.pool.lapse(entry)
        entry.voted = entry.acked = False
        entry.openings += 1
        if entry.openings > self.params.pending_epochs:
            self._reject(entry, REJECTED_EXPIRED)
            return False
        try:
            check_inputs(self.params, self.chain.registry, self.epoch, entry.tx, entry.coins)
        except TxInvalid as error:
            self._reject(entry, error.code)
            return False
        self.counter.tallies.settle(entry)
        return True

    def _finish(self, closing: bool, now: int) -> Iterator[None]:
        self._applying = False
        late, self._late = self._late, []
        self.voter.run([entry for entry in late if entry.txid in self.pool])
        early = self._next.take() if closing else []
        deferred, self._deferred = self._deferred, []
        for bundle in [*deferred, *early]:
            if self._counts_here(bundle) and self._receive(bundle, now):
                self._events.append(ev.Fresh(bundle))
            yield
