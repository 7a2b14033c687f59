"""A snapshot becomes the tip of an empty store: coin by coin the same, whatever happens on the way."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.storage.joined import Source, StoredChain, grow, grown, links_of, opened
from tests.storage.samples import merge_all, scratch, tree_of, uris
from timecoin.consensus.jobs import JudgeDecided
from timecoin.ledger.coins import encode_coin
from timecoin.ledger.snapshot_chunk import ChunkMismatch, check_chunk
from timecoin.ledger.snapshot_manifest import BadManifest, BadState
from timecoin.node.storage_service import committed_block
from timecoin.primitives.block import Commit
from timecoin.storage import importing
from timecoin.storage.chain import ChainStore
from timecoin.storage.errors import BlockPruned, CoinsOutOfStep, ImportRefused, UnknownBlock, WriteFailed
from timecoin.storage.importing import SnapshotImport
from timecoin.storage.rebuild import rebuild_coins
from timecoin.storage.snapshot_files import SnapshotFiles


class ImportTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)
        self.chain = grown()
        self.source = self.source_of(self.chain)

    def source_of(self, chain: StoredChain) -> Source:
        return Source(self, self.path / f"source {chain.state.height}", chain)

    def fresh(self) -> ChainStore:
        store = opened(self, self.path / "fresh", self.chain)
        if store.tip.height < 0:
            store.committed(store.commit_block(committed_block(*self.chain.assembled[0])))
            merge_all(store)
        return store

    def files(self) -> SnapshotFiles:
        files = SnapshotFiles(self.path / "fresh" / "snapshots")
        files.open(self.source.manifest.height)
        return files

    def begin(self, store: ChainStore, files: SnapshotFiles | None = None) -> SnapshotImport:
        source = self.source
        return store.begin_import(source.manifest, source.state, source.links, files)

    def joined(self, files: SnapshotFiles | None = None) -> ChainStore:
        store = self.fresh()
        work = self.begin(store, files)
        self.source.give_all(work)
        store.imported(work.finish())
        return store

    def check(self, store: ChainStore, chain: StoredChain | None = None) -> None:
        """Everything that is read from *store* is as *chain* has it after its tip."""
        chain = chain or self.chain
        self.assertEqual((store.tip.height, store.tip.block_hash), (chain.state.height, chain.state.block_hash))
        self.assertEqual(store.tip_state(), chain.state)
        self.assertEqual(store.tip.coin_count, len(chain.coins))
        for outpoint, coin in chain.coins.items():
            self.assertEqual(store.coin(outpoint), coin)
        with store.snapshot() as coins:
            self.assertEqual(dict(coins.coins()), {o: encode_coin(coin) for o, coin in chain.coins.items()})


class WholeTest(ImportTestCase):
    def test_coin_by_coin(self) -> None:
        store = self.joined()
        self.check(store)
        self.assertEqual(tree_of(store), {o: encode_coin(coin) for o, coin in self.chain.coins.items()})
        self.assertIsNone(store.unfinished_import())

    def test_after_a_restart(self) -> None:
        self.joined().close()
        self.check(self.fresh())

    def test_blocks_of_two_epochs_are_here_and_no_others(self) -> None:
        store, tip = self.joined(), self.chain.state
        for height, block in enumerate(self.chain.blocks):
            if height in (0, tip.height) or block.header.epoch >= tip.header.epoch - 1:
                self.assertEqual(store.archive.block(height), block.encode())
                self.assertEqual(store.archive.commit(height), self.chain.commits[height].encode())
                self.assertEqual(store.archive.height_of(block.header.hash), height)
        first = next(block.header.height for block in self.chain.blocks if block.header.epoch == 2)
        self.assertRaises(BlockPruned, store.archive.block, first)
        self.assertRaises(BlockPruned, store.archive.header, first)
        down = store.archive.headers_down(tip.height, tip.height + 1)
        self.assertEqual(down, [block.header.encode() for block in self.chain.blocks[: store.base - 1 : -1]])
        self.assertIsNone(store.archive.txid_at(first, 0))
        with self.assertRaises(UnknownBlock) as caught:
            store.archive.block(tip.height + 1)
        self.assertNotIsInstance(caught.exception, BlockPruned)

    def test_txids_of_two_epochs_are_found(self) -> None:
        store = self.joined()
        epoch = self.chain.state.header.epoch
        for block in self.chain.blocks:
            for position, tx in enumerate(block.transactions):
                place = (block.header.height, position) if block.header.epoch >= epoch - 1 else None
                if block.header.epoch >= epoch - 1 or block.header.epoch < epoch - 2:
                    self.assertEqual(store.location(tx.txid), place)

    def test_in_many_parts(self) -> None:
        self.patch(importing, "TXIDS_AT_ONCE", 3)
        self.patch(importing, "TXIDS_A_COMMIT", 2)
        store = self.joined()
        tip = self.chain.blocks[-1]
        for position, tx in enumerate(tip.transactions):
            self.assertEqual(store.location(tx.txid), (tip.header.height, position))

    def test_closing_blocks_since_the_trusted_one_can_be_handed_on(self) -> None:
        self.source.links = self.source.links[1:]
        store = self.joined()
        self.assertEqual(links_of(store, 1), self.source.links)
        self.assertRaises(BlockPruned, store.archive.block, self.source.links[0].header.height)

    def test_the_chain_goes_on(self) -> None:
        self.source.store.close()
        self.chain = grow(4)
        self.source = self.source_of(self.chain)
        store = self.joined()
        for _ in range(2):
            self.chain.epoch()
        for assembled, commit in self.chain.assembled[store.tip.height + 1 :]:
            job = JudgeDecided(self.chain.params, store.tip_state(), assembled.block, commit, store.coin_lookup())
            judged = job.run(builders.BACKEND)
            store.committed(store.commit_block(committed_block(judged, commit)))
            merge_all(store)
        self.check(store)
        store.close()
        self.check(self.fresh())

    def test_a_chain_that_is_behind(self) -> None:
        store = self.fresh()
        for assembled, commit in self.chain.assembled[1:3]:
            store.committed(store.commit_block(committed_block(assembled, commit)))
        work = self.begin(store)
        self.source.give_all(work)
        self.assertEqual(store.tip.height, 2)
        store.imported(work.finish())
        self.check(store)
        self.assertEqual(store.archive.block(1), self.chain.blocks[1].encode())

    def test_the_snapshot_is_handed_on(self) -> None:
        files = self.files()
        self.joined(files)
        manifest = self.source.manifest
        self.assertEqual(files.held(), self.source.files.held())
        for index in range(len(manifest.ranges)):
            self.assertEqual(files.chunk(manifest.snapshot_id, index), self.source.chunk(index))
        self.assertEqual(files.state_part(manifest.snapshot_id, 0), self.source.state)


class OvertakenTest(ImportTestCase):
    """The chain went on by blocks while an import lay about."""

    def go_on(self, store: ChainStore) -> None:
        for assembled, commit in self.chain.assembled[1:]:
            store.committed(store.commit_block(committed_block(assembled, commit)))
            merge_all(store)

    def test_it_is_not_gone_on_with(self) -> None:
        store = self.fresh()
        self.source.load(self.begin(store), 0)
        self.go_on(store)
        self.assertIsNone(store.unfinished_import())
        store.close()
        store = self.fresh()
        self.assertIsNone(store.unfinished_import())
        self.check(store)

    def test_it_never_takes_the_chain_back(self) -> None:
        store = self.fresh()
        work = self.begin(store)
        self.source.give_all(work)
        self.go_on(store)
        self.assertRaises(ImportRefused, work.finish)
        self.check(store)
        store.abandon_import()
        self.check(store)


class RepeatedTest(ImportTestCase):
    def test_the_same_one_begun_again_keeps_what_is_there(self) -> None:
        store = self.fresh()
        self.source.load(self.begin(store), 0)
        self.source.add_block(self.begin(store))
        work = self.begin(store)
        self.assertNotIn(0, work.missing_ranges())
        self.assertEqual(work.next_block, (self.chain.state.height - 1, self.chain.blocks[-2].header.hash))
        self.source.give_all(work)
        store.imported(work.finish())
        self.check(store)

    def test_blocks_cost_the_same_however_long_the_way_from_the_trusted_block(self) -> None:
        store, database = self.fresh(), self.path / "fresh" / "blocks.fs"
        self.source.links = [self.source.links[0]] * 500 + self.source.links
        work = self.begin(store)
        before = database.stat().st_size
        self.source.add_block(work)
        self.assertLess(database.stat().st_size - before, 20_000)


class LostCoinsTest(ImportTestCase):
    def test_a_chain_that_was_joined_cannot_be_rebuilt_from_its_blocks(self) -> None:
        self.joined().close()
        where = self.path / "fresh"
        for each in where.glob("coins.fs*"):
            each.unlink()
        self.assertRaises(CoinsOutOfStep, self.fresh)
        steps = rebuild_coins(*uris(where), self.chain.genesis.chain_id, lambda height, block: ({}, ()))
        self.assertRaises(BlockPruned, list, steps)

    def test_an_import_whose_coins_are_lost_begins_anew(self) -> None:
        store = self.fresh()
        self.source.load(self.begin(store), 0)
        self.source.add_block(self.begin(store))
        store.close()
        for each in (self.path / "fresh").glob("coins.fs*"):
            each.unlink()
        store = self.fresh()
        self.assertIsNone(store.unfinished_import())
        work = self.begin(store)
        self.source.give_all(work)
        store.imported(work.finish())
        self.check(store)


class OrderTest(ImportTestCase):
    def test_nothing_is_taken_twice(self) -> None:
        store = self.fresh()
        work = self.begin(store)
        self.source.load(work, 0)
        self.source.load(work, 0)
        self.source.give_all(work)
        store.imported(work.finish())
        self.check(store)

    def test_not_before_everything_is_here(self) -> None:
        work = self.begin(self.fresh())
        self.assertRaises(ImportRefused, work.finish)
        for index in work.missing_ranges():
            self.source.load(work, index)
        self.assertRaises(ImportRefused, work.finish)

    def test_blocks_come_downwards(self) -> None:
        work = self.begin(self.fresh())
        self.assertEqual(work.next_block, (self.chain.state.height, self.chain.state.block_hash))
        block = self.chain.blocks[-2]
        self.assertRaises(ImportRefused, work.add_block, block, block.encode())
        self.source.add_block(work)
        self.assertEqual(work.next_block, (block.header.height, block.header.hash))
        while self.source.add_block(work):
            pass
        self.assertRaises(ImportRefused, work.add_block, self.chain.blocks[0], b"")

    def test_a_chain_from_its_first_epoch(self) -> None:
        self.chain = grow(1)
        self.source = self.source_of(self.chain)
        self.check(self.joined())

    def test_not_below_the_tip(self) -> None:
        store = self.source.store
        with self.assertRaises(ImportRefused):
            self.begin(store)
        self.check(store)

    def test_a_wrong_state(self) -> None:
        source = self.source
        store = self.fresh()
        for state in (source.state[:-1], source.state[:-1] + b"\1", source.state + b"\0", b""):
            self.assertRaises(BadState, store.begin_import, source.manifest, state, source.links, None)

    def test_a_manifest_of_another_block(self) -> None:
        source = self.source
        links = source.links[:-1]
        with self.assertRaises(BadManifest):
            self.fresh().begin_import(source.manifest, source.state, links, None)

    def test_a_false_chunk_never_gets_in(self) -> None:
        data = bytearray(self.source.chunk(0))
        data[-1] ^= 1
        self.assertRaises(ChunkMismatch, check_chunk, self.source.manifest, 0, bytes(data))

    def test_given_up(self) -> None:
        store = self.fresh()
        work = self.begin(store)
        self.source.give_all(work)
        work.abandon()
        self.assertIsNone(store.unfinished_import())
        for assembled, commit in self.chain.assembled[1:]:
            store.committed(store.commit_block(committed_block(assembled, commit)))
            merge_all(store)
        self.check(store)

    def test_another_one_instead(self) -> None:
        store = self.fresh()
        first = self.begin(store)
        self.source.load(first, 0)
        self.source.add_block(first)
        first.close()
        self.chain = grow(5)
        self.source = self.source_of(self.chain)
        work = self.begin(store)
        self.assertEqual(work.missing_ranges(), list(range(len(self.source.manifest.ranges))))
        self.source.give_all(work)
        store.imported(work.finish())
        self.check(store)


class Power(Exception):
    """The machine stops here."""


class CrashTest(ImportTestCase):
    """Power fails at any commit; the next process goes on, and fetches nothing twice."""

    def test_before_every_commit(self) -> None:
        crashes = 0
        while self.crashes_at(crashes):
            store = self.fresh()
            self.go_on(store)
            self.check(store)
            store.close()
            self.forget()
            crashes += 1
        self.assertGreater(crashes, len(self.source.manifest.ranges) + 6)

    def forget(self) -> None:
        shutil.rmtree(self.path / "fresh")
        (self.path / "fresh").mkdir()

    def go_on(self, store: ChainStore) -> None:
        record = store.unfinished_import()
        if store.tip.height == self.chain.state.height:
            self.assertIsNone(record)
            return
        work = self.begin(store) if record is None else store.resume_import(record, None)
        self.assertEqual(self.done & set(work.missing_ranges()), set())
        self.source.give_all(work)
        store.imported(work.finish())

    def crashes_at(self, commits: int) -> bool:
        """Import with the power off from the commit after that many on; whether it was needed any longer."""
        store = self.fresh()
        storage = sys.modules["ZODB.FileStorage.FileStorage"].FileStorage
        inner, left = storage.tpc_vote, [commits]

        def vote(this: Any, transaction: Any) -> Any:
            if left[0] <= 0:
                raise Power
            left[0] -= 1
            return inner(this, transaction)

        patched = self.patch(storage, "tpc_vote", vote)
        self.done: set[int] = set()
        try:
            work = self.begin(store)
            for index in work.missing_ranges():
                self.source.load(work, index)
                self.done.add(index)
            self.source.give_all(work)
            work.finish()
        except WriteFailed as error:
            self.assertIsInstance(error.__cause__, Power)
            return True
        finally:
            patched.restore()
            store.close()
        return False


class LinkedCommitTest(ImportTestCase):
    def test_commits_are_those_that_the_blocks_above_carry(self) -> None:
        store = self.joined()
        for height in range(self.chain.state.height - 1, self.chain.state.height - 4, -1):
            commit = Commit.decode(store.archive.commit(height))
            self.assertEqual(commit, self.chain.blocks[height + 1].last_commit)
