"""Sums of a wallet's unspent coins, kept up with every change, so that a balance does not have to look at each coin."""

from __future__ import annotations

from collections.abc import Iterator

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint
from timecoin.wallet.coins import Coin
from timecoin.wallet.records import SETTLED

__all__ = ["Totals"]

_Key = tuple[str | Hash, bool]


class Totals:
    """Base units of unspent coins: of final and archived ones by status, of others by their transaction, because
    whether those can be relied on depends on what is known of it. Apart for coins whose keys the wallet has.
    """

    def __init__(self) -> None:
        self._counted: dict[OutPoint, tuple[_Key, int]] = {}
        self._settled: dict[_Key, int] = {}
        self._unsettled: dict[_Key, int] = {}

    def count(self, coin: Coin, status: str) -> None:
        """Count a coin whose transaction has ``status``; once, however often it is counted."""
        self.drop(coin.outpoint)
        key: _Key = (status if status in SETTLED else coin.txid, coin.owned.spendable)
        self._counted[coin.outpoint] = (key, coin.value)
        sums = self._sums(key)
        sums[key] = sums.get(key, 0) + coin.value

    def drop(self, outpoint: OutPoint) -> None:
        """Count a coin no longer; one that is not counted may be dropped."""
        counted = self._counted.pop(outpoint, None)
        if counted is None:
            return
        key, value = counted
        sums = self._sums(key)
        sums[key] -= value
        if not sums[key]:
            del sums[key]

    def settled(self, status: str, spendable: bool) -> int:
        """Of ``final`` or ``archived`` coins."""
        return self._settled.get((status, spendable), 0)

    def unsettled(self) -> Iterator[tuple[Hash, bool, int]]:
        """Of what is neither: transaction, whether the wallet has the keys, base units."""
        for (txid, spendable), value in self._unsettled.items():
            assert isinstance(txid, bytes)
            yield txid, spendable, value

    def _sums(self, key: _Key) -> dict[_Key, int]:
        return self._settled if isinstance(key[0], str) else self._unsettled
