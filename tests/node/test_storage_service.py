"""The disk as a service: block 0, restarts, merges, packs, refusals, and an orderly stop."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import Pools, ThreadClock
from tests.storage.samples import scratch
from timecoin.ledger.genesis import Genesis
from timecoin.node import storage_service as module
from timecoin.node.root import StartRefused
from timecoin.node.storage_service import MERGE_PAUSE, StorageService
from timecoin.primitives.block import EMPTY_COMMIT, Block
from timecoin.storage.chain import ChainStore
from timecoin.storage.database import file_uri
from timecoin.storage.datadir import DataDirectory
from timecoin.storage.errors import WriteFailed


class StorageTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)
        self.chain = builders.Chain()
        self.clock = ThreadClock()

    def make(
        self, *, genesis: Genesis | None = None, path: Path | None = None, pack_hours: int = 0, **more: Any
    ) -> StorageService:
        self.pools = Pools(self, module)
        uris = [file_uri(self.path / name) for name in ("blocks.fs", "coins.fs")]
        return StorageService(
            self.clock,
            genesis or self.chain.genesis,
            path or self.path,
            *uris,
            merge_keys=50,
            pack_hours=pack_hours,
            **more,
        )

    def started(self, *, pack_hours: int = 0) -> StorageService:
        service = self.make(pack_hours=pack_hours)
        self.successResultOf(service.startService())
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: StorageService) -> None:
        if service.running:
            for pool in self.pools.made.values():
                pool.held = False
                pool.run()
            self.successResultOf(service.stopService())

    def commit(self, service: StorageService, *, payments: int = 1) -> Deferred[None]:
        payer, payee = builders.account(0), builders.account(1)
        txs = [self.chain.payment(payer, payee, 10**8) for _ in range(payments)]
        block = self.chain.assemble(txs).block
        commit = self.chain.commit(block)
        assembled = self.chain.apply(block, commit)
        times = [None, *range(40, 40 + payments)]
        return Deferred.fromCoroutine(service.commit(assembled, commit, times))


class LifeTest(StorageTestCase):
    def test_first_start_writes_block_0(self) -> None:
        service = self.started()
        self.assertEqual((service.ledger.height, service.ledger.epoch, service.ledger_height), (0, 1, 0))
        self.assertEqual(service.last_commit, EMPTY_COMMIT)
        self.assertEqual(service.replayed, [])
        for outpoint, coin in self.chain.coins.items():
            self.assertEqual(service.coin(outpoint), coin)
        block = self.chain.blocks[0]
        self.assertEqual(service.archived(block.transactions[0].txid), (0, 0))
        self.assertEqual(self.successResultOf(service.block(0)), block)

    def test_block_0_is_written_once(self) -> None:
        self.stop(self.started())
        self.patch(StorageService, "_write_first_block", lambda service: self.fail("written again"))
        self.assertEqual(self.started().ledger.block_hash, self.chain.state.block_hash)

    def test_restart(self) -> None:
        service = self.started()
        self.successResultOf(self.commit(service))
        first = self.successResultOf(service.in_journal_thread(service.journal.append, [b"one", b"two"]))
        self.stop(service)
        again = self.started()
        self.assertEqual(again.ledger, self.chain.state)
        self.assertEqual(again.last_commit, self.chain.tip_commit)
        self.assertEqual(again.replayed, [(first, b"one"), (first + 1, b"two")])

    def test_locked(self) -> None:
        self.started()
        refused = self.failureResultOf(self.make().startService(), StartRefused)
        self.assertIn("in use by process", refused.getErrorMessage())
        self.assertTrue(not any(pool.started for pool in self.pools.made.values()))

    def test_other_genesis(self) -> None:
        self.stop(self.started())
        other = self.make(genesis=builders.network(5))
        refused = self.failureResultOf(other.startService(), StartRefused)
        self.assertIn("belongs to network", refused.getErrorMessage())
        self.assertTrue(not any(pool.started for pool in self.pools.made.values()))
        # Nothing was left open or locked.
        self.started()

    def test_databases_of_another_network(self) -> None:
        self.stop(self.started())
        elsewhere = scratch(self)
        other = self.make(genesis=builders.network(5), path=elsewhere)
        refused = self.failureResultOf(other.startService(), StartRefused)
        self.assertIn("the blocks database belongs to network", refused.getErrorMessage())

    def test_stop_waits_for_writes(self) -> None:
        service = self.started()
        self.pools["chain"].held = self.pools["journal"].held = True
        committed = self.commit(service)
        written = service.in_journal_thread(service.journal.append, [b"one"])
        stopped = service.stopService()
        self.assertNoResult(stopped)
        self.pools["journal"].run(1)
        self.successResultOf(written)
        self.assertNoResult(stopped)
        self.pools["chain"].run(1)
        self.successResultOf(committed)
        self.assertNoResult(stopped)
        self.pools["journal"].run()
        self.successResultOf(stopped)
        self.assertEqual(self.pools["chain"].waiting.__len__(), 0)
        again = self.started()
        self.assertEqual(([record for _, record in again.replayed], again.ledger.height), ([b"one"], 1))

    def test_a_failed_write_does_not_keep_it_from_stopping(self) -> None:
        service = self.started()
        self.pools["journal"].held = True
        failing = service.in_journal_thread(lambda: 1 // 0)
        stopped = service.stopService()
        self.pools["journal"].run()
        self.failureResultOf(failing, ZeroDivisionError)
        self.successResultOf(stopped)


class BlocksTest(StorageTestCase):
    def test_a_commit_is_visible_when_it_is_durable(self) -> None:
        service = self.started()
        self.pools["chain"].held = True
        spent = self.chain.coins_of(builders.account(0))[0][0]
        committed = self.commit(service)
        made = self.chain.blocks[-1].transactions[1].outpoint(0)
        self.assertIsNotNone(service.coin(spent))
        self.assertIsNone(service.coin(made))
        self.pools["chain"].run()
        self.successResultOf(committed)
        self.assertIsNone(service.coin(spent))
        self.assertEqual(service.coin(made), self.chain.coins[made])
        self.assertEqual(service.ledger_height, 1)

    def test_times_to_finality_are_kept(self) -> None:
        service = self.started()
        self.successResultOf(self.commit(service))
        found = [service.chain.archive.final_ms(1, position) for position in (0, 1)]
        self.assertEqual(found, [None, 40])

    def test_a_failed_commit_changes_nothing(self) -> None:
        service = self.started()
        self.patch(ChainStore, "commit_block", lambda *_: _raise(WriteFailed("disk full")))
        self.failureResultOf(self.commit(service), WriteFailed)
        self.assertEqual(service.ledger_height, 0)

    def test_ranges(self) -> None:
        service = self.started()
        for _ in range(3):
            self.successResultOf(self.commit(service))
        pairs = self.successResultOf(service.blocks_with_commits(1, 10, 1 << 20))
        self.assertEqual([Block.decode(block) for block, _ in pairs], self.chain.blocks[1:])
        self.assertEqual([commit for _, commit in pairs], [each.encode() for each in self.chain.commits[1:]])
        size = sum(map(len, pairs[0])) + 16
        for limit, count in ((1, 1), (size, 1), (3 * size, 2)):
            found = self.successResultOf(service.blocks_with_commits(1, 10, limit))
            self.assertLessEqual(len(found), count)
            self.assertGreaterEqual(len(found), 1)
        self.assertEqual(self.successResultOf(service.blocks_with_commits(9, 10, 1 << 20)), [])

    def test_headers_of_heights_that_are_not_here_are_left_out(self) -> None:
        service = self.started()
        self.successResultOf(self.commit(service))
        found = self.successResultOf(service.headers_with_commits(0, 5))
        archive = service.chain.archive
        self.assertEqual(found, [(archive.header(each), archive.commit(each)) for each in (0, 1)])

    def test_merging_goes_on_in_small_steps(self) -> None:
        service = self.started()
        steps: list[bool] = []
        self.patch(ChainStore, "merge", lambda store, keys: steps.append(keys == 50) or _step(store, keys))
        for _ in range(3):
            self.successResultOf(self.commit(service))
        self.assertEqual(steps, [True])
        unmerged = service.chain.unmerged_keys
        self.clock.pump([MERGE_PAUSE] * 20)
        self.assertGreater(len(steps), 1)
        self.assertLess(service.chain.unmerged_keys, unmerged)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_failed_merge_is_tried_again_with_the_next_block(self) -> None:
        service = self.started()
        tried: list[int] = []

        def fail(store: ChainStore, keys: int) -> None:
            tried.append(keys)
            raise WriteFailed("disk full")

        self.patch(ChainStore, "merge", fail)
        for count in (1, 2):
            self.successResultOf(self.commit(service))
            self.clock.pump([MERGE_PAUSE] * 3)
            self.assertEqual(len(tried), count)
        self.assertEqual(len(self.flushLoggedErrors(WriteFailed)), 2)


class PackTest(StorageTestCase):
    def count(self, error: Exception | None = None) -> list[str]:
        done: list[str] = []
        for name in ("pack", "pack_blocks"):

            def pack(store: ChainStore, name: str = name) -> None:
                done.append(name)
                if error is not None:
                    raise error

            self.patch(ChainStore, name, pack)
        return done

    def test_every_so_many_hours(self) -> None:
        done = self.count()
        self.started(pack_hours=6)
        self.clock.advance(6 * 3600 - 1)
        self.assertEqual(done, [])
        self.clock.advance(1)
        self.assertEqual(done, ["pack", "pack_blocks"])
        self.clock.advance(6 * 3600)
        self.assertEqual(done, ["pack", "pack_blocks"] * 2)

    def test_never(self) -> None:
        done = self.count()
        self.started()
        self.clock.advance(10**6)
        self.assertEqual(done, [])

    def test_a_failure_is_logged_and_it_is_tried_again(self) -> None:
        done = self.count(WriteFailed("disk full"))
        self.started(pack_hours=1)
        for _ in range(2):
            self.clock.advance(3600)
        self.assertEqual(done, ["pack", "pack_blocks"] * 2)

    def test_blocks_are_stored_meanwhile(self) -> None:
        service = self.started(pack_hours=1)
        self.pools["packing"].held = True
        self.clock.advance(3600)
        self.successResultOf(self.commit(service))
        self.pools["packing"].run()
        self.successResultOf(self.commit(service))
        self.stop(service)
        self.assertEqual(self.started().ledger, self.chain.state)

    def test_stopping_ends_it(self) -> None:
        service = self.started(pack_hours=1)
        self.successResultOf(self.commit(service))
        before = (self.path / "blocks.fs").stat().st_size
        self.pools["packing"].held = True
        self.clock.advance(3600)
        stopped = service.stopService()
        self.assertNoResult(stopped)
        self.pools["packing"].run()
        self.successResultOf(stopped)
        self.assertEqual(self.pools["packing"].waiting.__len__(), 0)
        self.assertGreaterEqual((self.path / "blocks.fs").stat().st_size, before)


def _raise(error: Exception) -> None:
    raise error


_merge = ChainStore.merge


def _step(store: ChainStore, keys: int) -> object:
    return _merge(store, 5, force=True)


class FailingCloseTests(StorageTestCase):
    def test_a_file_that_does_not_close_leaves_no_thread_and_no_lock(self) -> None:
        """As on a full disk, where what a failed write left in a buffer is tried again at the close."""
        service = self.make()
        self.successResultOf(service.startService())

        def close() -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        for each in (service.journal, service.chain):
            self.addCleanup(each.close)
            self.patch(each, "close", close)
        self.failureResultOf(service.stopService(), OSError)
        self.assertFalse([name for name, pool in self.pools.made.items() if pool.started])
        directory = DataDirectory(self.path)
        directory.open()
        directory.close()
