"""What finality knows, for those who only look: proposers, block voters, users (protocol.md 1, R7, R10)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.certified import CertifiedSet
from timecoin.consensus.counter import Counter
from timecoin.consensus.recent import RecentMap, RecentSet
from timecoin.consensus.sequences import Seen
from timecoin.consensus.status import CoinStatus, OutpointState, Status, TxStatus
from timecoin.consensus.voter import Voter
from timecoin.ledger.params import Parameters
from timecoin.ledger.powerset import PowerSet
from timecoin.mempool.admission import made_by
from timecoin.mempool.chainview import ChainView
from timecoin.mempool.entry import Entry
from timecoin.mempool.orphans import Orphans
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint

PAST = 65_536
"""Times to finality and reasons of rejection that are remembered."""


class FinalityView:
    """The state of finality in the open epoch, and every question that may be asked about it."""

    def __init__(
        self,
        params: Parameters,
        chain: ChainView,
        members: PowerSet,
        signer: int | None,
        *,
        chain_id: Hash,
        max_bytes: int,
    ) -> None:
        """Begin in the chain's open epoch with an empty pool of at most ``max_bytes`` bytes of memory."""
        self.params, self.chain, self.chain_id = params, chain, chain_id
        self.epoch = chain.epoch
        self.pool = Pool(max_bytes)
        self.orphans = Orphans()
        self.voter = Voter(params, chain, self.pool, signer, self.epoch)
        self.counter = Counter(members, self.pool, self.is_archived, watched=False)
        self._certified = CertifiedSet()
        self._archived = RecentSet()
        self._archived.complete = False
        self._final_ms: RecentMap[int] = RecentMap(PAST)
        self._reasons: RecentMap[str] = RecentMap(PAST)
        self._begin()

    def _begin(self) -> None:
        """Each layer above adds its own empty state here, once the pool, the voter and the counter are there."""

    @property
    def members(self) -> PowerSet:
        """S(e) of the open epoch."""
        return self.counter.members

    @property
    def signer(self) -> int | None:
        """My index in it."""
        return self.voter.signer

    @property
    def may_sign(self) -> bool:
        """The participant allows votes and acks; call ``retry_all`` after setting it."""
        return self.voter.may_sign

    @may_sign.setter
    def may_sign(self, allowed: bool) -> None:
        self.voter.may_sign = allowed

    @property
    def sealed(self) -> bool:
        """I ack nothing more in this epoch (R9)."""
        return self.voter.sealed

    @property
    def seals_mask(self) -> int:
        """The signers whose seal, with everything before it, is here."""
        return self.counter.seals_mask

    @property
    def next_sequence(self) -> int:
        """The sequence number of my next bundle."""
        return self.voter.sequence + 1

    @property
    def highest_sequences(self) -> tuple[int, ...]:
        """Per signer the highest bundle sequence without gap."""
        return tuple(sequence.highest for sequence in self.counter.sequences)

    def holds_bundle(self, bundle: Bundle) -> bool:
        """Tell whether this very bundle was counted, or belongs to an epoch that is over."""
        if bundle.epoch != self.epoch or bundle.signer >= len(self.members):
            return bundle.epoch < self.epoch
        return self.counter.sequences[bundle.signer].look(bundle) is Seen.KNOWN

    def is_archived(self, txid: Hash) -> bool:
        """Tell whether ``txid`` is in the decided chain, as far as statements of this epoch can name it."""
        if txid in self._archived:
            return True
        return not self._archived.complete and self.chain.archived(txid) is not None

    def has_unarchived(self) -> bool:
        """Tell whether anything is pending."""
        return len(self.pool) > 0

    # For blocks

    @property
    def certified_count(self) -> int:
        """Unarchived certified transactions."""
        return self._certified.count

    @property
    def certified_bytes(self) -> int:
        """Their serialised bytes."""
        return self._certified.bytes

    def certified(self) -> list[Entry]:
        """Return what a block may hold, parents before children, by fee rate if not all may fit into one."""
        params, held = self.params, self._certified
        if 2 * held.bytes < params.max_block_bytes and 2 * held.count < params.max_block_txs:
            return held.includable()
        return held.by_rate()

    def has_certificate(self, txid: Hash) -> bool:
        """Tell whether a quorum voted for ``txid`` in this epoch."""
        tally = self.counter.tallies.get(txid)
        return tally is not None and tally.certified

    def ack_power(self, txid: Hash) -> int:
        """Return the power that acked ``txid`` in this epoch."""
        tally = self.counter.tallies.get(txid)
        return 0 if tally is None else tally.ack_power

    def is_backed(self, txid: Hash) -> bool:
        """R10 (i): a certificate, or acks of more than a third."""
        return self.has_certificate(txid) or self.members.exceeds_third(self.ack_power(txid))

    def certificate(self, txid: Hash) -> tuple[Bundle, ...]:
        """Return the bundles with votes for an unarchived ``txid``."""
        tally = self.counter.tallies.get(txid)
        return () if tally is None else tuple(tally.vote_bundles)

    def ack_bundles(self, txid: Hash) -> tuple[Bundle, ...]:
        """Return the bundles with acks of an unarchived ``txid``: with a quorum, its finality proof."""
        tally = self.counter.tallies.get(txid)
        return () if tally is None else tuple(tally.ack_bundles)

    def acked_unarchived(self) -> Collection[Hash]:
        """R10 (ii): what I acked in this epoch and is not in the decided chain."""
        return self.voter.acked.keys()

    def owed(self) -> set[Hash]:
        """R7: certified, and acked by me or a masternode whose seal I saw: my closing block must hold it.

        With its ancestors: a liar may have acked it alone, and no block can hold it without them.
        """
        sealed, acked = self.seals_mask, self.voter.acked
        get = self.counter.tallies.get
        owed: set[Hash] = set()
        for entry in reversed(self._certified.includable()):
            txid = entry.txid
            if txid in owed or txid in acked or ((tally := get(txid)) is not None and tally.acks & sealed):
                owed.add(txid)
                owed.update(entry.parents)
        return owed

    def bodies_wanted(self) -> Iterator[Hash]:
        """Yield the txids named in bundles whose bodies should be fetched."""
        return (tally.txid for tally in self.counter.tallies.bodies_wanted())

    # For users

    def final_ms(self, txid: Hash) -> int | None:
        """Return the milliseconds from first sight to finality, if known."""
        return self._final_ms.get(txid)

    def status(self, txid: Hash) -> TxStatus | None:
        """Return what is known of ``txid``, or None when nothing is."""
        entry = self.pool.get(txid)
        if entry is not None:
            return self._unarchived(txid, _mark(entry), self.voter.blocked(entry))
        place = self.chain.archived(txid)
        if place is not None:
            total, ms = self.members.total, self.final_ms(txid)
            return TxStatus(txid, Status.ARCHIVED, total, final_ms=ms, height=place[0], position=place[1])
        reason = self._reasons.get(txid)
        return None if reason is None else self._unarchived(txid, Status.REJECTED, reason)

    def _unarchived(self, txid: Hash, status: Status, reason: str | None) -> TxStatus:
        total, ms, tally = self.members.total, self.final_ms(txid), self.counter.tallies.get(txid)
        if tally is None:
            return TxStatus(txid, status, total, final_ms=ms, reason=reason)
        votes = (tally.votes, tally.vote_power, tally.acks, tally.ack_power)
        return TxStatus(txid, status, total, *votes, final_ms=ms, reason=reason)

    def outpoint_state(self, outpoint: OutPoint) -> OutpointState:
        """Return the state of a coin as shown to users."""
        if not self._exists(outpoint):
            gone = self.chain.archived(outpoint[:32]) is not None
            return OutpointState(CoinStatus.SPENT if gone else CoinStatus.UNKNOWN)
        spenders = self.pool.spenders(outpoint)
        for spender in spenders:
            if spender.final:
                return OutpointState(CoinStatus.SPENT_FINAL, spender.txid)
        for spender in spenders:
            if spender.certified:
                return OutpointState(CoinStatus.SPENT_PENDING, spender.txid)
        holder = self.voter.locks.holder(outpoint)
        return OutpointState(CoinStatus.UNSPENT if holder is None else CoinStatus.LOCKED, holder)

    def _exists(self, outpoint: OutPoint) -> bool:
        parent = self.pool.get(outpoint[:32])
        coin = self.chain.coin(outpoint) if parent is None else made_by(parent, outpoint)
        return coin is not None


def _mark(entry: Entry) -> Status:
    if entry.final:
        return Status.FINAL
    return Status.CERTIFIED if entry.certified else Status.PENDING
