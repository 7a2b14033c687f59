"""How old a proof may be (protocol.md sections 10 and 11).

Signatures bind their signers as long as the collateral behind them is bound. Whoever was paid out may sign anything,
at no cost: acks are worth nothing then, and commits only what the anchor is worth that they are followed from.
"""

from __future__ import annotations

from dataclasses import dataclass

from timecoin.ledger.params import Parameters
from timecoin.proofs.errors import SetHasLeft
from timecoin.proofs.verifying import Proved


@dataclass(frozen=True, slots=True)
class Age:
    """Seconds since the last closing block before the acks (or the block's slot), and since the anchor's slot.

    ``anchor_is_old``: masternodes' signatures lead away from an anchor that is older than the unbonding time, so that
    a past of its own making costs those nothing who left since. ``epoch_is_over``: by the clock the acks' epoch has
    ended, so that an inclusion proof can be had.
    """

    seconds: int
    anchor_seconds: int
    anchor_is_old: bool
    epoch_is_over: bool


def unbonding_seconds(params: Parameters) -> int:
    """How long at least collateral stays bound after its masternode left a set, in seconds."""
    return params.unbonding_epochs * params.epoch_seconds


def check_age(proved: Proved, params: Parameters, now: int) -> Age:
    """The age at ``now``, Unix seconds; ``SetHasLeft`` when the signers of the acks may all have left."""
    bound = unbonding_seconds(params)
    seconds, anchor_seconds = max(0, now - proved.since), max(0, now - proved.anchor_time)
    if proved.final and seconds > bound:
        raise SetHasLeft(f"its epoch began {seconds} s ago, collateral stays bound for {bound} s: ask for inclusion")
    # A closing block bears the slot that it was due at: the next one is due at least an epoch later.
    over = proved.final and seconds >= 2 * params.epoch_seconds
    return Age(seconds, anchor_seconds, proved.by_signatures and anchor_seconds > bound, over)
