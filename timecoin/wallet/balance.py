"""How much a wallet has: Core's two halves, and beside them the four statuses, which never blur."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint
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

    def add(self, status: str, value: int, trusted: bool) -> None:
        """Count coins in that are worth ``value`` together."""
        assert status in _FIELDS, status
        setattr(self, status, getattr(self, status) + value)
        if trusted:
            self.trusted += value
        else:
            self.untrusted += value


@dataclass(frozen=True, slots=True)
class Balances:
    """``mine``: coins whose keys the wallet has; ``watched``: those that it only watches."""

    mine: Balance
    watched: Balance


def reckon(history: History, collateral: Iterable[OutPoint]) -> Balances:
    """The balances now, ``collateral`` being what the registry locks, other people's included.

    Linear in that and in the number of transactions that are not final, not in that of coins.
    """
    result = Balances(Balance(), Balance())
    for part, spendable in ((result.mine, True), (result.watched, False)):
        for status in ("final", "archived"):
            part.add(status, history.totals.settled(status, spendable), trusted=True)
    _add_unsettled(history, result)
    for outpoint in collateral:
        coin = history.coin(outpoint)
        if coin is not None and history.is_unspent(outpoint):
            (result.mine if coin.owned.spendable else result.watched).collateral += coin.value
    return result


def _add_unsettled(history: History, result: Balances) -> None:
    known: dict[Hash, bool] = {}
    for txid, spendable, value in history.totals.unsettled():
        record = history.get(txid)
        assert record is not None
        (result.mine if spendable else result.watched).add(record.status, value, history.is_trusted(txid, known))
