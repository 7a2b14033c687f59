"""The product with one rule broken, by name: whoever proves a protocol must catch each of them (protocol.md 6)."""

from contextlib import AbstractContextManager, nullcontext

from timecoin.simulation.mutants import blocks, counting, sealing
from timecoin.simulation.mutants.mutant import MUTANTS, Hunt, Kind, Mutant

NAMES = (
    "no_seal",
    "seal_lifted_each_round",
    "seal_lifted_at_interim",
    "no_ack_check",
    "ack_check_per_height_kind",
    "prevoted_interim_counted_archived",
    "locks_dropped_at_interim",
    "acked_wiped_at_interim",
    "uncertified_in_interim",
    "pol_unverified",
    "final_on_certificate",
    "acks_not_durable",
    "votes_not_durable",
    "quorum_two_thirds",
    "votes_counted_next_epoch",
    "acks_counted_next_epoch",
    "votes_before_closing_applied",
    "nonmember_votes_counted",
    "ack_check_with_pol",
    "archived_still_demanded",
    "child_before_parent_certified",
)
"""In the order of protocol.md 6."""


def mutated(name: str | None) -> AbstractContextManager[None]:
    """All nodes of lives within break the rule of this name; None: no rule. ``KeyError`` when there is no such one."""
    return nullcontext() if name is None else MUTANTS[name].applied()


__all__ = ["MUTANTS", "NAMES", "Hunt", "Kind", "Mutant", "blocks", "counting", "mutated", "sealing"]
