"""How transactions come into the pool, with what was said about them before (protocol.md R1, R4, R5)."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.consensus import events as ev
from timecoin.consensus.counter import Counted
from timecoin.consensus.settling import Settling
from timecoin.consensus.tally import Tally
from timecoin.ledger.errors import MissingInputs, TxInvalid
from timecoin.ledger.validation import check_inputs
from timecoin.mempool import admission
from timecoin.mempool.admission import Prepared
from timecoin.mempool.entry import Entry, all_ancestors
from timecoin.mempool.errors import AlreadyKnown, Conflict, PoolFull, RivalFinal
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction

MAX_LOCKS = 1 << 20
"""Locks in memory above which nothing that I voted for is evicted: its locks would stay in any case."""


class Admitting(Settling):
    """Takes transactions, prepared and verified outside, and lets them vote as soon as they may."""

    def _begin(self) -> None:
        super()._begin()
        self._applying = False
        self._late: list[Entry] = []

    def prepare(self, tx: Transaction) -> Prepared:
        """Validate all of ``tx`` but its signatures.

        :raises TxInvalid: when it can never be valid, whatever its witness; also for a malformed witness.
        :raises AlreadyKnown: when it is in the pool or archived.
        :raises MissingParents: see ``orphans``.
        """
        try:
            return admission.prepare(
                self.params, self.chain, self.pool, tx, epoch=self.epoch, version=self._version
            )
        except TxInvalid as error:
            self._look_for_breach(tx.txid, error)
            self._look_for_rival_votes(tx, error)
            self.counter.tallies.unkeep(tx.txid)
            if tx.txid in self.voter.unlocked:
                self.restore_locks(tx)
            raise

    def _look_for_breach(self, txid: Hash, error: TxInvalid) -> None:
        """A quorum of this epoch for a coin that the decided chain has spent otherwise: R12."""
        if isinstance(error, MissingInputs) and not self._applying and self.has_certificate(txid):
            self._violated(ev.Breach.RIVAL_CERTIFICATES, (txid,), self.certificate(txid))

    def _look_for_rival_votes(self, tx: Transaction, error: TxInvalid) -> None:
        """Its rival is final: who voted for both? Bodies that nobody voted for are not kept: they are not verified."""
        tally = self.counter.tallies.get(tx.txid)
        if not isinstance(error, RivalFinal) or tally is None or not tally.votes:
            return
        for outpoint in tx.outpoints():
            for rival in self.pool.spenders(outpoint):
                if rival.final:
                    self._events.extend(self.counter.settled(rival.tx, tx))

    def admit(self, prepared: Prepared, now: int, *, local: bool = False) -> None:
        """Take a prepared transaction whose ``checks`` hold.

        ``local``: it was submitted here, so it is never evicted, and announced again when an epoch opens.

        Its inputs are looked at again if anything has changed since it was prepared.

        :raises Conflict: when a coin has two spenders already and no third of the power voted for this (R5).
        :raises PoolFull: when it pays too little to come in.
        :raises AlreadyKnown, MissingParents, TxInvalid: as ``prepare``.
        """
        self._admit(prepared, now, local=local, forced=False)

    def restore_body(self, prepared: Prepared, first_seen: int, *, local: bool, openings: int = 0) -> None:
        """Take a journaled transaction back, whatever its rivals and however full the pool.

        Raises as ``admit``; what is refused goes to ``restore_locks``.

        ``first_seen`` in milliseconds, ``openings`` as in ``Entry``.  In any order with ``restore_bundle``.
        """
        entry = self._admit(prepared, first_seen, local=local, forced=True)
        entry.openings = openings

    def restore_locks(self, tx: Transaction) -> None:
        """Take the locks of a journaled vote back whose transaction ``prepare`` or ``restore_body`` refuses.

        Until the inputs of each of my journaled votes are known, no vote is given (see ``Voter.unlocked``).
        """
        was_unlocked = bool(self.voter.unlocked)
        if not self.is_archived(tx.txid):
            # Its body is seen, and not kept: my own bundles that name it use up nobody's allowance.
            self.counter.tallies.open(tx.txid)
            self.counter.tallies.unkeep(tx.txid)
        self.voter.restore_locks(tx.txid, tx.outpoints())
        if was_unlocked and not self.voter.unlocked:
            self.retry_all(0)

    def _admit(self, prepared: Prepared, now: int, *, local: bool, forced: bool) -> Entry:
        txid = prepared.tx.txid
        if txid in self.pool:
            raise AlreadyKnown(txid, archived=False)
        try:
            entry = self._enter(prepared, now, forced=forced or self._is_pressing(txid))
        except (Conflict, PoolFull, TxInvalid):
            self.counter.tallies.unkeep(txid)
            raise
        entry.local = local
        self._reasons.discard(txid)
        self._join(entry, now)
        return entry

    def _is_pressing(self, txid: Hash) -> bool:
        tally = self.counter.tallies.get(txid)
        if tally is None:
            return False
        return self.members.exceeds_third(tally.vote_power) or self.members.exceeds_third(tally.ack_power)

    def _enter(self, prepared: Prepared, now: int, *, forced: bool) -> Entry:
        tx = prepared.tx
        coins, parents = self._inputs(prepared)
        entry = Entry(tx, coins, prepared.fee, now)
        self._check_rivals(entry, parents, forced=forced)
        keep_voted = len(self.voter.locks) > MAX_LOCKS
        for victim in self.pool.victims(entry, parents, at_any_price=forced, keep_voted=keep_voted):
            self._evict(victim)
        self.pool.add(entry, parents)
        return entry

    def _inputs(self, prepared: Prepared) -> admission.Inputs:
        if prepared.version == self._version:
            parents = [self.pool.get(parent) for parent in prepared.parents]
            return admission.Inputs(prepared.coins, tuple([each for each in parents if each is not None]))
        found = admission.find_inputs(self.chain, self.pool, prepared.tx)
        check_inputs(self.params, self.chain.registry, self.epoch, prepared.tx, found.coins)
        return found

    def _check_rivals(self, entry: Entry, parents: Sequence[Entry], *, forced: bool) -> None:
        spenders = [self.pool.spenders(outpoint) for outpoint in entry.outpoints]
        rivals = {rival.txid: rival for each in spenders for rival in each}
        if not rivals:
            return
        for rival in rivals.values():
            if rival.final:
                raise RivalFinal(rival.txid[::-1].hex())
        lineage = {each.txid for parent in parents for each in [parent, *all_ancestors(parent)]}
        if not lineage.isdisjoint(rivals):
            raise MissingInputs("an ancestor spends the same coin")
        if not forced and max(map(len, spenders)) >= 2:
            raise Conflict(tuple(rivals))

    def _join(self, entry: Entry, now: int) -> None:
        tally = self.counter.tallies.settle(entry)
        was_unlocked = bool(self.voter.unlocked)
        self.voter.remember(entry)
        if tally.votes or tally.acks:
            self._catch_up(tally, now)
        waiting = self.orphans.take(entry.txid)
        if waiting:
            self._events.append(ev.ParentsKnown(tuple(waiting)))
        if self._applying:
            self._late.append(entry)
        elif was_unlocked and not self.voter.unlocked:
            self.retry_all(now)
        else:
            self.voter.advance(entry)

    def _catch_up(self, tally: Tally, now: int) -> None:
        counted = Counted()
        self.counter.find_rival_votes(tally, tally.votes, counted)
        self._events.extend(counted.offences)
        if tally.certified:
            self._enter_certified(tally)
        if tally.final:
            self._settle(tally, now)

    def retry_all(self, now: int) -> None:
        """Look at the whole pool again for votes and acks: signing became allowed, or a lock was found."""
        if not self._applying:
            self.voter.run(list(self.pool))
