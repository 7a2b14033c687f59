"""Whose turn it is to propose: CometBFT's proposer-selection procedure on masternode ids, in exact integers.

Source: ``spec/consensus/proposer-selection.md`` of cometbft. Where its text leaves rounding open, its
examples and observations decide: centring divides towards zero (its newcomer example), scaling divides by
the ratio rounded up (or the range would not shrink to 2·P) and towards zero. Priorities are a tuple of ints
in signer order. Those of a ledger state stand *before* the next height: `step` runs once per decided
height, r more times for its round r.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .powerset import PowerSet

#: Priorities further apart than this many times the total power are scaled down.
WINDOW: Final = 2

Priorities = tuple[int, ...]


def initial(members: PowerSet) -> Priorities:
    """Priorities of S(1): all zero."""
    return (0,) * len(members)


def step(members: PowerSet, priorities: Sequence[int], times: int = 1) -> tuple[Priorities, int]:
    """Run the selection ``times`` ≥ 1 times; the new priorities and the signer index of the last proposer.

    Raises ValueError for an empty set, a length mismatch or ``times`` < 1.
    """
    if not members.members or len(priorities) != len(members) or times < 1:
        raise ValueError("priorities do not belong to this set")
    current, chosen = tuple(priorities), 0
    for _ in range(times):
        current, chosen = _run(members, current)
    return current, chosen


def _run(members: PowerSet, priorities: Priorities) -> tuple[Priorities, int]:
    centred = _centred(_rescaled(priorities, WINDOW * members.total))
    moved = [priority + member.power for priority, member in zip(centred, members.members, strict=True)]
    chosen = moved.index(max(moved))
    moved[chosen] -= members.total
    return tuple(moved), chosen


def proposer(members: PowerSet, priorities: Sequence[int], round_number: int) -> int:
    """Signer index of the proposer of ``round_number`` (from 0) at the height whose priorities these are."""
    return step(members, priorities, round_number + 1)[1]


def carry(old: PowerSet, priorities: Sequence[int], new: PowerSet) -> Priorities:
    """Priorities for ``new``, taken over by masternode id; newcomers start at -1.125 × its total power.

    Raises ValueError when ``priorities`` do not belong to ``old``.
    """
    if len(priorities) != len(old):
        raise ValueError("priorities do not belong to this set")
    known = dict(zip((member.masternode_id for member in old.members), priorities, strict=True))
    newcomer = -(new.total + (new.total >> 3))
    return tuple(known.get(member.masternode_id, newcomer) for member in new.members)


def _divided(value: int, by: int) -> int:
    """Quotient towards zero, as in Go; Python's // goes towards minus infinity."""
    return value // by if value >= 0 else -(-value // by)


def _rescaled(priorities: Priorities, widest: int) -> Priorities:
    spread = max(priorities) - min(priorities)
    if spread <= widest:
        return priorities
    ratio = (spread + widest - 1) // widest
    return tuple(_divided(priority, ratio) for priority in priorities)


def _centred(priorities: Priorities) -> Priorities:
    average = _divided(sum(priorities), len(priorities))
    return tuple(priority - average for priority in priorities)
