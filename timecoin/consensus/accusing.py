"""Making evidence of signed messages (protocol.md 3); each function raises ``NoOffence`` when they prove none."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from timecoin.consensus import events, steps
from timecoin.consensus.bundle import Bundle, BundleHead
from timecoin.consensus.proposal import ProposalHead
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.evidence_kinds import (
    AckAfterSeal,
    AckLeftOut,
    DoubleBundle,
    DoublePrecommit,
    DoublePrevote,
    DoubleProposal,
    Evidence,
    RivalVote,
    RivalVotes,
)
from timecoin.ledger.evidence_parts import Absence, Listed, Neighbour, NoOffence, Signed, gap
from timecoin.primitives.block import Header
from timecoin.primitives.hashes import Hash, display_order
from timecoin.primitives.merkle import merkle_branch
from timecoin.primitives.transaction import Transaction
from timecoin.primitives.tree16 import path16

Pairable: TypeAlias = ProposalHead | Prevote | Precommit | BundleHead


Offence: TypeAlias = steps.Equivocation | events.Equivocation | events.RivalVotes | events.AckAfterSeal
"""Events that tell of misbehaviour."""


class _Signed(Protocol):
    @property
    def signature(self) -> bytes: ...

    def body(self) -> bytes: ...


def evidence_of(offence: Offence) -> Evidence | None:
    """What an event proves; None when a part of it has left memory."""
    if isinstance(offence, steps.Equivocation):
        return double(offence.first, offence.second)
    if isinstance(offence, events.Equivocation):
        return None if offence.first is None else double(offence.first, offence.second)
    if isinstance(offence, events.RivalVotes):
        return rival_votes(offence.txs, offence.bundles)
    return ack_after_seal(offence.seal, offence.late)


def signed(message: _Signed) -> Signed:
    """The signed bytes of any message and their signature."""
    return Signed(message.body(), message.signature)


def double(first: Pairable, second: Pairable) -> Evidence:
    """Two messages of one kind for one place: proposals, prevotes, precommits, or bundles of one sequence."""
    one, other = signed(first), signed(second)
    if type(first) is not type(second):
        raise NoOffence("statements of different kinds")
    if isinstance(first, ProposalHead):
        return DoubleProposal.of(one, other)
    if isinstance(first, Prevote):
        return DoublePrevote.of(one, other)
    return DoublePrecommit.of(one, other) if isinstance(first, Precommit) else DoubleBundle.of(one, other)


def rival_votes(txs: tuple[Transaction, Transaction], bundles: tuple[Bundle, Bundle]) -> RivalVotes:
    """Votes of ``bundles``, one each, for transactions that spend one coin."""
    one, other = [
        RivalVote(_listed(bundle, bundle.votes, tx.txid), tx) for bundle, tx in zip(bundles, txs, strict=True)
    ]
    return RivalVotes.of(one, other)


def ack_after_seal(seal: BundleHead, late: BundleHead) -> AckAfterSeal:
    """A bundle with acks of a higher sequence than a seal bundle."""
    return AckAfterSeal(signed(seal), signed(late))


def ack_left_out(bundle: Bundle, txid: Hash, prevote: Prevote, header: Header, leaves: Sequence[Hash]) -> AckLeftOut:
    """An ack in ``bundle``, and a fresh prevote for the closing block of ``header`` with the txids ``leaves``."""
    ack = _listed(bundle, bundle.acks, txid)
    return AckLeftOut(txid, ack, signed(prevote), header, absence(leaves, txid))


def absence(leaves: Sequence[Hash], txid: Hash) -> Absence:
    """The neighbours of a txid that is not among ``leaves``: all txids of a block, the coinbase's first.

    Two tree hashes a leaf for each neighbour.
    """
    before = bisect_left(leaves, display_order(txid), lo=1, key=display_order) - 1
    neighbours = [Neighbour(leaves[index], merkle_branch(leaves, index)) for index in gap(before, len(leaves))]
    return Absence(before, tuple(neighbours))


def _listed(bundle: Bundle, txids: tuple[Hash, ...], txid: Hash) -> Listed:
    if txid not in txids:
        raise NoOffence("the bundle does not say so")
    index = txids.index(txid)
    return Listed(signed(bundle), index, path16(txids, index))
