"""
A snapshot from peers becomes the chain's tip (protocol.md section 10).

Coins go into trees beside the present ones, range by range in any order; blocks of the two epochs go to their places
from the snapshot's block downwards, each vouched for by the one above. Nothing that the node reads changes until
:meth:`SnapshotImport.finish`, whose one transaction on the *blocks* database makes the snapshot's block the tip; the
new trees take the place of the old ones right after it, at the latest when the store is opened next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from BTrees.OOBTree import OOBTree

from timecoin.ledger.closing_chain import Anchor, ClosingLink
from timecoin.ledger.snapshot_manifest import Manifest, check_manifest, check_state
from timecoin.ledger.state import LedgerState
from timecoin.primitives.block import Block, Commit, Header
from timecoin.primitives.hashes import sha256
from timecoin.storage.database import committing, connect, reading
from timecoin.storage.delta import POSITION_BITS, Closing, split_txids
from timecoin.storage.errors import ImportRefused, WriteFailed
from timecoin.storage.leaves import CoinTree, LocationTree
from timecoin.storage.merging import in_key_order, place_txid
from timecoin.storage.reader import TipRecord
from timecoin.storage.schema import Blob, Entry, Joining, Links, Loading
from timecoin.storage.snapshot_files import SnapshotFiles, chunk_name, write_chunk, write_state
from timecoin.storage.writer import ChainWriter, keep_closing

TXIDS_AT_ONCE: Final = 200_000
"""Txids held in memory while they are put into the location tree."""
TXIDS_A_COMMIT: Final = 5_000


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What an import is of: enough to go on with it after a restart.

    ``links`` lead from a trusted closing block to the snapshot's, which is the last, each with its set; ``vouched`` is
    the block that was trusted from outside, above or below.
    """

    manifest: Manifest
    state: LedgerState
    links: tuple[ClosingLink, ...]
    vouched: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """The snapshot's block is the tip, durably; for ``ChainStore.imported``."""

    tip: TipRecord


def stored_import(blocks: Any, coins: Any) -> ImportRecord | None:
    """The import that was begun and not finished; None also when a part of it was lost, or the chain went past it."""
    with reading(coins) as root:
        loading = root["loading"].snapshot_id if "loading" in root else None
    with reading(blocks) as root:
        joining = root.get("joining")
        if joining is None or joining.height <= root["tip"].height or sha256(joining.manifest.data) != loading:
            return None
        manifest, state = Manifest.decode(joining.manifest.data), LedgerState.decode(joining.state.data)
        vouched = None if joining.vouched is None else Anchor(*joining.vouched)
        return ImportRecord(manifest, state, tuple(_unpacked(joining.links)), vouched)


def _packed(links: Sequence[ClosingLink]) -> Links:
    before = [None, *[link.members for link in links]]
    return Links(
        tuple(
            (link._replace(members=None) if link.members == last else link).encode()
            for link, last in zip(links, before, strict=False)
        )
    )


def _unpacked(links: Links) -> Iterator[ClosingLink]:
    members = None
    for parts in links.parts:
        link = ClosingLink.decode(*parts)
        members = link.members or members
        yield link._replace(members=members)


def begin(
    blocks: Any,
    coins: Any,
    manifest: Manifest,
    state: bytes,
    links: Sequence[ClosingLink],
    vouched: Anchor | None = None,
) -> ImportRecord:
    """
    Store what is to be imported, in place of any import begun before; if that was of the same, what it loaded stays.

    Checks manifest and state against the header of the last of *links*, which the caller has followed from a trusted
    block and which carry their sets. ``BadManifest``, ``BadState``, ``ImportRefused``, ``WriteFailed``.
    """
    header = links[-1].header
    check_manifest(manifest, header)
    ledger = check_state(manifest, state, header)
    if any(link.members is None for link in links):
        raise ImportRefused("a closing block comes without its set")
    with reading(blocks) as root:
        if manifest.height <= root["tip"].height:
            raise ImportRefused(f"the chain is at block {root['tip'].height} already")
    known = stored_import(blocks, coins)
    if known is not None and known.manifest.snapshot_id == manifest.snapshot_id:
        with closing(connect(blocks)) as connection, committing(connection) as root:
            root["joining"].links = _packed(links)
            root["joining"].vouched = _plain(vouched)
    else:
        _begin_anew(blocks, coins, Joining(manifest.height, manifest.encode(), state, _packed(links)), vouched)
    return ImportRecord(manifest, ledger, tuple(links), vouched)


def _plain(vouched: Anchor | None) -> tuple[int, bytes] | None:
    # No class of another room is named in the database.
    return None if vouched is None else (vouched.height, vouched.block_hash)


