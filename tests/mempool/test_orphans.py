from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import VALUE, genesis_outpoint, spend
from timecoin.mempool import orphans
from timecoin.mempool.orphans import Orphans
from timecoin.primitives.transaction import Transaction


def orphan(n: int) -> tuple[Transaction, bytes]:
    """A transaction and the unknown parent that it waits for."""
    parent = spend([genesis_outpoint(n)])
    return spend([parent.outpoint(0)], value=VALUE // 3), parent.txid


class OrphanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.orphans = Orphans()

    def test_taken_by_either_parent_once(self) -> None:
        one, two = spend([genesis_outpoint(0)]), spend([genesis_outpoint(1)])
        child = spend([one.outpoint(0), two.outpoint(0)], value=VALUE // 3)
        self.orphans.add(child, (one.txid, two.txid), b"peer")
        self.orphans.add(child, (one.txid, two.txid), b"another")
        self.assertEqual(len(self.orphans), 1)
        (found,) = self.orphans.take(two.txid)
        self.assertEqual((found.tx, found.source), (child, b"peer"))
        self.assertEqual((self.orphans.take(one.txid), self.orphans.bytes), ([], 0))

    def test_each_source_pushes_out_its_own_oldest_only(self) -> None:
        victim, parent = orphan(0)
        self.orphans.add(victim, (parent,), b"honest")
        for n in range(1, orphans.MAX_PER_SOURCE + 20):
            tx, missing = orphan(n)
            self.orphans.add(tx, (missing,), b"flood")
        self.assertEqual(len(self.orphans), orphans.MAX_PER_SOURCE + 1)
        self.assertIn(victim.txid, self.orphans)
        self.assertNotIn(orphan(1)[0].txid, self.orphans)
        self.assertIn(orphan(orphans.MAX_PER_SOURCE + 19)[0].txid, self.orphans)

    def test_bounded_by_bytes(self) -> None:
        size = orphan(0)[0].size
        with patch.object(orphans, "MAX_BYTES_PER_SOURCE", 3 * size + 10):
            for n in range(10):
                tx, missing = orphan(n)
                self.orphans.add(tx, (missing,), b"peer")
        self.assertLessEqual(self.orphans.bytes, 3 * size + 10)
        with patch.object(orphans, "MAX_BYTES", size):
            tx, missing = orphan(20)
            self.orphans.add(tx, (missing,), b"other")
        self.assertEqual([20], [n for n in range(30) if orphan(n)[0].txid in self.orphans])

    def test_a_source_that_goes_away(self) -> None:
        for n in range(4):
            tx, missing = orphan(n)
            self.orphans.add(tx, (missing,), b"left" if n % 2 else b"stays")
        self.orphans.forget_source(b"left")
        self.orphans.forget_source(b"never seen")
        self.assertEqual(len(self.orphans), 2)
        self.assertEqual(self.orphans.take(orphan(1)[1]), [])
        self.assertEqual(len(self.orphans.take(orphan(2)[1])), 1)
