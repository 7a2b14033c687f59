"""
The chain store: decided blocks, the coin set, and where each transaction stands.

Two databases. *blocks* takes one atomic transaction for each decided block (protocol.md 6 R11). *coins* holds
the trees, which follow lazily: until a block is merged, its changes are in memory, and they are read back
from *blocks* at the next start.

Threads. The storage thread (one, never two at a time) calls :meth:`ChainStore.commit_block` and
:meth:`ChainStore.merge`, which block and return a token. The reactor thread hands the token to
:meth:`ChainStore.committed` or :meth:`ChainStore.merged`, in the order of the calls; only then do its own
reads change. Reads of blocks go through :attr:`ChainStore.archive`, in any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Self

from timecoin.ledger.closing_chain import Anchor, ClosingLink
from timecoin.ledger.coins import Coin, decode_coin
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.ledger.state import LedgerState
from timecoin.storage.archive import Archive
from timecoin.storage.database import file_of
from timecoin.storage.delta import CommittedBlock
from timecoin.storage.errors import CoinsBusy, UnknownBlock
from timecoin.storage.importing import Imported, ImportRecord, SnapshotImport, adopt_loaded, stored_import
from timecoin.storage.importing import abandon as abandon_import
from timecoin.storage.importing import begin as begin_import
from timecoin.storage.opening import open_blocks, open_coins, stored_tip, unmerged_deltas
from timecoin.storage.packing import interrupt_pack, pack_database
from timecoin.storage.reader import ChainReader, CoinLookup, TipRecord
from timecoin.storage.snapshot import CoinSnapshot
from timecoin.storage.snapshot_files import SnapshotFiles
from timecoin.storage.writer import CHUNK_KEYS, ChainWriter, Committed, Limits, Merged

PACK_MARGIN = 60.0
"""Seconds of history that a pack leaves, so that no reader's view is pulled away from under it."""