def _begin_anew(blocks: Any, coins: Any, joining: Joining, vouched: Anchor | None) -> None:
    abandon(blocks, coins)
    joining.vouched = _plain(vouched)
    with closing(connect(coins)) as connection, committing(connection) as root:
        trees = CoinTree(), LocationTree(), OOBTree()
        root["loading"] = Loading(sha256(joining.manifest.data), joining.height, *trees)
    with closing(connect(blocks)) as connection, committing(connection) as root:
        root["joining"] = joining


def abandon(blocks: Any, coins: Any) -> None:
    """Forget an import that was begun; nothing of it is left to be read. ``WriteFailed``."""
    with closing(connect(blocks)) as connection, committing(connection) as root:
        if "joining" in root:
            joining = root.pop("joining")
            for height in list(root["entries"].keys(min=max(joining.lowest, root["tip"].height + 1))):
                del root["entries"][height]
    with closing(connect(coins)) as connection, committing(connection) as root:
        if "loading" in root:
            del root["loading"]


def adopt_loaded(blocks: Any, coins: Any) -> None:
    """
    Let the trees of a finished import take the place of the present ones; harmless at any other time.

    The *blocks* database decides: if its tip is the snapshot's block or later, the import is finished.
    """
    with reading(blocks) as root:
        tip, joining = root["tip"].height, "joining" in root
    with closing(connect(coins)) as connection, committing(connection) as root:
        loading = root.get("loading")
        if loading is None or joining:
            return
        if loading.complete and loading.height <= tip:
            progress = root["progress"]
            root["coins"], root["txids"], root["twins"] = loading.coins, loading.txids, loading.twins
            progress.merged = progress.target = loading.height
            progress.done, progress.coins = 0, loading.count
        del root["loading"]


