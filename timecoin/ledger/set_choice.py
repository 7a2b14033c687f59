"""Who sits in S(e+2), chosen from the registry after the closing block of e (protocol.md section 3)."""

from __future__ import annotations

from collections.abc import Iterable

from .params import Parameters
from .powerset import PowerSet
from .registry_entry import Entry


def choose_set(
    params: Parameters, entries: Iterable[Entry], previous: PowerSet, free_mode: bool
) -> tuple[PowerSet, bool]:
    """Return S(e+2) and whether the network is still in Free mode.

    ``previous`` is S(e+1), which stays when nobody may sit; ``free_mode`` is the state before this closing
    block.
    """
    eligible = sorted((entry for entry in entries if entry.is_eligible), key=lambda entry: entry.order)
    paid = sorted((entry for entry in eligible if entry.is_paid), key=lambda entry: -entry.power)
    chosen = paid[: params.max_set]
    free = [entry for entry in eligible if not entry.is_paid]
    free_mode = free_mode and not ends_free_mode(params, chosen)
    if free_mode:
        chosen = [entry for entry in free if entry.height == 0][: params.max_set]
    else:
        chosen += free[: _free_seats(params, chosen)]
    return (PowerSet(entry.member() for entry in chosen) if chosen else previous), free_mode


def ends_free_mode(params: Parameters, paid: list[Entry]) -> bool:
    """Whether there are ``min_paid`` of them and none holds a third of their power or more."""
    total = sum(entry.power for entry in paid)
    return len(paid) >= params.min_paid and all(3 * entry.power < total for entry in paid)


def _free_seats(params: Parameters, paid: list[Entry]) -> int:
    power = sum(entry.power for entry in paid)
    seats = power * params.free_power_permille // 1000 // params.free_power
    return min(seats, params.max_set - len(paid))
