from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import CHAIN_ID, scratch
from timecoin.storage import pending as module
from timecoin.storage.pending import PENDING_NAME, PendingStore, Submitted


def one(i: int, epoch: int = 1) -> Submitted:
    return Submitted(bytes([i]) * 32, epoch, b"raw %d" % i)


class PendingTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self)
        self.store = PendingStore.open(self.path, CHAIN_ID)
        self.addCleanup(lambda: self.store.close())

    def reopen(self) -> None:
        self.store.close()
        self.store = PendingStore.open(self.path, CHAIN_ID)

    def test_kept_in_order_over_restarts(self) -> None:
        self.assertEqual(self.store.add([one(3), one(1, 7)]), 2)
        self.assertEqual(self.store.add([one(2)]), 1)
        for _ in range(2):
            self.assertEqual(list(self.store.items()), [one(3), one(1, 7), one(2)])
            self.assertEqual(self.store.get(one(1).txid), one(1, 7))
            self.assertIsNone(self.store.get(bytes(32)))
            self.assertIn(one(2).txid, self.store)
            self.reopen()

    def test_added_once(self) -> None:
        self.store.add([one(1), one(1)])
        self.assertEqual(self.store.add([one(1, 9), one(2)]), 1)
        self.assertEqual(len(self.store), 2)
        self.assertEqual(self.store.add([]), 0)

    def test_dropped_stays_dropped(self) -> None:
        self.store.add([one(1), one(2)])
        self.assertEqual(self.store.drop([one(1).txid, one(9).txid, one(1).txid]), 1)
        self.assertEqual(self.store.drop([one(1).txid]), 0)
        for _ in range(2):
            self.assertEqual(list(self.store.items()), [one(2)])
            self.reopen()

    def test_resubmitted_after_a_drop(self) -> None:
        self.store.add([one(1)])
        self.store.drop([one(1).txid])
        self.store.add([one(1, 5)])
        self.reopen()
        self.assertEqual(list(self.store.items()), [one(1, 5)])

    def test_compaction_keeps_what_lives(self) -> None:
        self.patch(module, "_COMPACT_ABOVE", 20)
        self.store.add([one(200), one(201)])
        for i in range(60):
            self.store.add([one(i)])
            self.store.drop([one(i).txid])
        self.store.add([one(99)])
        for _ in range(2):
            self.assertEqual(list(self.store.items()), [one(200), one(201), one(99)])
            self.reopen()
        newest = max((self.path / PENDING_NAME).glob("*.fs"))
        self.assertGreater(int(newest.stem), 1)

    def test_damage_is_reported(self) -> None:
        self.store.add([one(1)])
        self.assertIsNone(self.store.damaged)
        self.store.close()
        (self.path / PENDING_NAME / "00000001.fs").write_bytes(b"nonsense")
        self.store = PendingStore.open(self.path, CHAIN_ID)
        self.assertIsNotNone(self.store.damaged)
        self.assertEqual(len(self.store), 0)
