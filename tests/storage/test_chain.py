from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import (
    CHAIN_ID,
    EAGER,
    SampleChain,
    advance,
    derive,
    merge_all,
    open_store,
    recomputed,
    scratch,
    sealed,
    tree_of,
    uris,
)
from timecoin.ledger.coins import Coin, encode_coin
from timecoin.storage import archive
from timecoin.storage.chain import ChainStore
from timecoin.storage.errors import (
    CoinsBusy,
    CoinsOutOfStep,
    UnknownBlock,
    WrongGenesis,
    WrongHeight,
    WrongSchema,
)
from timecoin.storage.rebuild import rebuild_coins
from timecoin.storage.writer import KEPT_STATES, Limits


class ChainTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)
        self.chain = SampleChain()

    def opened(self, limits: Limits = EAGER) -> ChainStore:
        return open_store(self, self.path, limits)

    def filled(self, blocks: int, limits: Limits = EAGER) -> ChainStore:
        store = self.opened(limits)
        for _ in range(blocks):
            advance(store, self.chain.next())
        return store

    def check_reads(self, store: ChainStore, chain: SampleChain, known: set[bytes]) -> None:
        """Every outpoint ever made and every txid is found as the sample chain has it."""
        for outpoint in known | set(chain.coins):
            self.assertEqual(store.coin_bytes(outpoint), chain.coins.get(outpoint))
        for txid, location in chain.txids.items():
            self.assertEqual(store.location(txid), location)


class BlockTest(ChainTestCase):
    def test_empty(self) -> None:
        store = self.opened()
        self.assertEqual((store.tip.height, store.tip.coin_count), (-1, 0))
        self.assertRaises(UnknownBlock, store.tip_state)
        self.assertRaises(UnknownBlock, store.archive.block, 0)
        self.assertIsNone(store.archive.height_of(bytes(32)))
        self.assertIsNone(store.merge(force=True))

    def test_everything_is_found_again_also_after_reopening(self) -> None:
        store = self.opened()
        blocks = [self.chain.next() for _ in range(9)]
        for block in blocks:
            advance(store, block)
        for _ in range(2):
            for block in blocks:
                height = block.height
                self.assertEqual(store.archive.block(height), block.block)
                self.assertEqual(store.archive.header(height), block.header)
                self.assertEqual(store.archive.commit(height), block.commit)
                self.assertEqual(store.archive.block_hash(height), block.block_hash)
                self.assertEqual(store.archive.txids(height), list(block.txids))
                self.assertEqual(store.archive.height_of(block.block_hash), height)
            self.assertEqual(store.archive.headers(6, 10), [block.header for block in blocks[6:]])
            self.assertEqual(store.archive.headers(2, 2), [block.header for block in blocks[2:4]])
            self.assertEqual(store.archive.headers_down(3, 2), [blocks[3].header, blocks[2].header])
            self.assertEqual(store.archive.headers_down(1, 9), [blocks[1].header, blocks[0].header])
            self.assertEqual(store.archive.headers_down(store.tip.height + 1, 9), [])
            self.assertEqual(store.tip.state, blocks[-1].state)
            self.assertEqual(store.tip.block_hash, blocks[-1].block_hash)
            self.assertEqual(store.tip.coin_count, len(self.chain.coins))
            store.close()
            store = self.opened()

    def test_a_hash_is_read_from_the_disk_once(self) -> None:
        """A thousand clients that ask for the status of archived payments wait for no disk."""
        store = self.filled(3)
        known = store.archive.block_hash(2)
        self.patch(archive, "reading", None)
        self.assertEqual(store.archive.block_hash(2), known)
        self.assertRaises(TypeError, store.archive.block_hash, 1)

    def test_only_the_newest_states_are_kept(self) -> None:
        store = self.filled(KEPT_STATES + 3)
        kept = [height for height in range(KEPT_STATES + 3) if store.archive.state(height) is not None]
        self.assertEqual(kept, list(range(3, KEPT_STATES + 3)))

    def test_gap_and_repetition_are_refused(self) -> None:
        store = self.filled(2)
        for height in (0, 1, 3):
            self.assertRaises(WrongHeight, store.commit_block, sealed(height, {}, (), ()))
        advance(store, self.chain.next())

    def test_tokens_in_order(self) -> None:
        store = self.opened()
        first, second = (store.commit_block(self.chain.next()) for _ in range(2))
        self.assertRaises(WrongHeight, store.committed, second)
        store.committed(first)
        store.committed(second)

    def test_other_network_and_swapped_databases(self) -> None:
        self.filled(1).close()
        blocks, coins = uris(self.path)
        self.assertRaises(WrongGenesis, ChainStore.open, blocks, coins, bytes(32), EAGER)
        self.assertRaises(WrongSchema, ChainStore.open, coins, blocks, CHAIN_ID, EAGER)
        self.assertEqual(self.opened().tip.height, 0)

    def test_coin_is_decoded(self) -> None:
        store, coin = self.opened(), Coin(3, 7, b"script")
        advance(store, sealed(0, {bytes(36): encode_coin(coin)}, (), ()))
        self.assertEqual(store.coin(bytes(36)), coin)
        self.assertIsNone(store.coin(b"\x01" * 36))


