"""The event log as a service: written before it is told, a disk that fails, what is told again at a start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from tests.node.fakes import Pools, ThreadClock
from tests.node.solo import EPOCH_SECONDS, Solo
from timecoin.consensus.status import Status
from timecoin.node import event_service as module
from timecoin.node.event_pages import EventPages
from timecoin.node.event_service import EventService, ScriptsOf
from timecoin.node.feed import Feed, TransactionChanged
from timecoin.node.reports import Reports
from timecoin.ops.metrics import NodeMetrics
from timecoin.primitives.block import Block
from timecoin.storage.errors import UnknownBlock, WriteFailed
from timecoin.storage.event_log import RESERVE, NotHeld
from timecoin.storage.event_record import BlockRecord, EventRecord, TransactionRecord


class Chain:
    """Blocks by height."""

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {}
        self.ledger_height = 0

    def block(self, height: int) -> Deferred[Block]:
        return succeed(self.blocks[height]) if height in self.blocks else fail(UnknownBlock(str(height)))


class Heard:
    """What is published."""

    def __init__(self) -> None:
        self.records: list[EventRecord] = []
        self.restarts = 0

    def published(self, records: Any) -> None:
        self.records += records

    def restarted(self) -> None:
        self.restarts += 1


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir(parents=True)
        self.clock, self.chain = ThreadClock(), Chain()
        self.start()

    def start(self) -> None:
        self.pools = Pools(self, module)
        self.feed, self.heard = Feed(), Heard()
        self.service = EventService(
            self.clock, self.path / "events", self.feed, self.chain, lambda: 77, max_bytes=1 << 20, max_events=10_000
        )
        self.successResultOf(self.service.startService())
        self.service.listen(self.heard)
        self.clock.pump([0.02] * 3)

    def stop(self) -> None:
        self.successResultOf(self.service.stopService())

    def crash(self) -> None:
        """The process is gone: nothing is closed."""
        self.service._log._close_file()

    def tell(self, name: bytes = b"t", status: Status = Status.FINAL) -> int:
        number = self.feed.transaction(name * 32, status, 5)
        self.clock.pump([0.02] * 2)
        return number

    @property
    def numbers(self) -> list[int]:
        return [record.number for record in self.heard.records]


class WriteTest(ServiceTestCase):
    def test_told_after_it_is_written(self) -> None:
        self.pools["events"].held = True
        self.tell()
        self.assertEqual((self.numbers, self.service.held.last), ([], 0))
        self.pools["events"].held = False
        self.pools["events"].run()
        self.assertEqual((self.numbers, self.service.held.last), ([1], 1))
        read = self.successResultOf(self.service.read(0))
        self.assertEqual(read.records, self.heard.records)

    def test_events_gather(self) -> None:
        self.feed.transaction(b"t" * 32, Status.FINAL, 5)
        self.feed.block(1, b"h" * 32, 1, True, 6)
        self.assertEqual(self.numbers, [])
        self.clock.pump([0.02] * 2)
        self.assertEqual(
            self.heard.records,
            [TransactionRecord(1, 5, b"t" * 32, "final", None, None, ()), BlockRecord(2, 6, b"h" * 32, 1, 1, True)],
        )

    def test_a_disk_that_fails_for_a_while(self) -> None:
        real = self.service._log.append
        self.patch(self.service._log, "append", self._fails)
        self.tell()
        self.tell()
        self.assertEqual(self.numbers, [])
        self.patch(self.service._log, "append", real)
        self.clock.pump([0.5] * 12)
        self.assertEqual((self.numbers, self.heard.restarts), ([1, 2], 0))

    def test_a_disk_that_fails_for_long(self) -> None:
        """The stream ends; what comes then has higher numbers."""
        before = self.service.held.stream
        real = self.service._log.append
        self.patch(module, "MAX_QUEUE", 3)
        self.patch(self.service._log, "append", self._fails)
        for _ in range(5):
            self.tell()
            self.clock.pump([0.5] * 12)
        self.patch(self.service._log, "append", real)
        self.tell()
        self.clock.pump([0.5] * 12)
        self.assertEqual(self.heard.restarts, 1)
        self.assertNotEqual(self.service.held.stream, before)
        self.assertEqual(self.service.held.last, 6)
        self.assertEqual(self.numbers, list(range(self.service.held.first, 7)))
        self.failureResultOf(self.service.read(0), NotHeld)

    def _fails(self, records: Any) -> None:
        raise WriteFailed("disk full")

    def test_scripts_are_remembered_until_it_is_settled(self) -> None:
        tx = builders.Chain(builders.network(1, accounts=1)).payment(builders.account(0), builders.key("x"), 10**8)
        scripts = ScriptsOf(limit=5)

        def event(status: Status, known: bool, txid: bytes = tx.txid) -> TransactionChanged:
            return TransactionChanged(1, txid, status, 0, tx if known else None)

        expected = scripts(event(Status.PENDING, True))
        self.assertTrue(expected)
        self.assertEqual(scripts(event(Status.FINAL, False)), expected)
        self.assertEqual(scripts(event(Status.REJECTED, False)), expected)
        self.assertEqual((scripts(event(Status.REJECTED, False)), len(scripts)), ((), 0))
        self.assertEqual(scripts(event(Status.ARCHIVED, True)), expected)
        for number in range(20):
            scripts(event(Status.PENDING, True, bytes([number]) * 32))
        self.assertLessEqual(len(scripts), 5)


class StartTest(ServiceTestCase):
    def blocks(self) -> list[Block]:
        solo_path = self.path / "solo"
        solo_path.mkdir()
        solo = Solo(self, solo_path).start()
        self.paid = solo.submit(solo.payment())
        solo.run(2.5 * EPOCH_SECONDS)
        found = []
        for height in (1, 2):
            block = solo.storage.block(height)
            solo.run(0.1)
            found.append(self.successResultOf(block))
        solo.stop()
        return found

    def test_after_a_clean_end_nothing_is_told_again(self) -> None:
        self.tell()
        self.stop()
        self.start()
        self.assertEqual((self.service.held.first, self.service.held.last, self.feed.last), (1, 1, 1))
        self.assertEqual((self.service.retell, self.numbers), (False, []))
        self.tell()
        self.assertEqual(self.numbers, [2])

    def test_after_a_crash_numbers_jump_and_the_pool_is_told_again(self) -> None:
        self.tell()
        self.crash()
        self.start()
        self.assertTrue(self.service.retell)
        self.tell()
        self.assertEqual(self.numbers, [RESERVE + 1])
        read = self.successResultOf(self.service.read(0))
        self.assertEqual([record.number for record in read.records], [1, RESERVE + 1])

    def test_blocks_that_the_log_lacks_are_told_again(self) -> None:
        blocks = self.blocks()
        self.chain.blocks = {block.header.height: block for block in blocks}
        self.chain.ledger_height = 2
        self.crash()
        self.start()
        told = self.successResultOf(self.service.read(0)).records
        self.assertEqual(
            [(r.status, r.height) if isinstance(r, TransactionRecord) else r.height for r in told],
            [("archived", 1), 1, 2],
        )
        self.assertEqual(told[0].txid, self.paid.txid)  # type: ignore[union-attr]
        self.assertTrue(told[0].scripts)  # type: ignore[union-attr]
        self.stop()
        self.start()
        self.assertFalse(self.service.retell)
        self.assertEqual(self.service.held.last, self.feed.last)

    def test_too_much_is_missing(self) -> None:
        self.tell()
        before = self.service.held.stream
        self.stop()
        self.chain.ledger_height = 1_000
        self.start()
        self.assertNotEqual(self.service.held.stream, before)
        self.assertEqual((self.service.held.first, self.service.held.last), (2, 1))
        self.assertFalse(self.service.retell)

    def test_pages_of_the_life_before(self) -> None:
        for name in (b"a", b"b", b"c"):
            self.tell(name, Status.PENDING)
            self.tell(name)
        self.stop()
        self.start()
        reports = Reports(self.clock, NodeMetrics(), self.feed)
        pages = EventPages(reports, self.service)
        page = self.successResultOf(pages.poll(0, 2, 0))
        self.assertEqual([(e.number, e.txid[:1]) for e in page.events], [(2, b"a"), (4, b"b")])
        self.assertEqual((page.first, page.missed), (1, False))
        page = self.successResultOf(pages.poll(4, 2, 0))
        self.assertEqual([event.number for event in page.events], [6])
        self.assertEqual(self.successResultOf(pages.poll(6, 2, 0)).events, ())
