"""Coins of a wallet, who says which they are, and the owner's locks on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from timecoin.primitives.transaction import OutPoint

__all__ = ["Coin", "CoinLocks", "Owned", "Owner"]


@dataclass(frozen=True, slots=True)
class Owned:
    """What a script is to the wallet: ``change``: of the internal chain; ``spendable``: the wallet has the keys (it may
    have to be unlocked), otherwise it only watches."""

    change: bool = False
    spendable: bool = True


class Owner(Protocol):
    """Knows the wallet's scripts; one dictionary look-up, as every transaction of the network passes here."""

    def owned(self, script: bytes) -> Owned | None:
        """What ``script`` is to the wallet; None: nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that is the wallet's: ``value`` in base units."""

    outpoint: OutPoint
    value: int
    script: bytes
    owned: Owned

    @property
    def txid(self) -> bytes:
        """The transaction that made it."""
        return self.outpoint[:32]

    @property
    def index(self) -> int:
        """Which of its outputs it is."""
        return int.from_bytes(self.outpoint[32:], "little")


class CoinLocks:
    """Coins that the owner keeps from being chosen (lockunspent): for as long as the wallet is open, or durably."""

    def __init__(self, durable: Iterable[OutPoint] = ()) -> None:
        self._locked: dict[OutPoint, bool] = dict.fromkeys(durable, True)

    def __contains__(self, outpoint: OutPoint) -> bool:
        return outpoint in self._locked

    def lock(self, outpoint: OutPoint, durable: bool) -> bool:
        """Lock a coin; a durable lock stays one. Returns whether the store has to be told."""
        was_durable = self._locked.get(outpoint, False)
        self._locked[outpoint] = durable or was_durable
        return durable and not was_durable

    def unlock(self, outpoint: OutPoint) -> bool:
        """Let a coin go; returns whether the store has to be told."""
        return self._locked.pop(outpoint, False)

    def is_durable(self, outpoint: OutPoint) -> bool:
        """Whether the store holds the lock."""
        return self._locked.get(outpoint, False)

    def listed(self) -> list[OutPoint]:
        """The locked coins, sorted."""
        return sorted(self._locked)
