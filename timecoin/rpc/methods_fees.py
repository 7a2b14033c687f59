"""RPC methods about fee rates.

The least rate is a constant and a consensus rule, and votes have no cap: usually every payment that pays it is final
within a second. Only when more waits than can be handled do votes go by fee rate; then the pool tells what it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from timecoin.rpc.codec import Amount, amount
from timecoin.rpc.errors import INVALID_PARAMETER, RpcError
from timecoin.rpc.kinds import Kind, expect
from timecoin.rpc.table import Context, method

_MAX_TARGET: Final = 1_008
_HORIZONS: Final = {"short": 12, "medium": 48, "long": 1_008}
_UNITS: Final = 1_000


def _read_number(value: Any, name: str) -> Decimal:
    expect(value, "number")
    return Decimal(value)


#: Any number.
NumberArg = Annotated[Decimal, Kind("numeric", frozenset({"number"}), _read_number, {"type": "number"})]


class SmartFee(TypedDict):
    """An estimate; ``feerate`` in TIME per 1,000 vbytes, ``blocks`` the target it is for."""

    feerate: Amount
    errors: NotRequired[list[str]]
    blocks: int


class Horizon(TypedDict):
    """An estimate from the pool as it is now: no past is kept (``decay`` 0), targets are in blocks (``scale`` 1)."""

    feerate: Amount
    decay: float
    scale: int


class RawFees(TypedDict):
    """The estimates whose horizons hold the target."""

    short: NotRequired[Horizon]
    medium: NotRequired[Horizon]
    long: NotRequired[Horizon]


def rate_at(waiting: Sequence[tuple[int, int]], room: int) -> int:
    """The fee rate (base units per 1,000 vbytes) of the payment of (fee, vsize) each that is the first not to fit into
    ``room`` vbytes, best payers first; 0 when all fit."""
    used = 0
    for fee, vsize in sorted(waiting, key=lambda each: each[0] / each[1], reverse=True):
        used += vsize
        if used > room:
            return -(-fee * _UNITS // vsize)
    return 0


def _check(conf_target: int) -> None:
    if not 1 <= conf_target <= _MAX_TARGET:
        raise RpcError(INVALID_PARAMETER, f"Invalid conf_target, must be between 1 and {_MAX_TARGET}")


async def _estimate(context: Context, target: int, careful: bool) -> int:
    """The rate in base units per 1,000 vbytes with which a payment submitted now is within ``target`` blocks."""
    node = context.node
    stats, parameters = node.pool(), node.parameters
    # A careful estimate counts on interim blocks, which come as soon as there is enough for one, not on full ones.
    room = target * (parameters.interim_bytes if careful else parameters.max_block_bytes)
    least = max(stats.min_fee_rate, parameters.min_fee_rate) * _UNITS
    if stats.bytes <= room:
        return least
    beaten = await context.aside(rate_at, node.pool_rates(), room)
    return max(least, beaten + 1 if beaten else 0)


async def estimatesmartfee(
    context: Context,
    conf_target: int,
    estimate_mode: Literal["unset", "economical", "conservative"] = "economical",
) -> SmartFee:
    """The fee rate that a payment needs now: nearly always the network's least rate, a constant.

    When more waits in the pool than so many blocks hold, it is what beats those that would be left out.

    :param conf_target: within so many blocks, 1 to 1008
    :param estimate_mode: conservative counts on half-full blocks; economical and unset on full ones
    :returns: the estimate
    :error -8: the target or the mode is out of range
    """
    _check(conf_target)
    rate = await _estimate(context, conf_target, estimate_mode == "conservative")
    return {"feerate": amount(rate), "blocks": conf_target}


async def estimaterawfee(context: Context, conf_target: int, threshold: NumberArg | None = None) -> RawFees:
    """The estimates behind estimatesmartfee, in the form of Core's: made from the pool as it is now, of no past.

    :param conf_target: within so many blocks, 1 to 1008
    :param threshold: there for Core's clients: nothing is counted that could be above or below it
    :returns: the same estimate for each horizon that holds the target
    :error -8: the target is out of range
    """
    _check(conf_target)
    horizon: Horizon = {"feerate": amount(await _estimate(context, conf_target, True)), "decay": 0.0, "scale": 1}
    found: RawFees = {}
    if conf_target <= _HORIZONS["short"]:
        found["short"] = horizon
    if conf_target <= _HORIZONS["medium"]:
        found["medium"] = horizon
    found["long"] = horizon
    return found


METHODS = (
    method("Util", estimaterawfee),
    method("Util", estimatesmartfee),
)
