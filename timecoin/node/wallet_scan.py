"""Looking through the chain for what is a wallet's: blocks in slices in a thread, and, below what the node has of the
chain, the unspent coins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from timecoin.ledger.coins import decode_coin
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_writer import InThread
from timecoin.primitives.block import Header
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.errors import MISC_ERROR, RpcError
from timecoin.rpc.face_wallet import ScanInfo
from timecoin.rpc.wallet_errors import WALLET_ERROR
from timecoin.storage.snapshot import CoinSnapshot
from timecoin.wallet.history import Archived
from timecoin.wallet.records import FoundCoin
from timecoin.wallet.state import WalletState

__all__ = ["Scanner", "place_of"]

SLICE_BLOCKS: Final = 50
SLICE_TXS: Final = 2_000
"""A slice ends at so many blocks or transactions, so that an abort is heard and others get the thread."""
PAUSE: Final = 0.002
"""Seconds between slices, in which the reactor works alone."""
COINS_STEP: Final = 2_000
LOG_EVERY_MS: Final = 10_000


class _Slice(NamedTuple):
    """What a slice came to: the last block looked at, and its transactions that are the wallet's."""

    header: Header
    found: list[Transaction]


def place_of(header: Header) -> Archived:
    """Where the transactions of a block are archived."""
    return Archived(header.height, header.hash, header.slot_time)


class Scanner:
    """Scans for one wallet, one scan at a time."""

    log = Logger()

    def __init__(self, name: str, state: WalletState, chain: WalletChain, reactor: Any, in_thread: InThread) -> None:
        self._name = name
        self._state = state
        self._chain = chain
        self._reactor = reactor
        self._in_thread = in_thread
        self._info: ScanInfo | None = None
        self._began = 0
        self._logged = 0
        self._aborted = False

    @property
    def info(self) -> ScanInfo | None:
        """The scan under way."""
        return self._info

    def abort(self) -> bool:
        """End the scan under way after its slice; whether there was one."""
        self._aborted = self._info is not None
        return self._aborted

    async def blocks(
        self,
        first: int,
        last: int,
        done: Callable[[int], None] = lambda height: None,
        again: Callable[[], None] = lambda: None,
    ) -> None:
        """Look through the blocks ``first`` to ``last``, until nothing is found that makes the wallet watch more.

        An address far ahead may have been paid before those that make the wallet look that far. ``done`` hears of
        heights that are behind it; ``again``: that they are to be looked at once more. RpcError −1 when it was aborted,
        −4 when a scan is under way.
        """
        self._begin()
        try:
            while await self._blocks(first, last, done, again):
                self.log.info("wallet {name}: it watches more addresses, and looks again", name=self._name)
        finally:
            self._info = None

    async def _blocks(self, first: int, last: int, done: Callable[[int], None], again: Callable[[], None]) -> bool:
        """One time; whether the wallet watches more scripts now than before."""
        height, grew = first, False
        while height <= last:
            found: _Slice = await self._in_thread(self._slice, height, last)
            reached = found.header.height
            self._step(reached, first, last)
            if not self._absorb(found):
                done(reached)
                height = reached + 1
            else:
                # The same block may hold more for it, and those before it, too.
                grew, height = True, reached
                again()
            await self._pause()
        return grew

    def _slice(self, first: int, last: int) -> _Slice:
        count = 0
        for height in range(first, last + 1):
            block = self._chain.read_block(height)
            found = self._state.matches(block.transactions)
            count += len(block.transactions)
            if found or height == last or height - first >= SLICE_BLOCKS or count >= SLICE_TXS:
                return _Slice(block.header, found)
        raise AssertionError("an empty slice")

    def _absorb(self, found: _Slice) -> bool:
        now, place, grew = self._chain.now_ms(), place_of(found.header), False
        for tx in found.found:
            grew = self._state.absorb(tx, "archived", now, place=place) or grew
        return grew

    async def all_blocks_and_coins(self, last: int, again: Callable[[], None]) -> None:
        """Look through all blocks that are here up to ``last``, and for coins that are older; raises as they do."""
        await self.blocks(self._chain.base, last, again=again)
        while await self.coins(again):
            await self.blocks(self._chain.base, last, again=again)

    async def coins(self, again: Callable[[], None]) -> bool:
        """Look through all unspent coins for those made below the blocks that are here.

        Looks again as long as the wallet comes to watch more scripts; returns whether it did.
        """
        self._begin()
        try:
            grew = False
            while True:
                found = await self._in_thread(self._find_coins, self._chain.snapshot(), self._chain.base)
                if not self._state.find_coins(found):
                    return grew
                grew = True
                again()
        finally:
            self._info = None

    def _find_coins(self, snapshot: CoinSnapshot, base: int) -> list[FoundCoin]:
        found, seen, owned = [], 0, self._state.owned
        with snapshot:
            for step in snapshot.steps(COINS_STEP):
                self._step(seen, 0, max(snapshot.count, 1))
                seen += len(step)
                for outpoint, data in step:
                    coin = decode_coin(data)
                    if coin.code // 2 < base and owned(coin.script) is not None:
                        found.append(FoundCoin(outpoint, coin.value, coin.script, coin.code // 2, bool(coin.code & 1)))
        return found

    def _begin(self) -> None:
        if self._info is not None:
            raise RpcError(WALLET_ERROR, "Wallet is currently rescanning. Abort existing rescan or wait.")
        self._began = self._logged = self._chain.now_ms()
        self._info = ScanInfo(0, 0.0, 0)
        self._aborted = False

    def _step(self, reached: int, first: int, last: int) -> None:
        if self._aborted:
            raise RpcError(MISC_ERROR, "Rescan aborted.")
        now = self._chain.now_ms()
        progress = min(1.0, (reached - first + 1) / (last - first + 1))
        self._info = ScanInfo((now - self._began) // 1000, progress, reached)
        if now - self._logged >= LOG_EVERY_MS:
            self._logged = now
            self.log.info("wallet {name}: scan at {percent:.1f} %", name=self._name, percent=100 * progress)

    def _pause(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._reactor.callLater(PAUSE, waiting.callback, None)
        return waiting
