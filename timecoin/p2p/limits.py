"""How much one peer may make us read: token buckets per message class, pure, with the time passed in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

#: Every message costs this many bytes on top of its length, so that floods of tiny ones are bounded too.
MESSAGE_COST = 256
#: Two waits closer together than this, in ms, belong to one stretch of overload.
STRETCH_GAP_MS = 1_000


class RateClass(IntEnum):
    """Message classes with a budget of their own, so that a flood of one never starves another."""

    CONTROL = 0
    INVENTORY = 1
    TRANSACTIONS = 2
    CONSENSUS = 3
    REQUESTS = 4
    BLOCKS = 5


class Budget(NamedTuple):
    """``rate`` bytes a second, ``burst`` bytes at once; a ``patient`` one slows for ever and never drops."""

    rate: int
    burst: int
    patient: bool = False


_MIB = 1 << 20

#: Budgets of an ordinary peer. Blocks are only sent when asked for, so a fast sender of them is no offender.
PUBLIC_BUDGETS: Mapping[RateClass, Budget] = MappingProxyType(
    {
        RateClass.CONTROL: Budget(32 << 10, 256 << 10),
        RateClass.INVENTORY: Budget(_MIB, 4 * _MIB),
        RateClass.TRANSACTIONS: Budget(4 * _MIB, 16 * _MIB),
        RateClass.CONSENSUS: Budget(8 * _MIB, 32 * _MIB),
        RateClass.REQUESTS: Budget(128 << 10, _MIB),
        RateClass.BLOCKS: Budget(16 * _MIB, 64 * _MIB, patient=True),
    }
)

#: Budgets of a proven member of S(e) or S(e+1): four times as much, and slowed but never dropped.
MEMBER_BUDGETS: Mapping[RateClass, Budget] = MappingProxyType(
    {
        name: Budget(4 * budget.rate, 4 * budget.burst, patient=name != RateClass.CONTROL)
        for name, budget in PUBLIC_BUDGETS.items()
    }
)


def scaled(budgets: Mapping[RateClass, Budget], percent: int) -> Mapping[RateClass, Budget]:
    """The budgets at so many percent of their rates and bursts."""
    return MappingProxyType(
        {
            name: Budget(max(1, each.rate * percent // 100), max(1, each.burst * percent // 100), each.patient)
            for name, each in budgets.items()
        }
    )


class TokenBucket:
    """A bucket of bytes that may run into debt: what arrived is charged, then its sender waits until it is
    level.
    """

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: int, burst: int, now: int) -> None:
        """Start full. ``rate`` in units a second, ``burst`` in units, ``now`` in ms."""
        self._rate = rate
        self._burst = burst * 1000
        self._level = burst * 1000
        self._at = now

    def charge(self, cost: int, now: int) -> int:
        """Take ``cost`` units; return for how many ms the sender should be held (0: within budget)."""
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        self._level -= cost * 1000
        return 0 if self._level >= 0 else -(self._level // self._rate)


class Meter:
    """One peer's buckets, and how long it has been leaning on them."""

    def __init__(self, budgets: Mapping[RateClass, Budget], now: int, overload_ms: int) -> None:
        """``overload_ms``: a stretch of uninterrupted overload longer than this makes `overloaded` true."""
        self._budgets = budgets
        self._buckets = [TokenBucket(budgets[name].rate, budgets[name].burst, now) for name in RateClass]
        self._overload_ms = overload_ms
        self._began = now
        self._until = now - STRETCH_GAP_MS - 1
        self.overloaded = False

    def charge(self, rate_class: RateClass, size: int, now: int) -> int:
        """Charge a message of ``size`` bytes; return for how many ms to stop reading from its sender."""
        wait = self._buckets[rate_class].charge(size + MESSAGE_COST, now)
        if wait and not self._budgets[rate_class].patient:
            self._lean(now, wait)
        return wait

    def _lean(self, now: int, wait: int) -> None:
        if now - self._until > STRETCH_GAP_MS:
            self._began = now
        self._until = now + wait
        self.overloaded = self._until - self._began > self._overload_ms
