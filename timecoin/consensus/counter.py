"""Counting the bundles of an epoch: what each brings about and what it proves (protocol.md R1 to R3, R6)."""

from __future__ import annotations

from collections.abc import Callable

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.events import AckAfterSeal, Equivocation, RivalVotes
from timecoin.consensus.rivalries import Rivalries
from timecoin.consensus.sequences import MAX_FORKS, Seen, Sequence
from timecoin.consensus.tally import Tallies, Tally, signers_of
from timecoin.consensus.waste import Waste
from timecoin.ledger.powerset import PowerSet
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction


class Counted:
    """What one bundle brought about, each list in the order of the bundle.

    ``fresh``: it was not known, so it is worth keeping and passing on.  ``said``: a statement about a body in
    the pool was new.  ``news``: the number of statements that were new.
    """

    __slots__ = ("backed", "certified", "final", "fresh", "news", "offences", "said", "unknown")

    def __init__(self) -> None:
        self.fresh = self.said = False
        self.news = 0
        self.certified: list[Tally] = []
        self.final: list[Tally] = []
        self.backed: list[Hash] = []
        self.unknown: list[Hash] = []
        self.offences: list[Equivocation | RivalVotes | AckAfterSeal] = []


class Counter:
    """Tallies and sequences of the members of one epoch.

    Every validly signed statement counts, once, whatever the order in which bundles come and whatever else
    their signer said: what is a quorum for one honest node must be one for every node that it shows it to.
    """

    def __init__(
        self, members: PowerSet, pool: Pool, is_archived: Callable[[Hash], bool], *, watched: bool
    ) -> None:
        """``watched``: the epoch is seen from its opening on."""
        self.members = members
        self.tallies = Tallies(members)
        self.waste = Waste(len(members), watched=watched)
        self.sequences = [Sequence() for _ in members.members]
        self.rivalries = Rivalries()
        self.seals_mask = 0
        self._pool = pool
        self.is_archived = is_archived

    def count(self, bundle: Bundle) -> Counted:
        """Count a verified bundle of this epoch and set.

        What cannot be remembered as seen (unknown bodies or things of no use used up its signer's allowance, its
        number is far ahead, or one of many of that number) counts only for bodies in the pool: a certificate that
        one node acted upon must never be refused by another.  It is then passed on for these, once, and the rest
        of it counts when it comes again.
        """
        sequence = self.sequences[bundle.signer]
        seen = sequence.look(bundle)
        counted, known = Counted(), seen is Seen.KNOWN
        has_room = self.tallies.has_room(bundle.signer) and self.waste.has_room(bundle.signer)
        whole = known or (has_room and self._enter(sequence, bundle, seen))
        self._find_double(sequence, bundle, seen, counted)
        self._find_late_acks(sequence, bundle, counted)
        self._count_votes(bundle, counted, whole)
        self._count_acks(bundle, counted, whole)
        entered = whole and not known
        # A known one may be another one with the same mark, and what was counted must be kept and passed on.
        counted.fresh = entered or counted.said
        if entered:
            # Once for each: what is shown again, by whomever, costs its signer nothing.
            self.waste.taken(bundle, counted.news)
        return counted

    def _enter(self, sequence: Sequence, bundle: Bundle, seen: Seen) -> bool:
        """Enter it into its signer's sequence; False when no trace of it is kept."""
        if seen is Seen.NEW:
            sequence.keep(bundle)
            if sequence.sealed:
                self.seals_mask |= 1 << bundle.signer
        elif seen is Seen.FORK:
            return sequence.fork(bundle) <= MAX_FORKS
        return seen is not Seen.FAR_AHEAD

    @staticmethod
    def _find_double(sequence: Sequence, bundle: Bundle, seen: Seen, counted: Counted) -> None:
        """Told once; and once more if the first time there was nothing at hand to prove it."""
        if seen is not Seen.FORK or sequence.forked:
            return
        first = sequence.recent(bundle.sequence)
        if first is not None or not sequence.fork_told:
            counted.offences.append(Equivocation(bundle.signer, bundle.sequence, first, bundle.head()))
        sequence.fork_told, sequence.forked = True, first is not None

    @staticmethod
    def _find_late_acks(sequence: Sequence, bundle: Bundle, counted: Counted) -> None:
        seal = sequence.seal
        if seal is None or sequence.late_acks:
            return
        late = sequence.last_acks
        if bundle.acks and bundle.sequence > seal.sequence:
            late = bundle.head()
        if late is not None and late.sequence > seal.sequence:
            sequence.late_acks = True
            counted.offences.append(AckAfterSeal(bundle.signer, seal, late))

    def _count_votes(self, bundle: Bundle, counted: Counted, whole: bool) -> None:
        signer = bundle.signer
        bit, power = 1 << signer, self.members.members[signer].power
        get, rivalries = self.tallies.get, self.rivalries.by_txid
        for txid in bundle.votes:
            if txid in rivalries:
                counted.offences += self.rivalries.voted(bundle, txid)
            tally = get(txid) or (self._open(txid, counted) if whole else None)
            if tally is None or tally.votes & bit or not (whole or tally.entry is not None):
                continue
            tally.votes |= bit
            counted.news += 1
            tally.vote_power += power
            tally.vote_bundles.append(bundle)
            if tally.entry is None:
                self._charge(tally, signer, counted)
            else:
                counted.said = True
                if self._pool.is_contested(tally.entry):
                    self.find_rival_votes(tally, bit, counted)
            if not tally.certified and self.is_certificate(tally):
                tally.certified = True
                counted.certified.append(tally)

    def _count_acks(self, bundle: Bundle, counted: Counted, whole: bool) -> None:
        signer = bundle.signer
        bit, power = 1 << signer, self.members.members[signer].power
        get = self.tallies.get
        for txid in bundle.acks:
            tally = get(txid) or (self._open(txid, counted) if whole else None)
            if tally is None or tally.acks & bit or not (whole or tally.entry is not None):
                continue
            tally.acks |= bit
            counted.news += 1
            tally.ack_power += power
            tally.ack_bundles.append(bundle)
            if tally.entry is None:
                self._charge(tally, signer, counted)
            else:
                counted.said = True
            if not tally.certified and self.members.exceeds_third(tally.ack_power):
                counted.backed.append(txid)
            if not tally.final and self.is_final(tally):
                tally.final = True
                counted.final.append(tally)

    def is_certificate(self, tally: Tally) -> bool:
        """Tell whether the votes are a quorum: strictly more than two thirds of the registered power."""
        return self.members.is_quorum(tally.vote_power)

    def is_final(self, tally: Tally) -> bool:
        """Tell whether the acks are a quorum."""
        return self.members.is_quorum(tally.ack_power)

    def _open(self, txid: Hash, counted: Counted) -> Tally | None:
        if self.is_archived(txid):
            return None
        counted.unknown.append(txid)
        return self.tallies.open(txid)

    def _charge(self, tally: Tally, signer: int, counted: Counted) -> None:
        if not tally.unkept:
            self.tallies.unknown[signer] += 1
        elif self._just_exceeded_third(tally, signer):
            counted.unknown.append(tally.txid)

    def _just_exceeded_third(self, tally: Tally, signer: int) -> bool:
        before = tally.vote_power - self.members.members[signer].power
        return self.members.exceeds_third(tally.vote_power) and not self.members.exceeds_third(before)

    def settled(self, winner: Transaction, loser: Transaction) -> list[RivalVotes]:
        """``winner`` took a coin of ``loser``, which left the pool: whoever votes for both is found all the same.

        Returns what is known of that now.
        """
        winners, losers = [
            tally.vote_bundles if tally is not None else []
            for tally in (self.tallies.get(winner.txid), self.tallies.get(loser.txid))
        ]
        return self.rivalries.add(winner, loser, (winners, losers))

    def find_rival_votes(self, tally: Tally, mask: int, counted: Counted) -> None:
        """Look for signers of ``mask`` that voted for a rival as well (protocol.md 3, evidence)."""
        if tally.entry is None:
            return
        for rival in self._pool.rivals(tally.entry):
            other = self.tallies.get(rival.txid)
            for signer in signers_of(other.votes & mask & tally.votes if other is not None else 0):
                assert other is not None
                bundles = (_vote_of(other, signer), _vote_of(tally, signer))
                txs = (rival.tx, tally.entry.tx)
                counted.offences.append(RivalVotes(signer, (rival.txid, tally.txid), bundles, txs))


def _vote_of(tally: Tally, signer: int) -> Bundle:
    return next(bundle for bundle in tally.vote_bundles if bundle.signer == signer)
