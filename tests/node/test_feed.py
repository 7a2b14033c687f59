"""The feed inside the process: numbers, order, and listeners that fail."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.node.solo import EPOCH_SECONDS, Solo
from timecoin.consensus import effects as fx
from timecoin.consensus.status import Status
from timecoin.node.feed import BlockApplied, Feed, TransactionChanged
from timecoin.node.reports import Reports
from timecoin.ops.metrics import NodeMetrics


class Notes:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[TransactionChanged | BlockApplied] = []

    def transaction(self, event: TransactionChanged) -> None:
        self.events.append(event)

    def block(self, event: BlockApplied) -> None:
        self.events.append(event)


class Broken:
    """Cannot take anything."""

    def transaction(self, event: TransactionChanged) -> None:
        raise ValueError("no transactions")

    def block(self, event: BlockApplied) -> None:
        raise ValueError("no blocks")


class FeedTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.feed, self.notes = Feed(), Notes()

    def test_who_hears_blocks_only(self) -> None:
        feed, heard = Feed(4), []
        feed.listen_to_blocks(heard.append)
        feed.transaction(bytes(32), Status.FINAL, 7)
        feed.block(3, bytes(32), 2, True, 9)
        self.assertEqual(heard, [BlockApplied(6, 3, bytes(32), 2, True, 9)])

    def test_one_numbering_for_all(self) -> None:
        self.assertEqual(self.feed.transaction(b"before anybody listens", Status.FINAL, 5), 1)
        self.feed.listen(self.notes)
        self.assertEqual(self.feed.transaction(b"t", Status.ARCHIVED, 6, None, 9), 2)
        self.assertEqual(self.feed.block(9, b"h", 3, True, 7), 3)
        self.assertEqual(
            self.notes.events,
            [
                TransactionChanged(2, b"t", Status.ARCHIVED, 6, None, 9, None),
                BlockApplied(3, 9, b"h", 3, True, 7),
            ],
        )
        self.assertEqual(self.feed.last, 3)

    def test_numbers_go_on_where_they_were(self) -> None:
        self.assertEqual(Feed(41).transaction(b"t", Status.PENDING, 0), 42)

    def test_one_that_fails_is_logged_and_hurts_nobody(self) -> None:
        self.feed.listen(Broken())
        self.feed.listen(self.notes)
        self.feed.transaction(b"t", Status.PENDING, 0)
        self.feed.block(1, b"h", 1, False, 0)
        self.assertEqual([event.number for event in self.notes.events], [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_an_end(self) -> None:
        stop = self.feed.listen(self.notes)
        stop()
        stop()
        self.feed.block(1, b"h", 1, False, 0)
        self.assertEqual(self.notes.events, [])


class ReportsTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.feed, self.notes = Feed(), Notes()
        self.feed.listen(self.notes)
        self.reports = Reports(Clock(), NodeMetrics(), self.feed)

    def statuses(self) -> list[Status]:
        return [event.status for event in self.notes.events if isinstance(event, TransactionChanged)]

    def test_a_certificate_before_its_transaction_waits_for_it(self) -> None:
        solo = Solo(self, Path(mkdtemp(dir=self.mktemp_dir())))
        tx = solo.payment()
        self.reports.add(fx.Report(tx.txid, fx.Change.CERTIFIED), 1)
        self.assertEqual(self.statuses(), [])
        self.feed.body = {tx.txid: tx}.get
        self.reports.admitted(tx, 2)
        self.reports.add(fx.Report(tx.txid, fx.Change.FINAL, 3), 3)
        self.assertEqual(self.statuses(), [Status.PENDING, Status.CERTIFIED, Status.FINAL])
        self.assertEqual({event.tx for event in self.notes.events}, {tx})  # type: ignore[union-attr]

    def mktemp_dir(self) -> str:
        path = Path(self.mktemp())
        path.mkdir(parents=True)
        return str(path)


class WiredTest(SynchronousTestCase):
    """A network of one tells the whole life of a payment."""

    def test_a_payment(self) -> None:
        path = Path(self.mktemp())
        path.mkdir(parents=True)
        solo = Solo(self, path).start()
        notes = Notes()
        solo.reports.feed.listen(notes)
        tx = solo.submit(solo.payment())
        solo.run(1)
        lived = [event for event in notes.events if isinstance(event, TransactionChanged)]
        self.assertEqual([e.status for e in lived], [Status.PENDING, Status.CERTIFIED, Status.FINAL])
        self.assertEqual({event.tx for event in lived}, {tx})
        solo.run(2 * EPOCH_SECONDS)
        lived = [event for event in notes.events if isinstance(event, TransactionChanged)]
        blocks = [event for event in notes.events if isinstance(event, BlockApplied)]
        self.assertEqual(lived[-1].status, Status.ARCHIVED)
        self.assertEqual((lived[-1].tx, lived[-1].height), (tx, 1))
        self.assertEqual([(b.height, b.epoch, b.closing) for b in blocks[:2]], [(1, 1, True), (2, 2, True)])
        self.assertEqual(blocks[0].number, lived[-1].number + 1)
        self.assertEqual([e.number for e in notes.events], list(range(1, len(notes.events) + 1)))


class RestartTest(SynchronousTestCase):
    """What the journal says was told, was told: at the stop, or again after a crash."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.mkdir(parents=True)
        self.solo = Solo(self, path)
        self.notes = Notes()

    def finals(self) -> list[bytes]:
        return [e.txid for e in self.notes.events if isinstance(e, TransactionChanged) and e.status is Status.FINAL]

    def test_what_is_written_at_the_stop_is_told(self) -> None:
        self.solo.start()
        self.solo.reports.feed.listen(self.notes)
        journal = self.solo.disks.made["journal"]
        tx = self.solo.submit(self.solo.payment())
        told: list[bytes] = []
        for _ in range(100):
            if any(report.change is fx.Change.FINAL for report in self.solo.participant._context.outbox._reports):
                break
            self.solo.run(0.01, 0.01)
        journal.held = True
        self.solo.run(0.5)
        told += self.finals()
        self.solo.stop()
        self.assertEqual((told, self.finals()), ([], [tx.txid]))

    def test_after_a_crash_everything_is_told_again(self) -> None:
        self.solo.start()
        final = self.solo.submit(self.solo.payment(0))
        self.solo.run(1)
        self.solo.stop()
        self.solo.start_storage()
        self.solo.make()
        self.solo.reports.feed.listen(self.notes)
        self.solo.consensus.retells = lambda: True
        self.successResultOf(self.solo.consensus.startService())
        self.assertEqual(self.finals(), [final.txid])
        self.assertEqual(len(self.notes.events), 1)
