"""How one wallet keeps up with the chain: the feed's events, blocks that it missed, the pool at its opening."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

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
        self._catching_up: Deferred[None] | None = None
        self.running = True
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
        self._writer.soon()

    # Catching up

    def catch_up(self) -> Deferred[None]:
        """Look at the blocks since the last one that was looked at; fires when it is through, or gave up for now."""
        if self._catching_up is None:
            working = self._catching_up = Deferred.fromCoroutine(self._catch_up())
            working.addErrback(self._gave_up).addBoth(self._caught_up)
        waiting: Deferred[None] = Deferred()
        if self._catching_up is None:
            waiting.callback(None)
        else:
            self._catching_up.addBoth(lambda _: waiting.callback(None))
        return waiting

    def _gave_up(self, failure: Any) -> None:
        # Tried again at the next block.
        if failure.check(RpcError):
            self.log.info("wallet {name}: {reason}", name=self._name, reason=failure.getErrorMessage())
        else:
            self.log.failure("wallet {name} could not catch up", failure, name=self._name)

    def _caught_up(self, _: object) -> None:
        self._catching_up = None

    async def _catch_up(self) -> None:
        while self.running and (first := self._first_unseen()) <= self._chain.tip.height:
            if first < self._chain.base:
                await self._from_coins()
            else:
                await self._scanner.blocks(first, self._chain.tip.height, self._synced, partial(self._again, first))
            self._state.settings.again_from = -1
        await self.look_at_pool()
        self.is_ready = self.running
        self._writer.soon()

    def _first_unseen(self) -> int:
        settings = self._state.settings
        return settings.synced + 1 if settings.again_from < 0 else min(settings.again_from, settings.synced + 1)

    def _again(self, first: int) -> None:
        self._state.settings.again_from = first
        self._writer.soon()

    async def _from_coins(self) -> None:
        """The node joined with a snapshot: what is older than its blocks is known by the coins that were left."""
        base, tip = self._chain.base, self._chain.tip.height
        self.log.warn(
            "wallet {name}: its history below height {base} is not to be had here", name=self._name, base=base
        )
        await self._scanner.all_blocks_and_coins(tip)
        self._state.settings.missing_below = base
        self._synced(tip)

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
