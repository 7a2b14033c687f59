"""My own votes and acks in the open epoch: when they may be given, what is to be signed (R1, R2, R9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from timecoin.consensus.bundle import MAX_TXIDS, Bundle
from timecoin.consensus.locks import Locks
from timecoin.ledger.params import Parameters
from timecoin.ledger.validation import is_final
from timecoin.mempool.chainview import ChainView
from timecoin.mempool.entry import Entry, ancestors
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint

SLICE = 128
"""Entries looked at between two pauses of a pass."""


class Draft(NamedTuple):
    """The content of my next bundle."""

    sequence: int
    votes: tuple[Hash, ...]
    acks: tuple[Hash, ...]
    seal: bool


class Voter:
    """Votes and acks of one masternode in one epoch (of nobody when ``signer`` is None).

    A vote takes its locks, and an ack its place in ``acked``, when it is queued: from then on nothing that
    contradicts it is queued, whether or not it was signed yet.  ``acked`` holds the unarchived transactions
    that I acked, known or not.  ``unlocked`` are votes of my own journal whose bodies, and so whose locks,
    are missing: while there is one, no vote is given.
    """

    def __init__(
        self, params: Parameters, chain: ChainView, pool: Pool, signer: int | None, epoch: int
    ) -> None:
        self.signer = signer
        self.may_sign = False
        self.sealed = False
        self.sequence = 0
        self.locks = Locks(epoch)
        self.acked: dict[Hash, None] = {}
        self.unlocked: set[Hash] = set()
        self.waiting: dict[Hash, None] = {}
        self._params, self._chain, self._pool = params, chain, pool
        self._votes: deque[Hash] = deque()
        self._acks: deque[Hash] = deque()
        self._seal_due = False
        self._bodiless: dict[Hash, tuple[OutPoint, ...]] = {}

    @property
    def active(self) -> bool:
        """Votes and acks may be queued now."""
        return self.may_sign and self.signer is not None

    # R1

    def vote(self, entry: Entry) -> bool:
        """Vote for ``entry`` if R1 allows it now; True when that is news.

        What only a block can change (chain length, lock time) is tried again after it, see ``waiting``.
        """
        if entry.voted or self.unlocked or not self.locks.free_for(entry):
            return False
        if not self._parents_hold(entry) or self._is_held_back(entry):
            return False
        if not self._is_short_chain(entry) or not self._is_due(entry):
            self.waiting[entry.txid] = None
            return False
        self.locks.take(entry)
        entry.voted = True
        self._votes.append(entry.txid)
        return True

    def _parents_hold(self, entry: Entry) -> bool:
        return all(parent.voted or parent.certified for parent in entry.parents.values())

    def _is_held_back(self, entry: Entry) -> bool:
        return any(rival.certified or rival.final for rival in self._pool.rivals(entry))

    def _is_short_chain(self, entry: Entry) -> bool:
        return not entry.parents or ancestors(entry, self._params.max_chain) is not None

    def _is_due(self, entry: Entry) -> bool:
        tx = entry.tx
        return not tx.lock_time or is_final(tx, self._chain.height, self._chain.last_closing_slot)

    def blocked(self, entry: Entry) -> str | None:
        """Say why there is no vote of mine for ``entry``; None when there is one or I do not vote."""
        if entry.voted or not self.active:
            return None
        if not self.locks.free_for(entry) or self._is_held_back(entry):
            return "rival"
        if not self._parents_hold(entry):
            return "parents"
        if not self._is_short_chain(entry):
            return "chain-length"
        return None if self._is_due(entry) else "lock-time"

    # R2

    def ack(self, entry: Entry) -> bool:
        """Ack ``entry`` if R2 allows it now; True when that is news."""
        if entry.acked or self.sealed or not self._is_certified(entry) or not self._parents_acked(entry):
            return False
        entry.acked = True
        self.acked[entry.txid] = None
        self._acks.append(entry.txid)
        return True

    def _is_certified(self, entry: Entry) -> bool:
        return entry.certified

    def _parents_acked(self, entry: Entry) -> bool:
        return all(parent.certified and parent.acked for parent in entry.parents.values())

    # Spreading

    def step(self, entry: Entry) -> bool:
        """Vote and ack as far as allowed; True when something was new, so that children may follow."""
        if not self.active:
            return False
        voted = self.vote(entry)
        return self.ack(entry) or voted

    def advance(self, entry: Entry) -> None:
        """Try ``entry``, then its descendants as far as one makes way for the next."""
        if self.step(entry) and entry.children:
            self.run(entry.children.values())

    def run(self, entries: Iterable[Entry]) -> None:
        """Make a whole pass at once."""
        for _ in self.passing(entries):
            continue

    def passing(self, entries: Iterable[Entry]) -> Iterator[None]:
        """Try ``entries`` and whatever they make way for, pausing every ``SLICE``.

        Uncontested ones go first, in order; rivals after them by ascending txid, so that nodes that know the
        same rivals vote for the same one (R5).
        """
        plain: deque[Entry] = deque()
        contested: list[tuple[bytes, Hash]] = []
        looked = 0
        for entry in entries:
            self._route(entry, plain, contested)
            looked += 1
            if not looked % SLICE:
                yield
        while plain or contested:
            next_entry = plain.popleft() if plain else self._pool.get(heappop(contested)[1])
            if next_entry is not None and next_entry.txid in self._pool and self.step(next_entry):
                for child in next_entry.children.values():
                    self._route(child, plain, contested)
            looked += 1
            if not looked % SLICE:
                yield

    def _route(self, entry: Entry, plain: deque[Entry], contested: list[tuple[bytes, Hash]]) -> None:
        if self._pool.is_contested(entry):
            heappush(contested, (entry.txid[::-1], entry.txid))
        else:
            plain.append(entry)

    def take_waiting(self) -> list[Entry]:
        """Take those that a block may have made votable; none of them is another's ancestor."""
        entries = [entry for txid in self.waiting if (entry := self._pool.get(txid)) is not None]
        self.waiting.clear()
        return entries

    # The queue

    def seal(self) -> None:
        """Ack nothing more in this epoch; what is queued goes out with the seal (R9)."""
        if not self.sealed:
            self.sealed = True
            self._seal_due = self.signer is not None

    @property
    def has_draft(self) -> bool:
        """Is there anything to say?"""
        return self.active and bool(self._acks or self._votes or self._seal_due)

    def draft(self) -> Draft | None:
        """Take the content of the next bundle, acks first, or None when there is nothing to say."""
        if not self.has_draft:
            return None
        acks = self._take(self._acks, MAX_TXIDS)
        votes = self._take(self._votes, MAX_TXIDS - len(acks))
        seal = self._seal_due and not self._acks
        if not (acks or votes or seal):
            return None
        if seal:
            self._seal_due = False
        self.sequence += 1
        return Draft(self.sequence, votes, acks, seal)

    def _take(self, queue: deque[Hash], limit: int) -> tuple[Hash, ...]:
        """What left the pool meanwhile is not worth saying, and its body could not be journaled with it."""
        pool = self._pool
        taken = [queue.popleft() for _ in range(min(limit, len(queue)))]
        return tuple([txid for txid in taken if txid in pool])

    # The journal

    def restore(self, bundle: Bundle, is_archived: Callable[[Hash], bool]) -> None:
        """Take back what a bundle of mine, signed before a restart, promised."""
        self.sequence = max(self.sequence, bundle.sequence)
        for txid in bundle.votes:
            entry = self._pool.get(txid)
            if entry is not None:
                self._lock_again(entry)
            elif txid in self._bodiless:
                self.locks.take_for(txid, self._bodiless[txid])
            elif not is_archived(txid):
                self.unlocked.add(txid)
        for txid in bundle.acks:
            if not is_archived(txid):
                self.acked[txid] = None
                self._mark_acked(txid)
        if bundle.seal:
            self.sealed, self._seal_due = True, False

    def remember(self, entry: Entry) -> None:
        """A body came (back) into the pool: mark on it what I promised in this epoch."""
        if entry.txid in self.unlocked:
            self.unlocked.discard(entry.txid)
            self._lock_again(entry)
        elif len(self.locks) and self.locks.held_by(entry):
            entry.voted = True
        entry.acked = entry.txid in self.acked

    def restore_locks(self, txid: Hash, outpoints: tuple[OutPoint, ...]) -> None:
        """Name the inputs of a journaled transaction that cannot come into the pool again (its rival won)."""
        self._bodiless[txid] = outpoints
        if txid in self.unlocked:
            self.unlocked.discard(txid)
            self.locks.take_for(txid, outpoints)

    def _lock_again(self, entry: Entry) -> None:
        entry.voted = True
        self.locks.take(entry)

    def _mark_acked(self, txid: Hash) -> None:
        entry = self._pool.get(txid)
        if entry is not None:
            entry.acked = True

    def archived(self, txid: Hash) -> None:
        """A transaction is in a decided block: nothing is owed for it."""
        self.acked.pop(txid, None)
        self.unlocked.discard(txid)
