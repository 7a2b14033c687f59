"""The participant driven: durable before sent, inputs held back while a block is applied, what ends the node."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.node.fakes import NotedPeer
from tests.node.solo import EPOCH_SECONDS, Solo
from tests.storage.samples import scratch
from timecoin.consensus import effects as fx
from timecoin.consensus.jobs import AssembleBlock
from timecoin.consensus.records import RecordKind
from timecoin.node import consensus_service as module
from timecoin.node.root import StartRefused
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Commit
from timecoin.primitives.transaction import Transaction
from timecoin.storage.chain import ChainStore
from timecoin.storage.errors import WriteFailed
from timecoin.storage.journal import LEASE_NAME, Journal


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.solo = Solo(self, scratch(self))

    def status(self, tx: Transaction) -> str | None:
        status = self.solo.participant.finality.status(tx.txid)
        return None if status is None else status.status.value

    def kinds(self) -> set[RecordKind]:
        return {RecordKind(record[0]) for record in self.solo.journal()}

    def until_busy(self) -> None:
        """Into the middle of applying the closing block."""
        chain = self.solo.disks["chain"]
        chain.held = True
        self.solo.run(EPOCH_SECONDS + 1)
        chain.run(1)
        chain.held = False
        self.assertTrue(self.solo.participant.busy)

    def fail_with(self, error: Exception) -> Callable[..., None]:
        def fail(*arguments: object) -> None:
            raise error

        return fail


class DurableTest(ServiceTestCase):
    def test_nothing_is_sent_before_it_is_durable(self) -> None:
        solo = self.solo.start()
        peer = solo.connect()
        disk = solo.disks["journal"]
        disk.held = True
        tx = solo.submit(solo.payment())
        waiting = solo.consensus.when_durable()
        for _ in range(6):
            solo.run(0.1)
            self.assertEqual(peer.take(wire.Bundles), [])
            self.assertNotEqual(self.status(tx), "final")
        self.assertNoResult(waiting)
        self.assertEqual(len(disk.waiting), 1)
        disk.run()
        self.successResultOf(waiting)
        solo.run(0.05)
        self.assertEqual(len(peer.take(wire.Bundles)), 1)
        self.assertEqual(self.status(tx), "certified")
        solo.run(0.1)
        disk.run()
        # The ack is on disk and sent, but the report that it is final has to be durable, too.
        self.assertEqual(self.status(tx), "final")
        self.assertEqual([each.status for each in solo.reports.page(0, 10).events], ["certified"])
        solo.run(0.1)
        disk.run()
        self.assertEqual([each.status for each in solo.reports.page(0, 10).events], ["certified", "final"])

    def test_one_write_at_a_time(self) -> None:
        solo = self.solo.start()
        disk = solo.disks["journal"]
        disk.held = True
        for number in range(4):
            solo.submit(solo.payment(number))
            solo.run(0.1)
        self.assertEqual(len(disk.waiting), 1)
        before = len(solo.journal())
        disk.run()
        solo.run(0.1)
        self.assertEqual(len(disk.waiting), 1)
        disk.run()
        self.assertGreaterEqual(len(solo.journal()), before + 4)

    def test_when_durable(self) -> None:
        solo = self.solo.start()
        solo.run(0.2)
        self.successResultOf(solo.consensus.when_durable())
        solo.disks["journal"].held = True
        solo.submit(solo.payment(0))
        first = solo.consensus.when_durable()
        solo.run(0.1)
        again = solo.consensus.when_durable()
        solo.submit(solo.payment(1))
        second = solo.consensus.when_durable()
        solo.disks["journal"].run()
        self.successResultOf(first)
        self.successResultOf(again)
        self.assertNoResult(second)
        solo.run(0.1)
        solo.disks["journal"].run()
        self.successResultOf(second)

    def test_bodies_are_pushed_without_waiting_for_more(self) -> None:
        solo = self.solo.start()
        peer = solo.connect()
        tx = solo.submit(solo.payment())
        solo.run(0.1)
        self.assertEqual([m.transactions for m in peer.take(wire.Tx)], [(tx.raw,)])

    def test_blocks_are_stored_with_times_to_finality(self) -> None:
        solo = self.solo.start()
        tx = solo.submit(solo.payment())
        solo.run(EPOCH_SECONDS + 2)
        self.assertEqual(self.status(tx), "archived")
        height, position = solo.storage.archived(tx.txid) or (0, 0)
        found = solo.storage.chain.archive.final_ms(height, position)
        self.assertIsNotNone(found)
        self.assertEqual(found, solo.participant.finality.final_ms(tx.txid))

    def test_the_journal_is_rotated_at_the_border(self) -> None:
        solo = self.solo.start()
        solo.submit(solo.payment())
        solo.run(1)
        self.assertLessEqual({RecordKind.PENDING, RecordKind.BUNDLE, RecordKind.FINAL}, self.kinds())
        solo.run(EPOCH_SECONDS)
        self.assertEqual(solo.storage.ledger_height, 1)
        self.assertEqual(self.kinds(), set())


class RestartTest(ServiceTestCase):
    def restart(self) -> NotedPeer:
        self.solo.stop()
        self.solo.start()
        return self.solo.connect()

    def test_what_is_signed_comes_back(self) -> None:
        solo = self.solo.start()
        peer = solo.connect()
        tx = solo.submit(solo.payment())
        solo.run(1)
        sent = [raw for message in peer.take(wire.Bundles) for raw in message.bundles]
        self.restart()
        self.assertEqual(self.status(tx), "final")
        shelf = solo.consensus.shelf
        self.assertEqual([encoded for _, encoded in shelf.after(0, 0, 10**6)], sent)
        solo.run(1)
        self.assertEqual(shelf.highest, {0: len(sent)})
        # What was told already is not told again.
        self.assertNotIn("final", [each.status for each in solo.reports.page(0, 10).events])
        solo.run(EPOCH_SECONDS)
        self.assertEqual(self.status(tx), "archived")

    def test_bundles_that_left_memory_come_from_the_journal(self) -> None:
        self.patch(module, "SHELF_BYTES", 1)
        solo = self.solo.start()
        for number in range(3):
            solo.submit(solo.payment(number))
            solo.run(0.5)
        for connect in (solo.connect, self.restart):
            peer = connect()
            highest = solo.consensus.shelf.highest[0]
            peer.take(wire.Status)
            view = solo.consensus.gossip.view(peer)
            assert view is not None
            status = wire.Status(1, 1, 0, 0, solo.participant.ledger.block_hash)
            solo.consensus.gossip.on_status(view, status, solo.consensus.now_ms())
            sent = [raw for message in peer.take(wire.Bundles) for raw in message.bundles]
            self.assertEqual(len(set(sent)), highest)

    def test_why_a_journal_is_not_trusted_is_logged(self) -> None:
        solo = self.solo
        for damage, expected in ((False, []), (False, []), (True, ["signing.lease is missing"])):
            if damage:
                (solo.path / LEASE_NAME).unlink()
            with capturedLogs() as events:
                solo.start()
            solo.run(0.1)
            solo.stop()
            warned = [event for event in events if event["log_level"] is LogLevel.warn]
            self.assertEqual([event["reason"] for event in warned], expected)

    def test_a_journal_that_does_not_read_back(self) -> None:
        solo = self.solo
        solo.start_storage()
        self.successResultOf(solo.storage.in_journal_thread(solo.storage.journal.append, [b"\xff?"]))
        self.successResultOf(solo.storage.stopService())
        solo.start_storage()
        solo.make()
        with self.assertRaisesRegex(StartRefused, "the journal does not read back"):
            solo.consensus.startService()
        self.assertFalse(any(pool.started for pool in solo.workers.made.values()))
        self.assertFalse(solo.consensus._clock.running)
        self.successResultOf(solo.storage.stopService())


class StopTest(ServiceTestCase):
    def test_what_is_recorded_is_written(self) -> None:
        solo = self.solo.start()
        solo.run(0.2)
        tx = solo.submit(solo.payment())
        solo.stop()
        solo.start()
        self.assertIn(self.status(tx), ("pending", "certified"))
        self.assertLessEqual({RecordKind.PENDING, RecordKind.BUNDLE}, self.kinds())

    def test_waits_for_the_write_under_way(self) -> None:
        solo = self.solo.start()
        solo.run(0.2)
        disk = solo.disks["journal"]
        disk.held = True
        one = solo.submit(solo.payment(0))
        solo.run(0.1)
        two = solo.submit(solo.payment(1))
        stopped = solo.consensus.stopService()
        self.assertNoResult(stopped)
        disk.run(1)
        self.assertNoResult(stopped)
        disk.run(1)
        self.successResultOf(stopped)
        solo.stop()
        solo.start()
        self.assertTrue(self.status(one) and self.status(two))

    def test_what_a_block_told_is_not_told_again_at_the_end(self) -> None:
        solo = self.solo.start()
        disk = solo.disks["journal"]
        disk.held = True
        tx = solo.submit(solo.payment())
        for _ in range(40):
            solo.run(0.05)
            if solo.participant._untold and not solo.participant.wants_tick:
                break
            disk.run(1)
        self.assertEqual(list(solo.participant._untold), [tx.txid])
        # As when the votes of others decide a block with it while this journal is being written.
        solo.participant._untold.clear()
        stopped = solo.consensus.stopService()
        disk.held = False
        disk.run()
        self.successResultOf(stopped)
        told = [event.status for event in solo.consensus._reports.page(0, 100).events]
        self.assertEqual(told, ["certified"])

    def test_nothing_is_left_behind(self) -> None:
        solo = self.solo.start()
        solo.submit(solo.payment())
        solo.run(0.5)
        solo.stop()
        solo.run(0.1)
        self.assertEqual(solo.clock.getDelayedCalls(), [])
        self.assertFalse(any(pool.started for pool in solo.workers.made.values()))
        done: list[int] = []
        solo.consensus.feed(lambda: done.append(1))
        self.assertEqual(done, [])

    def test_in_the_middle_of_a_block(self) -> None:
        solo = self.solo.start()
        tx = solo.submit(solo.payment())
        self.until_busy()
        solo.stop()
        solo.start()
        self.assertEqual((self.status(tx), solo.participant.ledger.height), ("archived", 1))
        solo.run(EPOCH_SECONDS + 1)
        self.assertEqual(solo.participant.ledger.height, 2)

    def test_in_the_middle_of_a_block_nothing_is_taken_from_the_participant(self) -> None:
        solo = self.solo.start()
        solo.disks["chain"].held = True
        solo.run(EPOCH_SECONDS + 1)
        solo.submit(solo.payment())
        solo.disks["chain"].run(1)
        self.assertTrue(solo.participant.busy and solo.participant.wants_tick)
        before = solo.journal()
        self.successResultOf(solo.consensus.stopService())
        self.assertEqual(solo.journal(), before)
        solo.stop()
        solo.start()
        solo.run(EPOCH_SECONDS + 1)
        self.assertEqual(solo.participant.ledger.height, 2)

    def test_while_a_block_is_being_stored(self) -> None:
        solo = self.solo.start()
        solo.disks["chain"].held = True
        solo.run(EPOCH_SECONDS + 1)
        self.assertEqual(len(solo.disks["chain"].waiting), 1)
        solo.stop()
        solo.start()
        self.assertEqual(solo.participant.ledger.height, 1)


class BusyTest(ServiceTestCase):
    def test_inputs_are_held_back_in_order(self) -> None:
        solo = self.solo.start()
        self.until_busy()
        done: list[object] = []
        for number in range(3):
            solo.consensus.feed(lambda number=number: done.append((number, solo.participant.busy)))
        self.assertEqual(done, [])
        solo.run(0.5)
        self.assertEqual(done, [(0, False), (1, False), (2, False)])
        solo.consensus.feed(lambda: done.append(3))
        self.assertEqual(done[3:], [3])

    def test_one_that_fails_leaves_the_others(self) -> None:
        solo = self.solo.start()
        self.until_busy()
        done: list[int] = []
        solo.consensus.feed(self.fail_with(ValueError("?")))
        solo.consensus.feed(lambda: done.append(1))
        solo.run(0.5)
        self.assertEqual(done, [1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_nothing_is_signed_meanwhile(self) -> None:
        solo = self.solo.start()
        self.until_busy()
        solo.consensus.feed(lambda: None)
        solo.consensus._flush()
        self.assertIsNone(solo.consensus._writing)
        solo.run(EPOCH_SECONDS + 1)
        self.assertEqual(solo.participant.ledger.height, 2)

    def test_several_inputs_in_one_go(self) -> None:
        solo = self.solo.start()
        one, two = solo.payment(0), solo.payment(1)
        solo.consensus.in_one_go(lambda: [solo.submit(tx) for tx in (one, two)] and None)
        self.assertEqual((self.status(one), self.status(two)), ("pending", "pending"))
        solo.run(0.5)
        self.assertEqual((self.status(one), self.status(two)), ("final", "final"))
        self.assertRaises(ValueError, solo.consensus.in_one_go, self.fail_with(ValueError("?")))
        three = solo.submit(solo.payment(2))
        solo.run(0.5)
        self.assertEqual(self.status(three), "final")


class EndTest(ServiceTestCase):
    """What ends the node, and that nothing is said or done afterwards."""

    def assert_dead(self, reason: str) -> None:
        solo = self.solo
        self.assertEqual(len(solo.halts), 1)
        self.assertIn(reason, solo.halts[0])
        done: list[int] = []
        solo.consensus.feed(lambda: done.append(1))
        solo.run(1)
        self.assertEqual((done, len(solo.halts)), ([], 1))

    def test_a_journal_that_takes_nothing(self) -> None:
        solo = self.solo.start()
        solo.run(0.2)
        peer = solo.connect()
        self.patch(Journal, "append", self.fail_with(WriteFailed("disk full")))
        tx = solo.submit(solo.payment())
        waiting = solo.consensus.when_durable()
        solo.run(0.2)
        self.assertEqual(peer.take(wire.Bundles), [])
        self.assertEqual(self.status(tx), "pending")
        self.assertNoResult(waiting)
        self.assert_dead("disk full")
        self.assertEqual(len(self.flushLoggedErrors(WriteFailed)), 1)

    def test_a_chain_store_that_takes_nothing(self) -> None:
        self.patch(ChainStore, "commit_block", ChainStore.commit_block)
        solo = self.solo.start()
        self.patch(ChainStore, "commit_block", self.fail_with(WriteFailed("disk full")))
        solo.run(EPOCH_SECONDS + 1)
        self.assert_dead("disk full")
        self.assertEqual((solo.participant.ledger.height, solo.storage.ledger_height), (0, 0))
        self.flushLoggedErrors(WriteFailed)

    def test_a_journal_that_does_not_rotate(self) -> None:
        solo = self.solo.start()
        self.patch(Journal, "rotate", self.fail_with(WriteFailed("disk full")))
        solo.run(EPOCH_SECONDS + 1)
        self.assert_dead("disk full")
        self.flushLoggedErrors(WriteFailed)

    def test_proofs_are_kept(self) -> None:
        solo = self.solo.start()
        solo.consensus.feed(lambda: solo.participant._halt("rival certificates", (b"one", b"two")))
        self.assertEqual(solo.proofs, [("rival certificates", (b"one", b"two"))])
        self.assert_dead("rival certificates")

    def test_proofs_that_cannot_be_kept(self) -> None:
        solo = self.solo.start()
        solo.proof_error = OSError("disk full")
        solo.consensus.feed(lambda: solo.participant._halt("rival certificates", (b"one",)))
        self.assert_dead("rival certificates")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_job_that_fails(self) -> None:
        solo = self.solo.start()
        self.patch(AssembleBlock, "run", self.fail_with(MemoryError()))
        solo.run(EPOCH_SECONDS + 1)
        self.assert_dead("a block job failed")
        self.flushLoggedErrors(MemoryError)

    def test_a_false_block_of_a_peer_ends_nothing(self) -> None:
        solo = self.solo.start()
        bad: list[fx.BadBlock] = []
        solo.consensus.bad_block = bad.append
        block = solo.chain.assemble().block
        commit = solo.chain.commit(block)
        false = Commit(1, 0, commit.block_hash, ((0, bytes(64)),))
        for each in (false, commit):
            solo.consensus.feed(lambda each=each: solo.participant.adopt(block, each, solo.consensus.now_ms()))
        self.assertEqual([news.height for news in bad], [1])
        solo.run(0.2)
        self.assertEqual((solo.halts, solo.participant.ledger.height), ([], 1))

    def test_a_block_that_cannot_be_applied(self) -> None:
        solo = self.solo.start()
        self.patch(type(solo.participant), "step", self.fail_with(ValueError("?")))
        solo.run(EPOCH_SECONDS + 1)
        self.assert_dead("a decided block cannot be applied")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stopping_after_a_failure_writes_nothing(self) -> None:
        solo = self.solo.start()
        solo.run(0.2)
        self.patch(Journal, "append", self.fail_with(WriteFailed("disk full")))
        solo.submit(solo.payment())
        solo.run(0.2)
        solo.submit(solo.payment(1))
        self.successResultOf(solo.consensus.stopService())
        self.flushLoggedErrors(WriteFailed)


class ClockTest(ServiceTestCase):
    """Somebody sets the system clock."""

    def test_back_by_an_hour(self) -> None:
        self.solo.start()
        self.solo.run(1.0)
        self.solo.clock_error = -3_600.0
        tx = self.solo.submit(self.solo.payment())
        self.solo.run(1.0)
        self.assertEqual(self.status(tx), "final")
        self.assertEqual(self.solo.storage.ledger.height, 0)

    def test_ahead_by_an_epoch(self) -> None:
        self.solo.start()
        self.solo.run(1.0)
        self.solo.clock_error = float(EPOCH_SECONDS)
        self.solo.run(1.0)
        self.assertEqual(self.solo.storage.chain.tip.height, 1)


class EffectTest(ServiceTestCase):
    def test_told_of_blocks_and_epochs(self) -> None:
        solo = self.solo
        solo.start_storage()
        solo.make()
        told: list[str] = []
        solo.consensus.height_opened = lambda: told.append("height")
        solo.consensus.epoch_opened = lambda: told.append("epoch")
        self.successResultOf(solo.consensus.startService())
        self.addCleanup(solo.stop)
        solo.run(EPOCH_SECONDS + 1)
        self.assertEqual(told, ["epoch", "height"])
        self.assertEqual(solo.reports.blocks, 1)

    def test_handed_on(self) -> None:
        solo = self.solo.start()
        offered: list[Transaction] = []
        bad: list[fx.BadBlock] = []
        solo.consensus.offer = offered.append
        solo.consensus.bad_block = bad.append
        tx, news = solo.payment(), fx.BadBlock(1, "?")
        emit = solo.participant._context.emit
        solo.consensus.feed(lambda: (emit(fx.OfferAgain((tx,))), emit(news), emit(fx.Misbehaviour("?")))[0])
        self.assertEqual((offered, bad), ([tx], [news]))

    def test_asking(self) -> None:
        solo = self.solo.start()
        peer = solo.connect()
        emit = solo.participant._context.emit
        key = bytes(32)

        def ask() -> None:
            emit(fx.WantTransactions((key,), True, None))
            emit(fx.WantProposal(1, key))
            emit(fx.WantPol(1, 0, key))

        solo.consensus.feed(ask)
        asked = [message for message in peer.sent if not isinstance(message, wire.Status)]
        self.assertEqual(
            asked,
            [wire.GetTx((key,), True), wire.GetProposal(1, block_hash=key), wire.GetPol(1, 0, key)],
        )
