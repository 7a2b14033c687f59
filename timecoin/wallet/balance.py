"""How much a wallet has: Core's two halves, and beside them the four statuses, which never blur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from timecoin.primitives.transaction import OutPoint
from timecoin.wallet.coins import Coin
from timecoin.wallet.history import History

__all__ = ["Balance", "Balances", "reckon"]

_FIELDS: Final = ("pending", "certified", "final", "archived")


@dataclass(slots=True)
class Balance:
    """Base units of unspent coins.

    By the status of the transaction that made them: ``pending``, ``certified``, ``final``, ``archived``. The same sum
    is ``trusted`` (final, archived, and own change before that) and ``untrusted``. ``collateral``: of it, locked by
    the registry of masternodes.
    """

    pending: int = 0
    certified: int = 0
    final: int = 0
    archived: int = 0
    trusted: int = 0
    untrusted: int = 0
    collateral: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.trusted + self.untrusted

    def add(self, coin: Coin, status: str, trusted: bool, collateral: bool) -> None:
        """Count a coin in."""
        assert status in _FIELDS, status
        setattr(self, status, getattr(self, status) + coin.value)
        if trusted:
            self.trusted += coin.value
        else:
            self.untrusted += coin.value
        if collateral:
            self.collateral += coin.value


@dataclass(frozen=True, slots=True)
class Balances:
    """``mine``: coins whose keys the wallet has; ``watched``: those that it only watches."""

    mine: Balance
    watched: Balance


def reckon(history: History, is_collateral: Callable[[OutPoint], bool]) -> Balances:
    """The balances now; linear in the number of unspent coins."""
    result = Balances(Balance(), Balance())
    trusted: dict[bytes, bool] = {}
    for coin in history.unspent():
        if coin.txid not in trusted:
            trusted[coin.txid] = history.is_trusted(coin.txid)
        part = result.mine if coin.owned.spendable else result.watched
        part.add(coin, history.status_of(coin), trusted[coin.txid], is_collateral(coin.outpoint))
    return result