class ChainStore:
    """Built by :meth:`open`; see the module for who may call what."""

    def __init__(self, blocks: Any, coins: Any, uri_blocks: str, uri_coins: str, limits: Limits) -> None:
        adopt_loaded(blocks, coins)
        unmerged = unmerged_deltas(blocks, coins)
        self._blocks, self._coins_database = blocks, coins
        self._uri_blocks, self._uri_coins = uri_blocks, uri_coins
        self.archive = Archive(blocks)
        self._writer = ChainWriter(blocks, coins, unmerged, limits)
        self._reader = ChainReader(coins, self.archive, unmerged, stored_tip(blocks))
        self._state: LedgerState | None = None
        self.base = self.archive.base()
        """The height from which on every block is stored: 0, or the one from which the chain was joined."""
        self._import: SnapshotImport | None = None
        self._snapshots = 0
        self._packing = self._closed = False
        self._lock = Lock()

    @classmethod
    def open(cls, uri_blocks: str, uri_coins: str, chain_id: bytes, limits: Limits | None = None) -> Self:
        """
        Open both databases, creating what is not there; blocks (disk, perhaps network).

        Raises ``DatabaseUnavailable``, ``WrongGenesis``, ``WrongSchema``, ``CoinsOutOfStep``.
        """
        blocks = open_blocks(uri_blocks, chain_id)
        try:
            coins = open_coins(uri_coins, chain_id)
            try:
                return cls(blocks, coins, uri_blocks, uri_coins, limits or Limits())
            except BaseException:
                coins.close()
                raise
        except BaseException:
            blocks.close()
            raise

    def close(self) -> None:
        """
        Close both databases; no call may be under way. What was unmerged is read back at the next start.

        Twice is harmless.
        """
        if self._closed:
            return
        self._closed = True
        self._end_import()
        self._reader.close()
        self._writer.close()
        self._coins_database.close()
        self._blocks.close()

    # Storage thread

    def commit_block(self, block: CommittedBlock) -> Committed:
        """
        Make *block* the tip: one transaction, durable on return. The reactor then calls :meth:`committed`.

        When more is unmerged than ``Limits`` allow, merges first (seconds). ``WrongHeight``, ``WriteFailed``:
        nothing changed.
        """
        return self._writer.commit_block(block)

    def merge(self, limit: int = CHUNK_KEYS, force: bool = False) -> Merged | None:
        """
        Move ≤ *limit* keys of acknowledged blocks into the trees: one transaction. The reactor then calls
        :meth:`merged`.

        None: nothing to do, or too little for it to be worth while and not *force*. ``WriteFailed``: nothing
        changed.
        """
        return self._writer.merge(limit, force)

    def begin_import(
        self,
        manifest: Manifest,
        state: bytes,
        links: Sequence[ClosingLink],
        files: SnapshotFiles | None,
        vouched: Anchor | None = None,
    ) -> SnapshotImport:
        """
        Begin to import a snapshot, in place of any begun before; the chain must be below it.

        *links* lead from a trusted closing block to the snapshot's, the last, and were followed by the caller
        (:mod:`timecoin.ledger.closing_chain`); each carries its set. Manifest and state are checked against it.
        *vouched* is the block that was trusted from outside, for who goes on with it.
        ``BadManifest``, ``BadState``, ``ImportRefused``, ``WriteFailed``.
        """
        record = begin_import(self._blocks, self._coins_database, manifest, state, links, vouched)
        return self.resume_import(record, files)

    def unfinished_import(self) -> ImportRecord | None:
        """The import that an earlier run began and did not finish; any thread."""
        return stored_import(self._blocks, self._coins_database)

    def resume_import(self, record: ImportRecord, files: SnapshotFiles | None) -> SnapshotImport:
        """Go on with :meth:`unfinished_import`; one at a time."""
        self._end_import()
        self._import = SnapshotImport(self._blocks, self._coins_database, record, files, self._writer)
        return self._import

    def _end_import(self) -> None:
        if self._import is not None:
            self._import.close()

    def abandon_import(self) -> None:
        """Forget whatever was begun and not finished; ``WriteFailed``."""
        self._end_import()
        abandon_import(self._blocks, self._coins_database)

    # Reactor thread

    def committed(self, token: Committed, state: LedgerState | None = None) -> None:
        """
        Let :meth:`coin`, :meth:`location` and :attr:`tip` include the block; constant time. ``WrongHeight``:
        out of order.
        """
        self._reader.committed(token)
        self._writer.acknowledged = token.delta.height
        self._state = state

    def merged(self, token: Merged) -> None:
        """Read the trees as they are now and free the memory of the blocks that are wholly in them."""
        self._reader.merged(token)

    def imported(self, token: Imported) -> None:
        """Let all reads show the chain as the finished import left it. No job may be reading coins meanwhile."""
        self._reader.imported(token.tip)
        self._state = None
        self.base = self.archive.base()

    @property
    def tip(self) -> TipRecord:
        """The newest acknowledged block; height −1 before block 0."""
        return self._reader.tip

    def tip_state(self) -> LedgerState:
        """
        The ledger after the tip; ``UnknownBlock`` before block 0, ``DecodeError`` when it is not one of ours.
        """
        if self._state is None:
            if self.tip.height < 0:
                raise UnknownBlock("there is no block yet")
            self._state = LedgerState.decode(self.tip.state)
        return self._state

    @property
    def unmerged_keys(self) -> int:
        """Keys still in memory, for metrics and for deciding when to merge."""
        return self._reader.unmerged_keys

    def coin(self, outpoint: bytes) -> Coin | None:
        """The coin at the unspent *outpoint*; None when it is spent or was never made."""
        data = self._reader.coin(outpoint)
        return None if data is None else decode_coin(data)

    def coin_bytes(self, outpoint: bytes) -> bytes | None:
        """As :meth:`coin`, undecoded."""
        return self._reader.coin(outpoint)

    def coin_lookup(self) -> CoinLookup:
        """The coins at the present tip for one other thread, which closes it."""
        return self._reader.lookup()

    def location(self, txid: bytes) -> tuple[int, int] | None:
        """
        (height, position in the block) of the archived transaction *txid*; None when it is not in the chain.
        """
        return self._reader.location(txid)

    def snapshot(self) -> CoinSnapshot:
        """
        The coins at the present tip in key order, for one other thread, which closes it; no pack begins
        meanwhile.
        """
        with self._lock:
            self._snapshots += 1
        return self._reader.snapshot(self._snapshot_closed)

    # Any thread

    def _snapshot_closed(self) -> None:
        with self._lock:
            self._snapshots -= 1

    def pack(self, margin: float = PACK_MARGIN, now: Callable[[], float] = time.time) -> None:
        """
        Shrink the coins database to its present content; minutes on a large one, while everything else goes
        on.

        *margin*: seconds of history kept. ``CoinsBusy`` while a snapshot is open or a pack under way,
        ``WriteFailed``, ``PackInterrupted``.
        """
        with self._lock:
            if self._snapshots or self._packing:
                raise CoinsBusy("a snapshot of the coin database is open, or a pack of it under way")
            self._packing = True
        try:
            pack_database(self._coins_database, now() - margin, file_of(self._uri_coins) is None)
        finally:
            self._packing = False

    def pack_blocks(self, margin: float = PACK_MARGIN, now: Callable[[], float] = time.time) -> None:
        """
        Drop merged changes and old states from the blocks database, about half of it; copies all blocks, so
        seldom.

        Goes on beside everything else, but not beside itself. ``WriteFailed``, ``PackInterrupted``.
        """
        pack_database(self._blocks, now() - margin, file_of(self._uri_blocks) is None)

    def end_packing(self) -> None:
        """End a pack that is under way in another thread, soon; none begins after that."""
        for database in (self._blocks, self._coins_database):
            interrupt_pack(database)
