"""How one wallet keeps up with the chain: the feed's events, blocks that it missed, the pool at its opening."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from timecoin.consensus.status import Status
from timecoin.node.feed import TransactionChanged
from timecoin.node.wallet_chain import WalletChain
from timecoin.node.wallet_scan import Scanner, place_of
from timecoin.node.wallet_writer import WalletWriter
from timecoin.primitives.block import Header
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import Transaction
from timecoin.rpc.errors import RpcError
from timecoin.wallet.state import WalletState

__all__ = ["Following"]

_POOL_SLICE: Final = 1_000
_NOWHERE: Final = -2


class Following:
    """Hears of everything (:meth:`transaction`, :meth:`block`) and fetches what it missed (:meth:`catch_up`)."""

    log = Logger()

    def __init__(
        self,
        name: str,
        state: WalletState,
        chain: WalletChain,
        scanner: Scanner,
        writer: WalletWriter,
        reactor: Any,
        changed: Callable[[Hash], None],
    ) -> None:
        self._name = name
        self._state = state
        self._chain = chain
        self._scanner = scanner
        self._writer = writer
        self._reactor = reactor
        self._changed = changed
        self._archived: dict[int, list[Transaction]] = {}
        self._waiting: list[Deferred[None]] | None = None
        self._owed = 0
        self._reached = _NOWHERE
        self.running = True
        self.paused = False
        """Whether its owner ended a search: what is owed waits for the next one, or for the next loading."""
        self.is_ready = False
        """Whether it has seen, since it was loaded, what happened while it was not."""

    # The feed

    def transaction(self, event: TransactionChanged) -> None:
        """A transaction of the network has a new status; most are not the wallet's."""
        history = self._state.history
        record = history.get(event.txid)
        tx = event.tx if record is None else record.tx
        if tx is None or (record is None and not history.touches(tx)):
            return
        if event.status is Status.ARCHIVED:
            # Where it is archived is told by the event of its block, which follows.
            self._archived.setdefault(event.height or 0, []).append(tx)
        elif record is not None or event.status is not Status.REJECTED:
            self._state.absorb(tx, event.status.value, event.time_ms, reason=event.reason or "")
            self._writer.soon()
            self._changed(event.txid)

    def block(self, header: Header, coinbase: Transaction | None) -> None:
        """A block was applied; ``coinbase`` is given of those that pay rewards. Called in the order of heights."""
        txs = self._archived.pop(header.height, [])
        # Blocks are sorted by txid: a spend of what is new in a block may have been told before it, and not noticed.
        again = any(tx.txid not in self._state.history for tx in txs)
        if coinbase is not None and self._state.history.touches(coinbase):
            txs.append(coinbase)
        for tx in txs:
            again = self._state.absorb(tx, "archived", self._chain.now_ms(), place=place_of(header)) or again
            self._changed(tx.txid)
        if self._state.settings.synced == header.height - 1 and not again:
            self._state.settings.synced = header.height
        elif self._state.settings.synced < header.height:
            self.catch_up()
        if self._state.settings.again_from >= 0 and not self.paused:
            self.catch_up()
        self._writer.soon()

    # Catching up

    def owe(self, first: int) -> None:
        """The wallet watches scripts that the blocks from ``first`` on were not searched for: until that is done, now
        or after the next loading, it stands in the settings."""
        # A search that is under way may be beyond these blocks.
        self._owed += 1
        self._state.settings.search_from = _lowest(self._state.settings.search_from, first)
        self._again(first)

    def catch_up(self) -> Deferred[None]:
        """Look at the blocks since the last one that was looked at, and at those that are owed; fires when it is
        through, or gave up for now."""
        return self.search().addErrback(lambda _: None)

    def search(self) -> Deferred[None]:
        """:meth:`catch_up` for who wants to know why it gave up; it goes on when nobody waits for it any more."""
        waiting: Deferred[None] = Deferred()
        if self._waiting is not None:
            self._waiting.append(waiting)
        else:
            self._waiting = [waiting]
            Deferred.fromCoroutine(self._catch_up()).addBoth(self._through)
        return waiting

    def _through(self, result: Any) -> None:
        waiting, self._waiting = self._waiting or [], None
        if isinstance(result, Failure):
            self._gave_up(result)
        for each in waiting:
            each.errback(result) if isinstance(result, Failure) else each.callback(None)

    def _gave_up(self, failure: Failure) -> None:
        # Tried again at the next block.
        if failure.check(RpcError):
            self.log.info("wallet {name}: {reason}", name=self._name, reason=failure.getErrorMessage())
        else:
            self.log.failure("wallet {name} could not catch up", failure, name=self._name)

    async def rescan(self, first: int, last: int | None) -> tuple[int, int]:
        """Look through blocks because the owner says so; the heights looked at. Raises as the scanner does."""
        tip, owed = self._chain.tip.height, self._owed
        end = tip if last is None else last
        if first >= self._chain.base:
            await self._scanner.blocks(first, end, again=partial(self._again, first))
        else:
            await self._from_coins(first, end)
        await self.look_at_pool()
        settings = self._state.settings
        if end >= tip and owed == self._owed and _lowest(settings.search_from, first) == first:
            settings.again_from = settings.search_from = -1
        elif settings.again_from >= 0:
            # What was found made it watch more scripts, and they may stand in the blocks that were not asked for.
            self.catch_up()
        return max(first, self._chain.base), end

    async def _catch_up(self) -> None:
        while self.running:
            while self.running and (first := self._first_unseen()) <= self._chain.tip.height:
                await self._search(first)
            await self.look_at_pool()
            if self._first_unseen() > self._chain.tip.height:
                break
        self.is_ready = self.running
        self._writer.soon()

    def _first_unseen(self) -> int:
        settings = self._state.settings
        return settings.synced + 1 if settings.again_from < 0 else min(settings.again_from, settings.synced + 1)

    async def _search(self, first: int) -> None:
        settings = self._state.settings
        begin = settings.search_from = _lowest(settings.search_from, first)
        owed, self._reached = self._owed, first
        if first < self._chain.base:
            await self._from_coins(begin, self._chain.tip.height)
            self._synced(self._chain.tip.height)
        else:
            await self._scanner.blocks(first, self._chain.tip.height, self._looked, partial(self._again, begin))
        if owed == self._owed and (begin == first or settings.again_from != begin):
            settings.again_from = settings.search_from = -1

    def _again(self, first: int) -> None:
        settings = self._state.settings
        settings.again_from = _lowest(settings.again_from, first)
        self._reached = _NOWHERE
        self._writer.soon()

    def _looked(self, height: int) -> None:
        """Nothing up to ``height`` has to be looked at again, unless something made the search begin anew."""
        settings = self._state.settings
        if settings.again_from == self._reached:
            settings.again_from = self._reached = height + 1
        self._synced(height)

    async def _from_coins(self, first: int, end: int) -> None:
        """The node joined with a snapshot: what is older than its blocks is known by the coins that were left."""
        base = self._chain.base
        self.log.warn(
            "wallet {name}: its history below height {base} is not to be had here", name=self._name, base=base
        )
        await self._scanner.all_blocks_and_coins(end, partial(self._again, first))
        self._state.settings.missing_below = base

    def _synced(self, height: int) -> None:
        self._state.settings.synced = max(height, self._state.settings.synced)
        self._writer.soon()

    async def look_at_pool(self) -> None:
        """What happened to unarchived transactions while nobody listened."""
        self.refresh()
        waiting = iter(list(self._chain.pool_ids()))
        while txids := list(islice(waiting, _POOL_SLICE)):
            for txid in txids:
                tx = self._chain.pool_tx(txid)
                if tx is not None and self._state.history.touches(tx):
                    self._take_status(tx)
            await self._turn()

    def refresh(self) -> None:
        """Ask the node where own unarchived transactions stand: no event tells of a certificate that lapsed with its
        epoch."""
        for record in self._state.history.unarchived():
            if record.status == "certified" and self._chain.status(record.txid) is None:
                self._state.absorb(record.tx, "pending", self._chain.now_ms())
            else:
                self._take_status(record.tx)

    def _take_status(self, tx: Transaction) -> None:
        found = self._chain.status(tx.txid)
        if found is not None and found[0] != "archived":
            self._state.absorb(tx, found[0], self._chain.now_ms(), reason=found[1])

    def _turn(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._reactor.callLater(0, waiting.callback, None)
        return waiting


def _lowest(known: int, height: int) -> int:
    """The lower one of two heights, where −1 is none."""
    return height if known < 0 else min(known, height)
