"""Walking through all unspent coins in a thread, as of one tip, with pauses (``rpc.face_scans.Scans``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from twisted.internet.defer import Deferred

from timecoin.ledger.coins import Coin, decode_coin
from timecoin.ledger.state import LedgerState
from timecoin.node.storage_service import StorageService
from timecoin.primitives.transaction import OutPoint
from timecoin.rpc.face_scans import CoinFigures, Found, ScanAborted, ScanUnderWay
from timecoin.rpc.resting import rest

STEP = 500
"""Coins looked at between two looks at the clock."""
PAUSE = 0.002
"""Seconds for others after each step: the interpreter is shared with the reactor."""
_TXID = 32
_BOGO_OVERHEAD = 32 + 4 + 4 + 8 + 2
"""What Core's ``bogosize`` counts for each coin besides its script."""


class Coins(Protocol):
    """All coins at one tip, in key order (``storage.snapshot.CoinSnapshot``)."""

    count: int

    def steps(self, limit: int) -> Iterator[list[tuple[bytes, bytes]]]:
        """Some at a time."""
        ...


class _Search:
    """One search under way; ``looked`` is written by its thread, ``ended`` by the reactor's."""

    def __init__(self, count: int) -> None:
        self.count, self.looked = count, 0
        self.ended = False


class CoinScans:
    """At most one count and one search at a time, each in the scanning thread, one after the other."""

    def __init__(self, storage: StorageService) -> None:
        self._storage = storage
        self._search: _Search | None = None
        self._counting: list[Deferred[CoinFigures]] = []

    # Figures of all

    def figures(self) -> Deferred[CoinFigures]:
        """Count all coins; who asks while it goes on gets the same answer."""
        answer: Deferred[CoinFigures] = Deferred(self._lose_interest)
        self._counting.append(answer)
        if len(self._counting) == 1:
            ledger, coins = self._storage.chain.tip_state(), self._storage.chain.snapshot()

            def work() -> CoinFigures:
                with coins:
                    return count_coins(coins, ledger, self._stopping)

            self._storage.in_scanning_thread(work).addBoth(self._counted)
        return answer

    def _lose_interest(self, answer: Deferred[CoinFigures]) -> None:
        if answer in self._counting[1:]:
            self._counting.remove(answer)

    def _counted(self, result: object) -> None:
        waiting, self._counting = self._counting, []
        for answer in waiting:
            if not answer.called:
                answer.callback(result)  # type: ignore[arg-type]

    def _stopping(self) -> bool:
        return not self._storage.running

    # Coins of some scripts

    def find(self, scripts: Collection[bytes], limit: int) -> Deferred[Found]:
        """The coins of these scripts."""
        if self._search is not None:
            raise ScanUnderWay
        ledger, coins = self._storage.chain.tip_state(), self._storage.chain.snapshot()
        search = self._search = _Search(coins.count)
        wanted = frozenset(scripts)

        def work() -> Found:
            with coins:
                found = tuple(find_coins(coins, wanted, limit, search, self._stopping))
            return Found(ledger.height, ledger.block_hash, search.count, found)

        def over(result: object) -> object:
            # Also when who asked has left: its thread must not go on.
            search.ended, self._search = True, None
            return result

        return self._storage.in_scanning_thread(work).addBoth(over)

    def progress(self) -> int | None:
        """How much of the search is done, in percent."""
        search = self._search
        return None if search is None else min(100, 100 * search.looked // max(1, search.count))

    def abort(self) -> bool:
        """End the search under way."""
        if self._search is None:
            return False
        self._search.ended = True
        return True


def count_coins(coins: Coins, ledger: LedgerState, stopping: Callable[[], bool] = lambda: False) -> CoinFigures:
    """Figures of all ``coins``, which are those after ``ledger``; raises ``ScanAborted`` when the node stops."""
    count = transactions = size = total = 0
    last = b""
    for step in coins.steps(STEP):
        for outpoint, data in step:
            coin = decode_coin(data)
            count, total = count + 1, total + coin.value
            size += _BOGO_OVERHEAD + len(coin.script)
            if outpoint[:_TXID] != last:
                last, transactions = outpoint[:_TXID], transactions + 1
        _breathe(stopping)
    header = ledger.header
    return CoinFigures(ledger.height, ledger.block_hash, header.utxo_commitment, count, transactions, size, total)


def find_coins(
    coins: Coins, wanted: frozenset[bytes], limit: int, search: _Search, stopping: Callable[[], bool] = lambda: False
) -> Iterator[tuple[OutPoint, Coin]]:
    """The coins of the scripts ``wanted``; ``ScanAborted``, ValueError above ``limit``."""
    found = 0
    for step in coins.steps(STEP):
        if search.ended:
            raise ScanAborted
        for outpoint, data in step:
            coin = decode_coin(data)
            if coin.script in wanted:
                found += 1
                if found > limit:
                    raise ValueError(f"more than {limit} coins")
                yield outpoint, coin
        search.looked += len(step)
        _breathe(stopping)


def _breathe(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise ScanAborted
    rest(PAUSE)
