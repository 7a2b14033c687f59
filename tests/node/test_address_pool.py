"""Unarchived transactions by script, as the feed tells of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import genesis_outpoint, spend
from tests.mempool.test_pool import entry
from timecoin.consensus.status import Status
from timecoin.mempool.entry import Entry
from timecoin.mempool.pool import Pool
from timecoin.node.address_pool import AddressPool
from timecoin.node.feed import TransactionChanged


class AddressPoolTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = Pool(1 << 20)
        self.told: set[bytes] = set()
        self.addresses = AddressPool(self.pool, self.told.__contains__)
        self.entry = entry(spend([genesis_outpoint(0)]))
        self.script = self.entry.tx.outputs[0].script

    def tell(self, status: Status) -> None:
        self.addresses.transaction(TransactionChanged(1, self.entry.txid, status, 0, self.entry.tx, None, None))

    def put(self) -> Entry:
        self.pool.add(self.entry, ())
        return self.entry

    def found(self) -> list[str]:
        return [each.status for each in self.addresses.find([self.script])]

    def test_from_pending_to_archived(self) -> None:
        self.put()
        self.assertEqual(self.found(), [])
        self.tell(Status.PENDING)
        self.assertEqual(self.found(), ["pending"])
        self.tell(Status.ARCHIVED)
        self.assertEqual(self.found(), [])

    def test_final_before_a_restart_is_final_at_once(self) -> None:
        """It is told as final, not as pending, while its acks are not here again."""
        self.told.add(self.entry.txid)
        self.put()
        self.tell(Status.FINAL)
        self.assertEqual(self.found(), ["final"])
