"""Mutants of R8 and R10: what is prevoted, and on what grounds."""

from __future__ import annotations

from collections.abc import Iterator

from timecoin.consensus import steps
from timecoin.consensus.current_height import CurrentHeight
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.steps import Freshness, Step
from timecoin.consensus.tendermint import Height, _Basis
from timecoin.consensus.voter import Voter
from timecoin.consensus.votes import Prevote
from timecoin.primitives.hashes import Hash
from timecoin.simulation.mutants.mutant import Hunt, Kind, Swap, mutant, original
from timecoin.simulation.mutants.sealing import SMALL_BLOCKS


@mutant(
    "no_ack_check",
    Kind.SAFETY,
    "a closing block is prevoted whether or not it holds what was acked",
    ("accusable", "final_archived"),
    Hunt(8, ("omission",)),
)
def _no_ack_check() -> Iterator[Swap]:
    yield Swap(CurrentHeight, "_show_missing_acked", lambda self, proposal: False)


@mutant(
    "ack_check_per_height_kind",
    Kind.SAFETY,
    "the kind of the height's first proposal is taken for that of all: after an interim one nothing is checked",
    ("accusable", "final_archived"),
    Hunt(8, ("failed_interim",), overrides=SMALL_BLOCKS),
)
def _ack_check_per_height_kind() -> Iterator[Swap]:
    def fresh(self: CurrentHeight, proposal: Proposal) -> Freshness:
        if all(candidate.content.header.closing for candidate in self._candidates.values()):
            return Freshness(original_fresh(self, proposal))
        return Freshness.WAIT if self._candidates[proposal.block_hash].uncertified else Freshness.ACCEPT

    original_fresh = original(CurrentHeight, "fresh")
    # An interim block of an earlier round must still be known.
    yield Swap(CurrentHeight, "_forget_old", lambda self: None)
    yield Swap(CurrentHeight, "fresh", fresh)


@mutant(
    "prevoted_interim_counted_archived",
    Kind.SAFETY,
    "what is in an interim block that I prevoted counts as archived",
    ("accusable", "final_archived"),
    Hunt(8, ("failed_interim",), overrides=SMALL_BLOCKS),
)
def _prevoted_interim_counted_archived() -> Iterator[Swap]:
    def sign(self: CurrentHeight, draft: steps.Message) -> None:
        original_sign(self, draft)
        candidate = self._candidates.get(draft.block_hash) if isinstance(draft, Prevote) else None
        if candidate is not None and not candidate.content.header.closing:
            for txid, _ in candidate.content.txs:
                self._context.finality.voter.acked.pop(txid, None)

    original_sign = original(CurrentHeight, "_sign")
    yield Swap(CurrentHeight, "_sign", sign)


@mutant(
    "uncertified_in_interim",
    Kind.SAFETY,
    "interim blocks are prevoted without certificates for what is in them",
    ("certified", "rival_archived", "false_alarm"),
    Hunt(8, ("rival_blocks",), faults=("rivals",), profile="storm"),
)
def _uncertified_in_interim() -> Iterator[Swap]:
    def fresh(self: CurrentHeight, proposal: Proposal) -> Freshness:
        return Freshness(original_fresh(self, proposal)) if proposal.closing else Freshness.ACCEPT

    original_fresh = original(CurrentHeight, "fresh")
    yield Swap(CurrentHeight, "fresh", fresh)


@mutant(
    "pol_unverified",
    Kind.SAFETY,
    "a claimed POL is believed",
    ("final_archived", "accusable", "one_block_per_height"),
    Hunt(8, ("claimed_turn",)),
)
def _pol_unverified() -> Iterator[Swap]:
    yield Swap(Height, "_has_pol", lambda self, round_, block_hash: True)


@mutant(
    "ack_check_with_pol",
    Kind.LIVENESS,
    "the ack check is made again when there is a POL",
    ("stuck",),
    Hunt(8, ("lone_certificate",)),
)
def _ack_check_with_pol() -> Iterator[Swap]:
    def lacks_acked(self: Height, block_hash: Hash) -> bool:
        carrier, checks = self.proposals.carrying(block_hash), self._checks
        if carrier is None or not carrier.closing or not isinstance(checks, CurrentHeight):
            return False
        return self.signer is not None and checks._show_missing_acked(carrier)

    def basis(self: Height, proposal: Proposal) -> _Basis:
        found = _Basis(original_basis(self, proposal))
        return _Basis.REFUSE if found is _Basis.DERIVED and lacks_acked(self, proposal.block_hash) else found

    def lock(self: Height) -> bool:
        named = [block_hash for round_, block_hash in self.ballots.locks if round_ == self.round]
        if self.step is Step.PREVOTE and any(lacks_acked(self, block_hash) for block_hash in named):
            return False
        return bool(original_lock(self))

    original_basis = original(Height, "_basis")
    original_lock = original(Height, "_lock_and_precommit")
    yield Swap(Height, "_basis", basis)
    yield Swap(Height, "_lock_and_precommit", lock)


@mutant(
    "archived_still_demanded",
    Kind.LIVENESS,
    "a closing block must hold again what an interim block of the epoch archived",
    ("stuck",),
    Hunt(4, epochs=1, overrides=SMALL_BLOCKS),
)
def _archived_still_demanded() -> Iterator[Swap]:
    yield Swap(Voter, "archived", lambda self, txid: self.unlocked.discard(txid))