class SnapshotImport:
    """
    One import under way; everything here blocks, and is called by the storage thread.

    Whatever returned is durable: :meth:`missing_ranges` and :attr:`next_block` tell what is still to come, also after a
    restart. *files* keeps the chunks, so that this node can hand the snapshot on; None: it does not.
    """

    def __init__(
        self, blocks: Any, coins: Any, record: ImportRecord, files: SnapshotFiles | None, writer: ChainWriter
    ) -> None:
        self.record = record
        self._databases = (blocks, coins)
        self._blocks, self._coins = connect(blocks), connect(coins)
        self._files = files
        self._writer = writer
        self._place = None if files is None else _made(files.joining(record.manifest.height))
        with reading(coins) as root:
            loaded: int = root["loading"].loaded
            self._loaded = {index for index in range(len(record.manifest.ranges)) if loaded >> index & 1}
            self._complete = root["loading"].complete
        with reading(blocks) as root:
            self._lowest = root["joining"].lowest
            self._due, self._commit, self._done = self._resume(root)

    def _resume(self, root: Any) -> tuple[bytes, Commit, bool]:
        last = self.record.links[-1]
        if self._lowest > last.header.height:
            return last.header.hash, last.commit, False
        block = Block.decode(root["entries"][self._lowest].parts[3].data)
        return block.header.previous, block.last_commit, self._is_last(block.header)

    def close(self) -> None:
        """Give the connections back; twice is harmless."""
        for connection in (self._blocks, self._coins):
            if connection.opened:
                connection.close()

    # Coins

    def missing_ranges(self) -> list[int]:
        """Indexes of the ranges whose coins are not loaded, ascending."""
        return [index for index in range(len(self.record.manifest.ranges)) if index not in self._loaded]

    def load(self, index: int, coins: Sequence[tuple[bytes, bytes]], data: bytes) -> None:
        """
        Load the coins of range *index*, as ``snapshot_chunk.check_chunk`` returned them for *data*: one transaction.

        A range that is loaded already is left alone. ``WriteFailed``: nothing of it is loaded.
        """
        if index in self._loaded:
            return
        self._keep(index, data)
        with committing(self._coins) as root:
            loading = root["loading"]
            loading.coins.update(coins)
            loading.loaded |= 1 << index
            loading.count += len(coins)
        self._loaded.add(index)

    def _keep(self, index: int, data: bytes) -> None:
        if self._place is not None:
            with _as_write_failed():
                write_chunk(self._place, index, data)

    # Blocks

    @property
    def next_block(self) -> tuple[int, bytes] | None:
        """Height and hash of the block that :meth:`add_block` takes next, going down; None when no more is needed."""
        return None if self._done else (self._lowest - 1, self._due)

    def add_block(self, block: Block, data: bytes) -> None:
        """
        Store the block that is due, as ``linked.check_linked`` returned it for *data*, with the commit that the block
        above it carries.

        ``ImportRefused`` for another block, ``WriteFailed``.
        """
        header = block.header
        if self._done or (header.height, header.hash) != (self._lowest - 1, self._due):
            raise ImportRefused(f"block {header.height} is not the one that is due")
        txids = b"".join([tx.txid for tx in block.transactions])
        entry = Entry(header.hash, header.encode(), self._commit.encode(), data, txids)
        with committing(self._blocks) as root:
            root["entries"][header.height] = entry
            root["joining"].lowest = header.height
        for blob in entry.parts[3:]:
            blob._p_deactivate()
        self._lowest, self._due, self._commit = header.height, header.previous, block.last_commit
        self._done = self._is_last(header)

    def _is_last(self, header: Header) -> bool:
        # The closing block of the epoch before the two tells that they are complete.
        return header.height == 0 or header.epoch < self.record.state.header.epoch - 1

    # The end

    def finish(self) -> Imported:
        """
        Make the snapshot's block the tip. May take seconds for the txids of the two epochs, in small transactions.

        The reactor then calls ``ChainStore.imported``. ``ImportRefused`` while something is missing, or when the chain
        went past it by blocks; ``WriteFailed``: the disk refuses; the next start goes on from wherever it came to.
        """
        if self._loaded != set(range(len(self.record.manifest.ranges))) or not self._done:
            raise ImportRefused("coins or blocks of the snapshot are missing")
        with reading(self._databases[0]) as root:
            if root["tip"].height >= self.record.manifest.height:
                raise ImportRefused(f"the chain is at block {root['tip'].height} already")
        if not self._complete:
            self._load_txids()
        self._publish()
        tip = self._switch()
        self.close()
        adopt_loaded(*self._databases)
        self._writer.reload()
        return Imported(tip)

    def abandon(self) -> None:
        """Forget all of it."""
        self.close()
        abandon(*self._databases)

    def _load_txids(self) -> None:
        with reading(self._databases[0]) as root:
            heights = list(root["entries"].keys(min=self._lowest, max=self.record.manifest.height))
        for group in self._txid_groups(heights):
            order = iter(in_key_order(group))
            while step := list(islice(order, TXIDS_A_COMMIT)):
                with committing(self._coins) as root:
                    loading = root["loading"]
                    for txid in step:
                        place_txid(loading.txids, loading.twins, txid, group[txid])
        with committing(self._coins) as root:
            root["loading"].complete = True
        self._complete = True

    def _txid_groups(self, heights: Sequence[int]) -> Iterator[dict[bytes, int]]:
        """(txid → location) of all blocks at *heights*, in as many parts by their first byte as memory asks for."""
        total = sum(len(txids) for _, txids in self._txids(heights))
        parts = 1 + total // TXIDS_AT_ONCE
        for part in range(parts):
            low, high = 256 * part // parts, 256 * (part + 1) // parts
            yield {
                txid: height << POSITION_BITS | position
                for height, txids in self._txids(heights)
                for position, txid in enumerate(txids)
                if low <= txid[0] < high
            }

    def _txids(self, heights: Iterable[int]) -> Iterator[tuple[int, list[bytes]]]:
        with reading(self._databases[0]) as root:
            for height in heights:
                blob = root["entries"][height].parts[4]
                yield height, split_txids(blob.data)
                blob._p_deactivate()

    def _switch(self) -> TipRecord:
        manifest, state = self.record.manifest, self.record.state.encode()
        with committing(self._blocks) as root:
            entries = root["entries"]
            for link in self.record.links:
                _keep_link(root, link)
            for height in list(entries.keys(min=self._lowest, max=manifest.height)):
                root["hashes"][entries[height].parts[0]] = height
            for tree in (root["deltas"], root["states"]):
                tree.clear()
            root["states"][manifest.height] = Blob(state)
            tip = root["tip"]
            tip.height, tip.block_hash, tip.coin_count = manifest.height, manifest.block_hash, manifest.coins
            tip.base = self._lowest
            del root["joining"]
        return TipRecord(manifest.height, manifest.block_hash, manifest.coins, state)

    def _publish(self) -> None:
        """Hold the snapshot for others, if every chunk of it is here."""
        manifest, place = self.record.manifest, self._place
        if self._files is None or place is None:
            return
        names = [chunk_name(index) for index in range(len(manifest.ranges))]
        if all((place / name).exists() for name in names):
            with _as_write_failed():
                write_state(place, self.record.state.encode())
                self._files.publish(place, manifest)


def _keep_link(root: Any, link: ClosingLink) -> None:
    header, commit, members = link.encode()
    height, block_hash = link.header.height, link.header.hash
    if height not in root["entries"]:
        root["entries"][height] = Entry(block_hash, header, commit)
        root["hashes"][block_hash] = height
    keep_closing(root, height, Closing(link.header.epoch, link.header.set_hash, members))


def _made(place: Path) -> Path:
    with _as_write_failed():
        place.mkdir(mode=0o700, exist_ok=True)
    return place


@contextmanager
def _as_write_failed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteFailed(f"cannot keep the snapshot: {error.strerror or error}") from error
