"""The disk as a service: data directory, chain store and journal, each worked on by a thread of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from timecoin.consensus.jobs import CoinLookup
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.coins import Coin, encode_coin
from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.snapshot_manifest import RANGE_COINS
from timecoin.ledger.state import LedgerState
from timecoin.node.root import StartRefused
from timecoin.node.snapshot_making import SnapshotMaker
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit
from timecoin.storage.chain import ChainStore
from timecoin.storage.datadir import DataDirectory
from timecoin.storage.delta import Closing, CommittedBlock
from timecoin.storage.errors import CoinsBusy, DataDirectoryError, PackInterrupted, StorageError, UnknownBlock
from timecoin.storage.finaltimes import pack_times
from timecoin.storage.journal import Journal
from timecoin.storage.snapshot_files import Held, SnapshotFiles

T = TypeVar("T")
SNAPSHOTS_NAME = "snapshots"
BUSY_PAUSE = 60.0
"""Seconds after which a pack is tried again that a snapshot kept from beginning."""
MERGE_PAUSE = 0.02
"""Seconds between two merge commits, so that the reactor gets its turns."""


class StorageService(Service):
    """Opens everything, writes block 0 into a new chain, and closes everything last.

    Reads (:meth:`coin`, :meth:`archived`) answer at once on the reactor's thread; writes go through
    :meth:`in_chain_thread` and
    :meth:`in_journal_thread`, one at a time each.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        genesis: Genesis,
        path: Path,
        uri_blocks: str,
        uri_coins: str,
        *,
        merge_keys: int,
        pack_hours: int,
        snapshots: bool = False,
        range_coins: int = RANGE_COINS,
    ) -> None:
        """``merge_keys``: at most so many in one merge; ``pack_hours`` between two packs, 0: never.

        ``snapshots``: whether to make and hold some; ``range_coins`` in each of their ranges, the same in all nodes.
        """
        self._reactor = reactor
        self._genesis = genesis
        self._directory = DataDirectory(path)
        self._uris = (uri_blocks, uri_coins)
        self._merge_keys = merge_keys
        self._chain_pool = ThreadPool(1, 1, name="chain")
        self._journal_pool = ThreadPool(1, 1, name="journal")
        self._reading_pool = ThreadPool(1, 2, name="reading")
        self._packing_pool = ThreadPool(0, 1, name="packing")
        self._snapshot_pool = ThreadPool(0, 1, name="snapshots")
        self._scanning_pool = ThreadPool(0, 1, name="scanning")
        self._pools = (
            self._chain_pool,
            self._journal_pool,
            self._reading_pool,
            self._packing_pool,
            self._snapshot_pool,
            self._scanning_pool,
        )
        self.snapshots = SnapshotFiles(path / SNAPSHOTS_NAME)
        self.makes_snapshots = snapshots
        self.snapshot_maker = SnapshotMaker(
            reactor, genesis.parameters, self.snapshots, self._in_snapshot_thread, range_coins
        )
        self._pack_seconds = pack_hours * 3600
        self._packs = LoopingCall(self._pack)
        self._packs.clock = reactor
        self.is_packing = False
        self._merging = False
        self._busy: set[Deferred[Any]] = set()
        self.chain: ChainStore
        self.journal: Journal
        self.ledger: LedgerState
        self.last_commit: Commit
        self.replayed: list[tuple[int, bytes]] = []
        """The journal's records with their positions, as read at the start."""

    # Life cycle

    def startService(self) -> Deferred[None]:
        """Open; fails with ``StartRefused`` and one line for the operator."""
        super().startService()
        for pool in self._pools:
            pool.start()
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            await self._open()
        except StorageError as error:
            await self._stop()
            raise StartRefused(str(error)) from error
        except BaseException:
            await self._stop()
            raise

    async def _open(self) -> None:
        # Opened on the reactor's thread: the reader's connection belongs to it, and nothing else runs yet.
        self._directory.open()
        self._directory.bind(self._genesis.chain_id)
        self.chain = ChainStore.open(*self._uris, self._genesis.chain_id)
        self._open_snapshots()
        self.journal = await self.in_journal_thread(Journal.open, self._directory.path, self._genesis.chain_id)
        if self.chain.tip.height < 0:
            self._write_first_block()
        self.read_tip()
        self.replayed = await self.in_journal_thread(lambda: list(self.journal.entries()))
        if self._pack_seconds:
            self._packs.start(self._pack_seconds, now=False)

    def read_tip(self) -> None:
        """Take ``ledger`` and ``last_commit`` from the chain: at the start, and after a snapshot became the chain."""
        self.ledger = LedgerState.decode(self.chain.tip.state)
        self.last_commit = Commit.decode(self.chain.archive.commit(self.ledger.height))

    def _open_snapshots(self) -> None:
        record = self.chain.unfinished_import()
        try:
            self.snapshots.open(None if record is None else record.manifest.height)
        except OSError as error:
            raise DataDirectoryError(f"{self.snapshots.path}: {error.strerror or error}") from error

    def _write_first_block(self) -> None:
        first = first_block(self._genesis)
        self.chain.committed(self.chain.commit_block(committed_block(first, EMPTY_COMMIT)))

    def stopService(self) -> Deferred[None]:
        """Wait for every write under way, then close."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._packs.running:
            self._packs.stop()
        self.snapshot_maker.end()
        if hasattr(self, "chain"):
            self.chain.end_packing()
        while self._busy:
            await gatherResults([_settled(work) for work in self._busy])
        # In the reverse order, and each even if another fails: on a full disk a file may refuse to close, and a
        # thread that was left behind would keep the process alive.
        async with AsyncExitStack() as closing:
            for pool in self._pools:
                closing.callback(pool.stop)
            closing.callback(self._directory.close)
            if hasattr(self, "chain"):
                closing.callback(self.chain.close)
            if hasattr(self, "journal"):
                closing.push_async_callback(self._close_journal)

    async def _close_journal(self) -> None:
        await deferToThreadPool(self._reactor, self._journal_pool, self.journal.close)

    # Threads

    def _run(self, pool: ThreadPool, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        result: Deferred[T] = deferToThreadPool(self._reactor, pool, work, *arguments)
        self._busy.add(result)

        def done(value: T) -> T:
            self._busy.discard(result)
            return value

        return result.addBoth(done)

    def in_chain_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Run a write of the chain store."""
        return self._run(self._chain_pool, work, *arguments)

    def in_journal_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Run a write of the journal."""
        return self._run(self._journal_pool, work, *arguments)

    def in_reading_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Run a read of blocks or of the journal."""
        return self._run(self._reading_pool, work, *arguments)

    def in_scanning_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Run a walk through all coins; those that wait come one after the other."""
        return self._run(self._scanning_pool, work, *arguments)

    def _in_snapshot_thread(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        return self._run(self._snapshot_pool, work, *arguments)

    # What those who join read

    def closings(self, first_epoch: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes, bytes]]]:
        """(header, commit, set) of closing blocks, encoded (``Archive.closings``)."""
        return self.in_reading_thread(self.chain.archive.closings, first_epoch, count, max_bytes)

    def headers_down(self, through: int, count: int) -> Deferred[list[bytes]]:
        """Encoded headers from a height downwards (``Archive.headers_down``)."""
        return self.in_reading_thread(self.chain.archive.headers_down, through, count)

    def snapshots_held(self) -> tuple[Held, ...]:
        """Snapshots that are held, newest first."""
        return self.snapshots.held()

    def manifest_page(self, snapshot_id: bytes, page: int) -> Deferred[bytes | None]:
        """Encoded ranges of a snapshot's manifest."""
        return self.in_reading_thread(self.snapshots.manifest_page, snapshot_id, page)

    def state_part(self, snapshot_id: bytes, part: int) -> Deferred[bytes | None]:
        """A part of a snapshot's encoded state."""
        return self.in_reading_thread(self.snapshots.state_part, snapshot_id, part)

    def chunk(self, snapshot_id: bytes, index: int) -> Deferred[bytes | None]:
        """The coins of a range of a snapshot, encoded."""
        return self.in_reading_thread(self.snapshots.chunk, snapshot_id, index)

    # What consensus reads

    def coin(self, outpoint: bytes) -> Coin | None:
        """The coin in the UTXO set at the tip."""
        return self.chain.coin(outpoint)

    def archived(self, txid: bytes) -> tuple[int, int] | None:
        """Height and position of an archived transaction."""
        return self.chain.location(txid)

    def coin_reader(self) -> CoinLookup:
        """The UTXO set at the tip, for one other thread."""
        return self.chain.coin_lookup()

    def block(self, height: int) -> Deferred[Block]:
        """A decided block, read in a thread."""
        return self.in_reading_thread(lambda: Block.decode(self.chain.archive.block(height)))

    def blocks_with_commits(self, start: int, count: int, max_bytes: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Encoded blocks and commits from a height on, of at most ``max_bytes`` together but one at least; none of a
        height that is not stored here, and none behind it."""
        return self.in_reading_thread(self._read_blocks, start, min(count, self.ledger_height - start + 1), max_bytes)

    def headers_with_commits(self, start: int, count: int) -> Deferred[list[tuple[bytes, bytes]]]:
        """Encoded headers and commits of those of ``count`` heights that are here."""
        return self.in_reading_thread(lambda: list(self._read_headers(range(start, start + count))))

    def _read_headers(self, heights: Iterable[int]) -> Iterator[tuple[bytes, bytes]]:
        for height in heights:
            # A node that joined by a snapshot has few from before it.
            with suppress(UnknownBlock):
                yield self.chain.archive.header(height), self.chain.archive.commit(height)

    def size_on_disk(self) -> int:
        """Bytes of the data directory's storages that are plain files."""
        return sum(path.stat().st_size for path in self._directory.path.glob("*.fs"))

    def disk_free(self) -> int | None:
        """Bytes free to this process where the data directory is; None where the system does not tell."""
        try:
            return shutil.disk_usage(self._directory.path).free
        except OSError:
            return None

    @property
    def ledger_height(self) -> int:
        """Height of the durable tip."""
        return self.chain.tip.height

    def _read_blocks(self, start: int, count: int, max_bytes: int) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        size = 0
        for height in range(start, start + count):
            try:
                pair = (self.chain.archive.block(height), self.chain.archive.commit(height))
            except UnknownBlock:
                break
            size += len(pair[0]) + len(pair[1]) + 16
            if found and size > max_bytes:
                break
            found.append(pair)
        return found

    # What consensus writes

    async def commit(self, assembled: Assembled, commit: Commit, final_ms: Sequence[int | None]) -> None:
        """Make a decided block the tip: one transaction, visible to :meth:`coin` afterwards."""
        token = await self.in_chain_thread(
            lambda: self.chain.commit_block(committed_block(assembled, commit, final_ms))
        )
        self.chain.committed(token)
        if self.makes_snapshots:
            self.snapshot_maker.committed(assembled.state, self.chain.snapshot)
        if not self._merging:
            self._merging = True
            Deferred.fromCoroutine(self._merge()).addErrback(self._merge_failed)

    async def _merge(self) -> None:
        try:
            while self.running:
                token = await self.in_chain_thread(self.chain.merge, self._merge_keys)
                if token is None:
                    return
                self.chain.merged(token)
                await _pause(self._reactor, MERGE_PAUSE)
        finally:
            self._merging = False

    def _merge_failed(self, failure: Any) -> None:
        self.log.failure("merging coins failed; it is tried again after the next block", failure)

    # Settings that may change while it runs

    def set_merge_keys(self, count: int) -> None:
        """Move at most ``count`` keys in one merge, from the next one on."""
        self._merge_keys = count

    def set_pack_hours(self, hours: int) -> None:
        """Pack every so many hours, counted from now; 0: never."""
        if self._packs.running:
            self._packs.stop()
        self._pack_seconds = hours * 3600
        if self._pack_seconds and self.running:
            self._packs.start(self._pack_seconds, now=False)

    def set_packing(self, wanted: bool) -> None:
        """Begin to pack now, unless that is under way. Raises ValueError when asked to stop it half-way."""
        if wanted and not self.is_packing:
            self._pack()
        elif not wanted and self.is_packing:
            raise ValueError("a pack is not stopped half-way")

    # Packing

    async def _pack_all(self) -> None:
        if self.is_packing:
            return
        self.is_packing = True
        try:
            await self._pack_each()
        finally:
            self.is_packing = False

    async def _pack_each(self) -> None:
        for name, pack in (("coins", self.chain.pack), ("blocks", self.chain.pack_blocks)):
            try:
                await self._pack_one(pack)
            except PackInterrupted:
                return
            except StorageError as error:
                self.log.error("the {name} were not packed: {error}", name=name, error=error)
            else:
                self.log.info("packed the {name}: {size} bytes on disk", name=name, size=self.size_on_disk())

    async def _pack_one(self, pack: Callable[[], None]) -> None:
        while self.running:
            try:
                return await self._run(self._packing_pool, pack)
            except CoinsBusy:
                # A snapshot is being made; skipping the pack could mean skipping all, as both come once a day.
                await _pause(self._reactor, BUSY_PAUSE)
        raise PackInterrupted("the node stops")

    def _pack(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._pack_all())


def committed_block(assembled: Assembled, commit: Commit, final_ms: Sequence[int | None] = ()) -> CommittedBlock:
    """A decided block in the form that storage takes."""
    block, delta = assembled.block, assembled.delta
    return CommittedBlock(
        height=block.header.height,
        block_hash=block.header.hash,
        header=block.header.encode(),
        block=block.encode(),
        commit=commit.encode(),
        state=assembled.state.encode(),
        added={outpoint: encode_coin(coin) for outpoint, coin in delta.added.items()},
        removed=delta.removed,
        txids=tuple([tx.txid for tx in block.transactions]),
        times=pack_times(final_ms),
        closing=_closing(assembled) if block.header.closing else None,
    )


def _closing(assembled: Assembled) -> Closing:
    header, members = assembled.block.header, assembled.state.previous_set
    return Closing(header.epoch, header.set_hash, members.encode())


def _settled(work: Deferred[Any]) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()

    def done(result: Any) -> Any:
        waiting.callback(None)
        return result

    work.addBoth(done)
    return waiting


def _pause(reactor: Any, seconds: float) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiting.callback, None)
    return waiting
