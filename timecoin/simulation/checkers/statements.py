"""All that masternodes sign: tallies by epoch, and what an honest one must not sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.statement import StatementError
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.transaction import Transaction
from timecoin.simulation.checkers.sets import Sets
from timecoin.simulation.signatures import SharedSignatures
from timecoin.simulation.violation import Violation

Signed: TypeAlias = Bundle | Proposal | Prevote | Precommit
KEPT_EPOCHS = 2
"""Statements of older epochs count for nothing any more and are forgotten."""


@dataclass
class EpochBook:
    """What was signed in one epoch. Signers are bits of masks, by their index in S(e)."""

    votes: dict[bytes, int] = field(default_factory=dict)
    acks: dict[bytes, int] = field(default_factory=dict)
    said: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    raws: dict[bytes, bool] = field(default_factory=dict)
    acked: dict[int, dict[bytes, int]] = field(default_factory=dict)
    seals: dict[int, int] = field(default_factory=dict)
    prevotes: list[Prevote] = field(default_factory=list)
    proposals: dict[bytes, Proposal] = field(default_factory=dict)
    unknown: list[tuple[int, bytes]] = field(default_factory=list)


class Statements:
    """Looks at each signed message once. ``transactions`` are all that anybody made, by txid."""

    def __init__(self, sets: Sets, signatures: SharedSignatures, chain_id: bytes) -> None:
        self._sets = sets
        self._signatures = signatures
        self._chain_id = chain_id
        self.books: dict[int, EpochBook] = {}
        self.transactions: dict[bytes, Transaction] = {}

    def book(self, epoch: int) -> EpochBook:
        """What was signed in an epoch."""
        if epoch not in self.books:
            self.books[epoch] = EpochBook()
            for old in [number for number in self.books if number < self._sets.newest - KEPT_EPOCHS]:
                del self.books[old]
        return self.books[epoch]

    def voters(self, epoch: int, txid: bytes) -> list[int]:
        """Signers whose votes for a transaction were seen in an epoch."""
        return _bits(self.book(epoch).votes.get(txid, 0))

    def ackers(self, epoch: int, txid: bytes) -> list[int]:
        """Signers whose acks of a transaction were seen in an epoch."""
        return _bits(self.book(epoch).acks.get(txid, 0))

    def has_signed(self, epoch: int, signer: int) -> bool:
        """Was anything by an honest signer seen in an epoch?"""
        return any(place[1] == signer for place in self.book(epoch).said)

    def see(self, kind: type[Signed], raw: bytes, *, durable: bool, own_key: bytes | None) -> None:
        """A message of ``kind`` was written (``durable``) or sent, by the holder of ``own_key``."""
        try:
            epoch = int.from_bytes(raw[32:36], "little")
            if raw[:32] != self._chain_id or epoch < self._sets.newest - KEPT_EPOCHS or self._sets.of(epoch) is None:
                return
            book = self.book(epoch)
            known = book.raws.get(raw)
            if known is None:
                book.raws[raw] = durable
                self._take(kind.decode(raw), book)
            elif durable and not known:
                book.raws[raw] = True
            if not durable and not book.raws[raw] and own_key is not None:
                self._demand_durable(kind.decode(raw), own_key)
        except (DecodeError, StatementError):
            return

    def _demand_durable(self, signed: Signed, own_key: bytes) -> None:
        members = self._sets.of(signed.epoch)
        assert members is not None
        if signed.signer < len(members) and members.members[signed.signer].operator_key == own_key:
            raise Violation("durable", f"signer {signed.signer} sent {signed!r}, which its journal lacks")

    def _take(self, signed: Signed, book: EpochBook) -> None:
        members = self._sets.of(signed.epoch)
        assert members is not None
        if not self._signatures.all_hold([signed.check(members)]):
            return
        if isinstance(signed, Bundle):
            bit = 1 << signed.signer
            for txid in signed.votes:
                book.votes[txid] = book.votes.get(txid, 0) | bit
            for txid in signed.acks:
                book.acks[txid] = book.acks.get(txid, 0) | bit
        elif isinstance(signed, Proposal):
            book.proposals[signed.block_hash] = signed
        if self._sets.is_honest(members.members[signed.signer].operator_key):
            self._judge(signed, book)

    # What an honest one must not sign

    def _judge(self, signed: Signed, book: EpochBook) -> None:
        if isinstance(signed, Bundle):
            self._judge_bundle(signed, book)
            return
        self._once(book, (type(signed).__name__, signed.signer, signed.height, signed.round), signed.body())
        if isinstance(signed, Prevote) and signed.fresh and not signed.is_nil:
            book.prevotes.append(signed)

    def _once(self, book: EpochBook, place: tuple[object, ...], statement: bytes) -> None:
        if book.said.setdefault(place, statement) != statement:
            raise Violation("contradiction", f"two statements for {place}")

    def _judge_bundle(self, bundle: Bundle, book: EpochBook) -> None:
        signer = bundle.signer
        self._once(book, ("bundle", signer, bundle.sequence), bundle.body())
        for txid in bundle.votes:
            self._judge_vote(signer, txid, book)
        acked = book.acked.setdefault(signer, {})
        for txid in bundle.acks:
            acked.setdefault(txid, bundle.sequence)
        if bundle.seal:
            book.seals[signer] = min(bundle.sequence, book.seals.get(signer, bundle.sequence))
        if signer in book.seals and acked and max(acked.values()) > book.seals[signer]:
            raise Violation("contradiction", f"signer {signer} acked after its seal in epoch {bundle.epoch}")

    def _judge_vote(self, signer: int, txid: bytes, book: EpochBook) -> None:
        tx = self.transactions.get(txid)
        if tx is None:
            book.unknown.append((signer, txid))
            return
        for outpoint in tx.outpoints():
            self._once(book, ("vote", signer, outpoint), txid)

    def learn(self, tx: Transaction) -> None:
        """A transaction that somebody made."""
        self.transactions.setdefault(tx.txid, tx)

    def close(self, epoch: int, archived: dict[bytes, int]) -> None:
        """All honest nodes left the epoch: its statements are complete. ``archived``: heights of transactions."""
        book = self.books.get(epoch)
        if book is None:
            return
        unknown, book.unknown = book.unknown, []
        for signer, txid in unknown:
            self._judge_vote(signer, txid, book)
        for prevote in book.prevotes:
            proposal = book.proposals.get(prevote.block_hash)
            if proposal is not None and proposal.closing:
                self._judge_closing(prevote, proposal, book, archived)

    def _judge_closing(self, prevote: Prevote, proposal: Proposal, book: EpochBook, archived: dict[bytes, int]) -> None:
        contained = {txid for txid, _ in proposal.txs}
        for txid in book.acked.get(prevote.signer, {}):
            height = archived.get(txid)
            if txid not in contained and (height is None or height >= prevote.height):
                raise Violation(
                    "accusable",
                    f"signer {prevote.signer} acked {txid[::-1].hex()[:16]} and prevoted the closing block of height"
                    f" {prevote.height} without it",
                )


def _bits(mask: int) -> list[int]:
    return [index for index in range(mask.bit_length()) if mask >> index & 1]
