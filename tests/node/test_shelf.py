"""The bundles of the open epoch, kept for peers that lack them; and signer masks on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.node.masks import from_wire, to_wire
from timecoin.node.shelf import BundleShelf
from timecoin.p2p.messages import MAX_BUNDLES


class ShelfTest(SynchronousTestCase):
    def shelf(self, count: int = 5, size: int = 10, limit: int = 1_000) -> BundleShelf:
        shelf = BundleShelf(limit)
        for number in range(1, count + 1):
            shelf.add(2, number, bytes([number % 256]) * size)
        return shelf

    def test_after(self) -> None:
        shelf = self.shelf()
        self.assertEqual([number for number, _ in shelf.after(2, 0, 1_000)], [1, 2, 3, 4, 5])
        self.assertEqual([number for number, _ in shelf.after(2, 3, 1_000)], [4, 5])
        self.assertEqual(list(shelf.after(2, 5, 1_000)), [])
        self.assertEqual(list(shelf.after(3, 0, 1_000)), [])

    def test_limited_by_bytes(self) -> None:
        self.assertEqual([number for number, _ in self.shelf().after(2, 0, 25)], [1, 2])

    def test_one_at_least(self) -> None:
        """A bundle larger than the batch is sent all the same, or nobody could ever get beyond it."""
        self.assertEqual([number for number, _ in self.shelf().after(2, 1, 3)], [2])

    def test_no_more_than_one_message_takes(self) -> None:
        shelf = self.shelf(count=MAX_BUNDLES + 10, size=1, limit=1 << 20)
        self.assertEqual(len(list(shelf.after(2, 0, 1 << 20))), MAX_BUNDLES)

    def test_stops_at_a_gap(self) -> None:
        shelf = BundleShelf(1_000)
        shelf.add(2, 1, b"a")
        shelf.add(2, 3, b"c")
        self.assertEqual(list(shelf.after(2, 0, 100)), [(1, b"a")])

    def test_oldest_leave_memory_for_the_journal(self) -> None:
        shelf = self.shelf(limit=25)
        self.assertIsNone(shelf.get(2, 3))
        self.assertEqual(shelf.get(2, 4), b"\x04" * 10)
        self.assertEqual(list(shelf.after(2, 0, 100)), [])
        for number in range(1, 6):
            shelf.journaled(2, number, 100 + number)
        found = list(shelf.after(2, 0, 100_000))
        self.assertEqual([number for number, _ in found], [1, 2, 3, 4, 5])
        self.assertEqual([encoded is None for _, encoded in found], [True, True, True, False, False])
        self.assertEqual(shelf.position(2, 2), 102)

    def test_the_same_twice(self) -> None:
        shelf = self.shelf(count=2, limit=25)
        shelf.add(2, 2, b"another")
        self.assertEqual(shelf.get(2, 2), b"\x02" * 10)

    def test_clear(self) -> None:
        shelf = self.shelf()
        shelf.journaled(2, 1, 7)
        shelf.clear()
        self.assertIsNone(shelf.get(2, 1))
        self.assertIsNone(shelf.position(2, 1))
        self.assertEqual(shelf.highest, {})


class MasksTest(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for mask in (0, 1, 0x80, 0x100, (1 << 100) - 1, 1 << 99):
            self.assertEqual(from_wire(to_wire(mask)), mask)
        self.assertEqual(to_wire(0), b"")
        self.assertEqual(to_wire(0x102), b"\x02\x01")
        self.assertEqual(from_wire(b"\x02\x01\x00\x00"), 0x102)
