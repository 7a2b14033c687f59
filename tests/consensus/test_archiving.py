"""What a proposer puts into a block, when epochs end, and the order of group commits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import genesis_coin, genesis_outpoint, spend
from timecoin.consensus.archiving import Room, fill
from timecoin.consensus.effects import Change, Report
from timecoin.consensus.outbox import Outbox
from timecoin.consensus.records import RecordKind, decode_final, decode_record
from timecoin.consensus.schedule import fresh_slot, next_slot
from timecoin.mempool.entry import Entry
from timecoin.primitives.transaction import Transaction, TxInput

PLENTY = Room(1_000_000, 1_000)


def entries(count: int) -> list[Entry]:
    return [Entry(spend([genesis_outpoint(n)]), (genesis_coin(),), 1, 0) for n in range(count)]


def child_of(parent: Entry) -> Entry:
    entry = Entry(spend([parent.tx.outpoint(0)]), (genesis_coin(),), 1, 0)
    entry.parents[parent.txid] = parent
    return entry


class FillTest(SynchronousTestCase):
    def test_owed_first(self) -> None:
        a, b, c = entries(3)
        chosen, complete = fill([a, b, c], {c.txid}, PLENTY)
        self.assertEqual(chosen, [c, a, b])
        self.assertTrue(complete)

    def test_what_does_not_fit(self) -> None:
        several = entries(5)
        owed = {entry.txid for entry in several}
        chosen, complete = fill(several, owed, Room(1_000_000, 3))
        self.assertEqual(chosen, several[:3])
        self.assertFalse(complete)
        chosen, complete = fill(several, owed, Room(2 * several[0].size, 100))
        self.assertEqual(len(chosen), 2)
        self.assertFalse(complete)

    def test_incomplete_holds_owed_only(self) -> None:
        """An interim block that drains the owed leaves no place to others that would delay them."""
        a, b, c = entries(3)
        chosen, complete = fill([a, b, c], {b.txid, c.txid}, Room(1_000_000, 1))
        self.assertEqual(chosen, [b])
        self.assertFalse(complete)

    def test_no_child_without_its_parent(self) -> None:
        (parent,) = entries(1)
        child = child_of(parent)
        self.assertEqual(fill([parent, child], set(), Room(1_000_000, 1))[0], [parent])
        self.assertEqual(fill([child], set(), PLENTY)[0], [])
        # Acked implies that all ancestors are: an owed child whose parent is not owed would not be complete.
        chosen, complete = fill([parent, child], {child.txid}, PLENTY)
        self.assertEqual(chosen, [])
        self.assertFalse(complete)

    def test_owed_that_is_not_at_hand(self) -> None:
        a, b = entries(2)
        chosen, complete = fill([a], {b.txid}, PLENTY)
        self.assertFalse(complete)
        self.assertEqual(chosen, [])

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.integers(0, 12), st.integers(0, 4_000), st.sets(st.integers(0, 11)))
    def test_bounds(self, transactions: int, size: int, owed: set[int]) -> None:
        several = entries(12)
        wanted = {several[n].txid for n in owed}
        chosen, complete = fill(several, wanted, Room(size, transactions))
        self.assertLessEqual(len(chosen), transactions)
        self.assertLessEqual(sum(entry.size for entry in chosen), size)
        self.assertEqual(complete, wanted <= {entry.txid for entry in chosen})
        self.assertEqual(len({entry.txid for entry in chosen}), len(chosen))


class ScheduleTest(SynchronousTestCase):
    def test_next_slot(self) -> None:
        self.assertEqual(next_slot(1_200, 600), 1_800)
        self.assertEqual(next_slot(1_201, 600), 1_800)
        self.assertEqual(next_slot(1_799, 600), 1_800)

    def test_fresh_slot(self) -> None:
        """The largest slot not above the clock, the next one at least: missed slots are skipped."""
        self.assertEqual(fresh_slot(1_000, 1_200, 600), 1_800)
        self.assertEqual(fresh_slot(1_800_000, 1_200, 600), 1_800)
        self.assertEqual(fresh_slot(2_399_999, 1_200, 600), 1_800)
        self.assertEqual(fresh_slot(2_400_000, 1_200, 600), 2_400)
        self.assertEqual(fresh_slot(99_999_000, 1_200, 600), 99_600)


class OutboxTest(SynchronousTestCase):
    def test_order_and_emptiness(self) -> None:
        outbox = Outbox()
        self.assertFalse(outbox)
        tx = spend([genesis_outpoint(1)])
        outbox.body(tx)
        outbox.body(tx)
        outbox.report(Report(tx.txid, Change.FINAL, 17))
        self.assertTrue(outbox)
        tick = outbox.take()
        records = [decode_record(record) for record in tick.records]
        self.assertEqual([record.kind for record in records], [RecordKind.BODY, RecordKind.FINAL])
        self.assertEqual(decode_final(records[1].payload), (tx.txid, 17))
        self.assertEqual(len(tick.reports), 1)
        self.assertFalse(outbox)

    def test_report_without_time_is_not_recorded(self) -> None:
        outbox = Outbox()
        outbox.report(Report(bytes(32), Change.REJECTED, reason="expired"))
        self.assertEqual(outbox.take().records, ())

    def test_each_witness_is_written(self) -> None:
        """A block may hold another witness than mine: who is locked on it must keep that one."""
        outbox = Outbox()
        tx = spend([genesis_outpoint(1)])
        txin = tx.inputs[0]
        other = Transaction(
            2, (TxInput(txin.outpoint, b"", txin.sequence, (b"\x30", b"\x02")),), tx.outputs, 0
        )
        self.assertEqual(tx.txid, other.txid)
        outbox.body(tx)
        outbox.body(other)
        self.assertEqual(len(outbox.take().records), 2)

    def test_written_again_after_rotation(self) -> None:
        outbox = Outbox()
        tx = spend([genesis_outpoint(1)])
        outbox.has_body(tx)
        outbox.body(tx)
        self.assertFalse(outbox)
        outbox.rotate()
        outbox.body(tx)
        self.assertEqual(len(outbox.take().records), 1)
        outbox.forget([tx.wtxid])
        outbox.body(tx)
        self.assertTrue(outbox)
