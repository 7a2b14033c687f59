"""The address index as a service: it follows the chain in a thread of its own (``rpc.face_addresses.Addresses``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from timecoin.consensus.participant import Participant
from timecoin.node.address_pool import AddressPool
from timecoin.node.feed import BlockApplied, Feed, TransactionChanged
from timecoin.node.root import StartRefused
from timecoin.node.storage_service import StorageService
from timecoin.primitives.block import Block
from timecoin.rpc.face_addresses import (
    IndexNotReady,
    IndexState,
    Occurrence,
    PoolOccurrence,
    TooMuch,
    Totals,
    UnspentCoin,
)
from timecoin.storage.address_changes import script_id
from timecoin.storage.address_index import AddressIndex, TooManyEntries
from timecoin.storage.archive import Archive
from timecoin.storage.errors import StorageError

T = TypeVar("T")
FILE = "addresses.fs"
BATCH_BLOCKS, BATCH_BYTES = 64, 4_000_000
"""Blocks taken at a time while catching up, and their bytes together; one at least."""
MOVE_KEYS = 300
"""Changes moved into the tree in one commit."""
PAUSE = 0.005
"""Seconds for others between two commits."""
PATIENCE = 10.0
"""Seconds that a question waits for the index to reach the tip."""
MAX_ENTRIES = 200_000
_LOOK = 0.02


class AddressService(Service):
    """Builds the index from where it stands, then keeps up with each block; a stop ends it between two commits."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        chain_id: bytes,
        storage: StorageService,
        feed: Feed,
        participant: Callable[[], Participant],
    ) -> None:
        """``participant``: whose pool holds the unarchived transactions, once it is there."""
        self._reactor, self._storage, self._feed = reactor, storage, feed
        self._path, self._chain_id, self._participant = path / FILE, chain_id, participant
        self._threads = ThreadPool(0, 1, name="addresses")
        self._index: AddressIndex | None = None
        self._problem: str | None = None
        self._following: Deferred[None] | None = None
        self._works = False
        self._unlisten: list[Callable[[], None]] = []
        self._pool: AddressPool

    def startService(self) -> None:
        """Open the index and begin to follow; ``StartRefused``."""
        super().startService()
        try:
            self._index = AddressIndex.open(self._path, self._chain_id)
        except StorageError as error:
            raise StartRefused(f"{error}; without {self._path} the index is made anew") from error
        self._problem = self._misfit(self._index)
        if self._problem is not None:
            self.log.error("the address index is of no use: {problem}", problem=self._problem)
        participant = self._participant()
        self._pool = AddressPool(participant.finality.pool, lambda txid: participant.told_final(txid) is not None)
        self._unlisten = [self._feed.listen(self._pool), self._feed.listen(self)]
        self._threads.start()
        self._follow()

    def _misfit(self, index: AddressIndex) -> str | None:
        """Why the index cannot go on from where it is."""
        chain = self._storage.chain
        if chain.base > 0:
            return f"it needs every block, and those below {chain.base} are not here: this node joined with a snapshot"
        if index.height < 0:
            return None
        if index.height > chain.tip.height or chain.archive.block_hash(index.height) != index.block_hash:
            return f"it is of another chain than the blocks; delete {self._path.name} and it is made anew"
        return None

    def stopService(self) -> Deferred[None]:
        """End the work between two commits, then close."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for unlisten in self._unlisten:
            unlisten()
        if self._following is not None:
            await self._following
        if self._threads.started:
            self._threads.stop()
        if self._index is not None:
            self._index.close()

    # Following the chain

    def transaction(self, event: TransactionChanged) -> None:
        """Of no interest here: see :class:`AddressPool`."""

    def block(self, event: BlockApplied) -> None:
        """There is a block more."""
        self._follow()

    def _follow(self) -> None:
        # It may be over before the call returns, when there is nothing to do.
        if not self._works and self._problem is None and self.running:
            self._works = True
            self._following = Deferred.fromCoroutine(self._work()).addErrback(self._failed).addBoth(self._rest)

    def _rest(self, _: object) -> None:
        self._works = False

    def _failed(self, failure: Any) -> None:
        self._problem = f"it cannot be kept: {failure.getErrorMessage()}"
        self.log.failure("the address index is no longer kept", failure)

    async def _work(self) -> None:
        index, began = self._opened(), self._opened().height
        while self.running and (index.is_moving or index.height < self._tip):
            await deferToThreadPool(self._reactor, self._threads, _step, index, self._storage.chain.archive, self._tip)
            await deferLater(self._reactor, PAUSE)
            if index.height - index.height % 1_000 > began:
                began = index.height
                self.log.info("address index: block {height} of {tip}", height=began, tip=self._tip)

    @property
    def _tip(self) -> int:
        return self._storage.chain.tip.height

    def _opened(self) -> AddressIndex:
        assert self._index is not None
        return self._index

    # What RPC asks

    def state(self) -> IndexState:
        """How far it is."""
        height = self._opened().height
        return IndexState(self._problem is None and height >= self._tip, max(0, height), self._tip, self._problem)

    async def _ready(self) -> AddressIndex:
        """The index, once it holds the tip of now; ``IndexNotReady`` when that takes too long."""
        index, tip = self._opened(), self._tip
        end = self._reactor.seconds() + PATIENCE
        while index.height < tip:
            if self._problem is not None:
                break
            if self._reactor.seconds() >= end:
                text = f"The address index is being built: block {max(0, index.height)} of {tip}"
                raise IndexNotReady(text)
            await deferLater(self._reactor, _LOOK)
        if self._problem is not None:
            raise IndexNotReady(f"The address index cannot be used: {self._problem}")
        return index

    def _read(self, read: Callable[[AddressIndex], T]) -> Deferred[T]:
        async def work() -> T:
            index = await self._ready()
            try:
                return await self._storage.in_reading_thread(read, index)
            except TooManyEntries:
                raise TooMuch(f"More than {MAX_ENTRIES} entries: ask for fewer addresses or blocks") from None

        return Deferred.fromCoroutine(work())

    def totals(self, scripts: Collection[bytes]) -> Deferred[Totals]:
        """Sums over archived blocks."""
        return self._read(lambda index: _totals(index, scripts))

    def history(self, scripts: Collection[bytes], first: int, last: int) -> Deferred[Sequence[Occurrence]]:
        """What stands in some blocks."""
        first, last = max(0, first), min(2**32 - 1, last)
        return self._read(lambda index: _history(index, self._storage.chain.archive, scripts, first, last))

    def unspent(self, scripts: Collection[bytes]) -> Deferred[Sequence[UnspentCoin]]:
        """Archived unspent outputs."""
        return self._read(lambda index: _unspent(index, scripts))

    def pool(self, scripts: Collection[bytes]) -> Sequence[PoolOccurrence]:
        """Unarchived transactions."""
        return self._pool.find(scripts)


def _step(index: AddressIndex, archive: Archive, tip: int) -> None:
    """One commit: some changes of the batch at hand, or the beginning of the next."""
    if index.is_moving:
        index.move(MOVE_KEYS)
        return
    blocks: list[Block] = []
    size = 0
    for height in range(index.height + 1, min(tip, index.height + BATCH_BLOCKS) + 1):
        raw = archive.block(height)
        size += len(raw)
        if blocks and size > BATCH_BYTES:
            break
        blocks.append(Block.decode(raw))
    if blocks:
        index.begin(blocks)


def _totals(index: AddressIndex, scripts: Collection[bytes]) -> Totals:
    touches = [each for script in scripts for each in index.history(script_id(script), MAX_ENTRIES)]
    received, spent = sum(each.received for each in touches), sum(each.spent for each in touches)
    return Totals(received - spent, received, len({(each.height, each.position) for each in touches}))


def _history(
    index: AddressIndex, archive: Archive, scripts: Collection[bytes], first: int, last: int
) -> list[Occurrence]:
    found = [
        (each, script) for script in scripts for each in index.history(script_id(script), MAX_ENTRIES, first, last)
    ]
    if len(found) > MAX_ENTRIES:
        raise TooManyEntries
    found.sort(key=lambda each: each[0][:2])
    shown = []
    for touch, script in found:
        txid = archive.txid_at(touch.height, touch.position)
        assert txid is not None
        shown.append(Occurrence(txid, script, touch.received, touch.spent, touch.height, touch.position))
    return shown


def _unspent(index: AddressIndex, scripts: Collection[bytes]) -> list[UnspentCoin]:
    found = [
        UnspentCoin(each.outpoint, script, each.value, each.height)
        for script in scripts
        for each in index.unspent(script_id(script), MAX_ENTRIES)
    ]
    if len(found) > MAX_ENTRIES:
        raise TooManyEntries
    return sorted(found, key=lambda each: (each.height, each.outpoint))
