"""Mutants of R1 to R3 and R5: what makes a certificate, what makes final, and in which epoch it counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.counter import Counter
from timecoin.consensus.finality import Finality
from timecoin.consensus.outbox import Outbox
from timecoin.consensus.participant import Participant
from timecoin.consensus.records import RecordKind
from timecoin.consensus.tally import Tally, signers_of
from timecoin.consensus.voter import Voter
from timecoin.ledger.powerset import PowerSet
from timecoin.mempool.entry import Entry
from timecoin.node.intake import Intake
from timecoin.primitives.signing import SignatureBackend, SignatureCheck
from timecoin.simulation.keys import key
from timecoin.simulation.mutants.mutant import Hunt, Kind, Swap, mutant, original


@mutant(
    "final_on_certificate",
    Kind.SAFETY,
    "a certificate alone makes final",
    ("final_quorum", "final_archived", "rivals_final"),
    Hunt(4, ("lone_certificate",)),
)
def _final_on_certificate() -> Iterator[Swap]:
    def certify(self: Finality, tally: Tally) -> None:
        original_certify(self, tally)
        if tally.entry is not None:
            self._settle(tally, tally.entry.first_seen)

    original_certify = original(Finality, "_certify")
    yield Swap(Finality, "_certify", certify)


def _forgetful(holds: str) -> Iterator[Swap]:
    """Own bundles with such statements are sent without being written."""

    def message(self: Outbox, kind: RecordKind, signed: Any) -> None:
        if isinstance(signed, Bundle) and getattr(signed, holds):
            self._messages.append(signed)
        else:
            original_message(self, kind, signed)

    original_message = original(Outbox, "message")
    yield Swap(Outbox, "message", message)


@mutant(
    "acks_not_durable",
    Kind.SAFETY,
    "acks are sent without being written",
    ("durable", "contradiction", "final_archived"),
    Hunt(2),
)
def _acks_not_durable() -> Iterator[Swap]:
    return _forgetful("acks")


@mutant(
    "votes_not_durable",
    Kind.SAFETY,
    "votes are sent without being written",
    ("durable", "contradiction", "rivals_final"),
    Hunt(2),
)
def _votes_not_durable() -> Iterator[Swap]:
    return _forgetful("votes")


@mutant(
    "quorum_two_thirds",
    Kind.SAFETY,
    "two thirds of the power are a quorum",
    ("one_block_per_height", "final_quorum", "certified"),
    Hunt(2, nodes=3),
)
def _quorum_two_thirds() -> Iterator[Swap]:
    yield Swap(PowerSet, "is_quorum", lambda self, power: 3 * power >= 2 * self.total)


def _carry(kind: str) -> Iterator[Swap]:
    """At the border the tallies of what is pending go on instead of beginning anew."""

    def reopen(self: Finality, entry: Entry) -> bool:
        kept = bool(original_reopen(self, entry))
        closed = self._closed
        same = closed is not None and closed.counter.members.set_hash == self.members.set_hash
        old = closed.counter.tallies.get(entry.txid) if closed is not None and same else None
        new = self.counter.tallies.get(entry.txid)
        if kept and old is not None and new is not None:
            mask = getattr(old, kind + "s")
            setattr(new, kind + "s", mask)
            setattr(new, kind + "_power", sum([self.members.members[signer].power for signer in signers_of(mask)]))
            getattr(new, kind + "_bundles").extend(getattr(old, kind + "_bundles"))
        return kept

    original_reopen = original(Finality, "_reopen")
    yield Swap(Finality, "_reopen", reopen)
    # What it would call double votes is no offence: the votes are of two epochs.
    yield Swap(Counter, "find_rival_votes", lambda self, tally, mask, counted: None)


@mutant(
    "votes_counted_next_epoch",
    Kind.SAFETY,
    "votes of an epoch count in the next one",
    ("certified", "false_alarm", "rivals_final", "final_quorum"),
    Hunt(8, ("carried_votes",), epochs=3),
)
def _votes_counted_next_epoch() -> Iterator[Swap]:
    return _carry("vote")


@mutant(
    "acks_counted_next_epoch",
    Kind.SAFETY,
    "acks of an epoch count in the next one",
    ("final_quorum", "final_archived", "rivals_final"),
    Hunt(8, ("lone_certificate",), epochs=3),
)
def _acks_counted_next_epoch() -> Iterator[Swap]:
    return _carry("ack")


@mutant(
    "votes_before_closing_applied",
    Kind.SAFETY,
    "votes of the next epoch are given when the closing block is decided, before it is applied",
    ("false_alarm", "rivals_final", "contradiction", "certified"),
    Hunt(8, ("late_certificate",), epochs=3),
)
def _votes_before_closing_applied() -> Iterator[Swap]:
    def commit(self: Participant) -> None:
        before = self._deciding.committing
        original_commit(self)
        after = self._deciding.committing
        if before is None and after is not None and after[0].block.header.closing:
            _vote_early(self)

    original_commit = original(Participant, "_commit_if_decided")
    yield Swap(Participant, "_commit_if_decided", commit)


def _vote_early(participant: Participant) -> None:
    """By the chain as it is without the block: for the lowest of all rivals, each coin once."""
    context, ledger = participant._context, participant.ledger
    identity = context.identity
    signer = None if identity is None else ledger.following.index_of_key(identity.operator_key)
    if identity is None or signer is None or not participant.may_sign:
        return
    taken: set[bytes] = set()
    votes: list[bytes] = []
    for entry in sorted(participant.finality.pool, key=lambda each: each.txid[::-1]):
        if not taken & set(entry.outpoints) and not entry.parents:
            taken.update(entry.outpoints)
            votes.append(entry.txid)
    if votes:
        draft = Bundle(
            context.chain_id, ledger.epoch + 1, ledger.following.set_hash, signer, 1, False, tuple(votes), ()
        )
        context.outbox.message(RecordKind.BUNDLE, draft.signed(identity.sign(draft.digest)))


class _AnyKey:
    """A signature check that an outsider's key passes, too."""

    def __init__(self, check: SignatureCheck, outsider: bytes) -> None:
        self._checks = check, check._replace(key=outsider)

    def holds(self, backend: SignatureBackend) -> bool:
        """By one of the keys."""
        return any(check.holds(backend) for check in self._checks)


@mutant(
    "nonmember_votes_counted",
    Kind.SAFETY,
    "a bundle signed by a key outside of the set counts for the member that it names",
    ("final_quorum", "certified", "rivals_final", "false_alarm"),
    Hunt(4, ("non_member",)),
)
def _nonmember_votes_counted() -> Iterator[Swap]:
    outsider = key("outsider")

    def ask(self: Intake, checks: Sequence[Any], answer: Any) -> None:
        loose = [_AnyKey(check, outsider.public) if _is_compact(check) else check for check in checks]
        original_ask(self, loose, answer)

    def _is_compact(check: object) -> bool:
        return isinstance(check, SignatureCheck) and check.compact

    original_ask = original(Intake, "_ask")
    yield Swap(Intake, "_ask", ask)


@mutant(
    "child_before_parent_certified",
    Kind.LIVENESS,
    "a child is acked before its parent is certified",
    ("stuck",),
    Hunt(8, ("orphan_child",)),
)
def _child_before_parent_certified() -> Iterator[Swap]:
    yield Swap(Voter, "_parents_acked", lambda self, entry: True)
