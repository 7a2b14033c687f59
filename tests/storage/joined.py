"""A chain of some epochs with payments in a store, its snapshot, and an empty store to import that into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.ledger import builders
from tests.storage.samples import uris
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.first import first_block
from timecoin.ledger.linked import check_linked
from timecoin.ledger.snapshot_chunk import check_chunk
from timecoin.ledger.snapshot_manifest import Manifest
from timecoin.node.storage_service import committed_block
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit
from timecoin.storage.chain import ChainStore
from timecoin.storage.importing import SnapshotImport
from timecoin.storage.snapshot_files import SnapshotFiles
from timecoin.storage.snapshot_writer import write_snapshot
from timecoin.storage.writer import Limits

RANGE_COINS = 5
LIMITS = Limits(start_keys=1, batch_keys=20, hard_keys=1_000, hard_blocks=50)


class StoredChain(builders.Chain):
    """A chain in memory that every store in ``stores`` follows."""

    def __init__(self) -> None:
        super().__init__(builders.network(4, accounts=12))
        self.assembled: list[tuple[Assembled, Commit]] = [(first_block(self.genesis), EMPTY_COMMIT)]

    def apply(self, block: Block, commit: Commit | None = None) -> Assembled:
        assembled = super().apply(block, commit)
        self.assembled.append((assembled, self.commits[-1]))
        return assembled

    def epoch(self, payments: int = 2) -> None:
        """An interim block and a closing one."""
        for closing in (False, True):
            txs = [self.payment(builders.account(n), builders.account(n + 1), 10**8) for n in range(payments)]
            self.reserved.clear()
            if closing:
                self.close(txs)
            else:
                self.interim(txs)

    def fill(self, store: ChainStore) -> None:
        """Give *store* the blocks that it lacks."""
        for assembled, commit in self.assembled[store.tip.height + 1 :]:
            store.committed(store.commit_block(committed_block(assembled, commit)))


_grown: list[StoredChain] = []


def grown() -> StoredChain:
    """A chain that closed four epochs; whoever adds blocks to it makes one of its own by :func:`grow`."""
    if not _grown:
        _grown.append(grow())
    return _grown[0]


def grow(epochs: int = 4) -> StoredChain:
    chain = StoredChain()
    for _ in range(epochs):
        chain.epoch()
    return chain


def opened(case: Any, path: Path, chain: builders.Chain) -> ChainStore:
    path.mkdir(exist_ok=True)
    store = ChainStore.open(*uris(path), chain.genesis.chain_id, LIMITS)
    case.addCleanup(store.close)
    return store


def snapshot_of(
    case: Any, path: Path, chain: StoredChain, store: ChainStore, range_coins: int = RANGE_COINS
) -> tuple[SnapshotFiles, Manifest]:
    """The snapshot of the tip, held under *path*."""
    files = SnapshotFiles(path / "snapshots")
    files.open()
    with store.snapshot() as coins:
        manifest = write_snapshot(files, coins, store.tip_state(), lambda: None, range_coins)
    return files, manifest


def links_of(store: ChainStore, epoch: int = 0) -> list[ClosingLink]:
    """The closing blocks of *store* from *epoch* on, each with its set."""
    links: list[ClosingLink] = []
    for parts in store.archive.closings(epoch, 1_000, 1 << 20):
        link = ClosingLink.decode(*parts)
        links.append(link if link.members else link._replace(members=links[-1].members))
    return links


class Source:
    """What a joining node gets from its peers."""

    def __init__(self, case: Any, path: Path, chain: StoredChain) -> None:
        self.chain = chain
        self.store = opened(case, path, chain)
        chain.fill(self.store)
        self.files, self.manifest = snapshot_of(case, path, chain, self.store)
        self.state = self.store.tip.state
        self.links = links_of(self.store)

    def chunk(self, index: int) -> bytes:
        data = self.files.chunk(self.manifest.snapshot_id, index)
        assert data is not None
        return data

    def load(self, work: SnapshotImport, index: int) -> None:
        work.load(index, check_chunk(self.manifest, index, self.chunk(index)), self.chunk(index))

    def add_block(self, work: SnapshotImport) -> bool:
        """Give the block that is due; whether one was."""
        if work.next_block is None:
            return False
        height, block_hash = work.next_block
        data = self.store.archive.block(height)
        work.add_block(check_linked(block_hash, data), data)
        return True

    def give_all(self, work: SnapshotImport) -> None:
        for index in reversed(work.missing_ranges()):
            self.load(work, index)
        while self.add_block(work):
            pass