class MergeTest(ChainTestCase):
    def test_reads_are_right_after_every_step(self) -> None:
        store = self.opened()
        known: set[bytes] = set()
        for _ in range(6):
            known |= set(self.chain.coins)
            advance(store, self.chain.next())
        while (token := store.merge(23, force=True)) is not None:
            self.check_reads(store, self.chain, known)
            store.merged(token)
            self.check_reads(store, self.chain, known)
        self.assertEqual(store.unmerged_keys, 0)
        self.assertEqual(tree_of(store), self.chain.coins)

    def test_blocks_between_the_steps_of_a_batch(self) -> None:
        store = self.filled(4)
        known: set[bytes] = set(self.chain.coins)
        for _ in range(12):
            token = store.merge(20, force=True)
            advance(store, self.chain.next())
            if token is not None:
                store.merged(token)
            known |= set(self.chain.coins)
        self.check_reads(store, self.chain, known)
        merge_all(store)
        self.assertEqual(tree_of(store), self.chain.coins)
        self.assertEqual(recomputed(store), self.chain.coins)

    def test_unacknowledged_blocks_are_not_merged(self) -> None:
        store = self.opened()
        block = self.chain.next()
        token = store.commit_block(block)
        self.assertIsNone(store.merge(force=True))
        self.assertIsNone(store.coin_bytes(next(iter(block.added))))
        store.committed(token)
        self.assertIsNotNone(store.merge(force=True))

    def test_nothing_below_the_start_unless_forced(self) -> None:
        store = self.filled(2, Limits(start_keys=10_000))
        self.assertIsNone(store.merge(100))
        self.assertIsNotNone(store.merge(10, force=True))
        self.assertIsNotNone(store.merge(10))

    def test_steps_are_bounded(self) -> None:
        store = self.filled(5)
        while (token := store.merge(7, force=True)) is not None:
            self.assertLessEqual(token.keys, 7)
            store.merged(token)

    def test_memory_is_bounded_by_merging_before_a_commit(self) -> None:
        limits = Limits(start_keys=10**6, batch_keys=60, hard_keys=200, chunk_keys=25)
        store = self.opened(limits)
        for _ in range(12):
            token = store.commit_block(self.chain.next())
            store.committed(token)
            self.assertLessEqual(store.unmerged_keys, 200 + 60)
        self.assertIsNotNone(token.merged)
        self.check_reads(store, self.chain, set())

    def test_blocks_are_bounded_too(self) -> None:
        store = self.opened(Limits(hard_blocks=3))
        for _ in range(9):
            advance(store, self.chain.next())
        self.assertLessEqual(len(store._reader._overlay), 4)
        self.check_reads(store, self.chain, set())

    def test_reopened_in_the_middle_of_a_batch(self) -> None:
        store = self.filled(5)
        for limit in (1, 30, 11, 60, 5, 200):
            token = store.merge(limit, force=True)
            store.close()
            store = self.opened(Limits(start_keys=1, batch_keys=10**6))
            self.check_reads(store, self.chain, set())
            advance(store, self.chain.next())
        self.assertIsNotNone(token)
        merge_all(store, 9)
        self.assertEqual(tree_of(store), self.chain.coins)
        self.check_reads(store, self.chain, set())

    def test_merged_changes_leave_the_blocks_database(self) -> None:
        store = self.filled(4)
        merge_all(store)
        advance(store, self.chain.next())
        store.close()
        self.assertEqual(len(self.opened()._reader._overlay), 1)

    def test_equal_first_8_bytes(self) -> None:
        store = self.opened()
        twins = [b"\xee" * 8 + bytes([i]) * 24 for i in range(3)]
        advance(store, sealed(0, {}, (), (bytes(32), twins[0], twins[1])))
        advance(store, sealed(1, {}, (), (b"\x01" * 32, twins[2])))
        for _ in range(2):
            self.assertEqual([store.location(twin) for twin in twins], [(0, 1), (0, 2), (1, 1)])
            self.assertIsNone(store.location(b"\xee" * 32))
            merge_all(store, 2)


class LookupTest(ChainTestCase):
    def test_pinned_to_its_tip_whatever_comes_later(self) -> None:
        store = self.opened()
        coins: dict[bytes, bytes] = {}
        for i in range(6):
            added = {bytes([i]) * 36: encode_coin(Coin(2 * i, i, b""))}
            advance(store, sealed(i, added, tuple(coins), ()))
            coins = added
            lookup = store.coin_lookup()
            self.assertEqual(lookup(bytes([i]) * 36), Coin(2 * i, i, b""))
            self.addCleanup(lookup.close)
            if i == 3:
                pinned = lookup
        merge_all(store)
        self.assertEqual(pinned(b"\x03" * 36), Coin(6, 3, b""))
        self.assertIsNone(pinned(b"\x05" * 36))
        self.assertIsNone(pinned(b"\x02" * 36))
        pinned.close()
        pinned.close()


