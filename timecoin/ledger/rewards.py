"""The reward of an epoch (protocol.md section 7): integers in and out, ln to 50 digits half-even."""

from __future__ import annotations

from collections.abc import Container
from decimal import ROUND_HALF_EVEN, Context, Decimal

from timecoin.primitives.transaction import TxOutput

from .params import Parameters
from .powerset import PowerSet


def reward(n: int, base_reward: int) -> int:
    """R(n) = floor(base_reward × (1 + ln n)) in base units, ln n with 50 significant digits; 0 for n = 0.

    Raises ValueError for a negative count.
    """
    if n < 0:
        raise ValueError("a count of masternodes is not negative")
    if n == 0:
        return 0
    digits, scale = _logarithm(n)
    return base_reward * (scale + digits) // scale


def _logarithm(n: int) -> tuple[int, int]:
    """Ln n as the exact fraction that its 50 digits stand for."""
    context = Context(prec=50, rounding=ROUND_HALF_EVEN)
    return context.ln(Decimal(n)).as_integer_ratio()


def payouts(
    params: Parameters,
    members: PowerSet,
    signers: Container[bytes] | None,
    fees: int,
    supply: int,
) -> tuple[TxOutput, ...]:
    """What a closing block's coinbase pays the set ``members`` = S(e), in set order.

    ``signers``: ids whose precommit for the previous closing block is in the last commit of the first block
    after it; None for the first epoch (all). Ids outside the set count for nothing. ``fees``: of all blocks
    of the epoch; ``supply``: what existed when the epoch opened (unspent coins plus those fees), both in
    base units: R(n) is cut so that the supply never passes ``max_money``.
    """
    paid = [m for m in members.members if signers is None or m.masternode_id in signers]
    created = min(reward(len(paid), params.base_reward), max(0, params.max_money - supply))
    pot = created + fees
    shares = ((pot * member.power // members.total, member.payout) for member in paid)
    return tuple(TxOutput(value, script) for value, script in shares if value)