class OutOfStepTest(ChainTestCase):
    def lost(self, blocks: int) -> Path:
        store = self.filled(blocks)
        merge_all(store)
        advance(store, self.chain.next())
        store.close()
        for file in self.path.glob("coins.fs*"):
            file.unlink()
        return self.path

    def test_lost_coins_are_noticed_and_rebuilt(self) -> None:
        self.lost(7)
        self.assertRaises(CoinsOutOfStep, self.opened)
        heights = list(rebuild_coins(*uris(self.path), CHAIN_ID, derive, keys=100))
        self.assertEqual(heights[-1], 7)
        self.assertGreater(len(heights), 1)
        store = self.opened()
        self.assertEqual(tree_of(store), self.chain.coins)
        self.check_reads(store, self.chain, set())
        advance(store, self.chain.next())
        merge_all(store)
        self.assertEqual(tree_of(store), self.chain.coins)

    def test_rebuilding_goes_on_where_it_stopped(self) -> None:
        self.lost(7)
        rebuilding = rebuild_coins(*uris(self.path), CHAIN_ID, derive, keys=60)
        next(rebuilding)
        rebuilding.close()
        self.assertRaises(CoinsOutOfStep, self.opened)
        list(rebuild_coins(*uris(self.path), CHAIN_ID, derive, keys=100))
        self.assertEqual(tree_of(self.opened()), self.chain.coins)

    def test_coins_ahead_of_the_blocks(self) -> None:
        store = self.filled(3)
        merge_all(store)
        store.close()
        for file in self.path.glob("blocks.fs*"):
            file.unlink()
        self.assertRaises(CoinsOutOfStep, self.opened)

    def test_spending_what_is_not_there(self) -> None:
        store = self.opened()
        advance(store, sealed(0, {}, (bytes(36),), ()))
        self.assertRaises(CoinsOutOfStep, store.merge, force=True)


class SnapshotTest(ChainTestCase):
    def test_unmoved_by_later_blocks(self) -> None:
        store = self.filled(5)
        merge_all(store)
        frozen = dict(self.chain.coins)
        with store.snapshot() as snapshot:
            self.assertEqual((snapshot.height, snapshot.count), (4, len(frozen)))
            steps = snapshot.steps(10)
            first = next(steps)
            for _ in range(3):
                advance(store, self.chain.next())
            merge_all(store)
            found = list(snapshot.coins(step=13))
            self.assertEqual(found[:10], first)
            self.assertEqual([*first, *[each for step in steps for each in step]], found)
            self.assertEqual(found, sorted(frozen.items()))
        self.assertEqual(tree_of(store), self.chain.coins)

    def test_wherever_a_merge_stands(self) -> None:
        store = self.filled(7)
        while True:
            for step in (1, 3, 50, 10_000):
                with store.snapshot() as snapshot:
                    self.assertEqual(list(snapshot.coins(step)), sorted(self.chain.coins.items()))
                    self.assertEqual((snapshot.height, snapshot.count), (6, len(self.chain.coins)))
            # Not acknowledged: the reactor's overlay still holds what the tree does.
            if store.merge(20, force=True) is None:
                break

    def test_steps_are_bounded(self) -> None:
        store = self.filled(4)
        sizes = [len(step) for step in self.steps(store)]
        self.assertLessEqual(max(sizes), 20)
        merge_all(store)
        for _ in range(3):
            advance(store, self.chain.next())
        self.assertLessEqual(max(len(step) for step in self.steps(store)), 20)

    def steps(self, store: ChainStore) -> list[list[tuple[bytes, bytes]]]:
        with store.snapshot() as snapshot:
            return list(snapshot.steps(10))

    def test_packing_and_snapshots_exclude_each_other(self) -> None:
        store = self.filled(3)
        merge_all(store)
        with store.snapshot():
            self.assertRaises(CoinsBusy, store.pack)
        store.pack()

    def test_packed_blocks_lose_only_what_is_merged(self) -> None:
        store = self.filled(20)
        merge_all(store)
        for _ in range(2):
            advance(store, self.chain.next())
        file = self.path / "blocks.fs"
        before = file.stat().st_size
        store.pack_blocks(margin=-60.0)
        self.assertLess(file.stat().st_size, before * 3 // 4)
        store.close()
        store = self.opened()
        self.assertEqual(recomputed(store), self.chain.coins)
        self.check_reads(store, self.chain, set())

    def test_pack_shrinks_and_loses_nothing(self) -> None:
        store = self.filled(20, Limits(start_keys=1, batch_keys=1))
        merge_all(store, 10)
        file = self.path / "coins.fs"
        before = file.stat().st_size
        store.pack(margin=-60.0)
        self.assertLess(file.stat().st_size, before // 2)
        self.assertEqual([path.name for path in self.path.glob("coins.fs.old")], [])
        self.check_reads(store, self.chain, set())
        advance(store, self.chain.next())
        merge_all(store)
        store.close()
        self.assertEqual(tree_of(self.opened()), self.chain.coins)
