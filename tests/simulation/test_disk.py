"""Disks that are lost, damaged or restored, and what the real journal makes of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.params import Parameters
from timecoin.ledger.tiers import Tier
from timecoin.simulation.chance import Chance
from timecoin.simulation.disk import Disk
from timecoin.simulation.genesis import make_genesis
from timecoin.storage.errors import UnknownPosition
from timecoin.storage.journal import Standing

GENESIS = make_genesis([Tier.GOLD] * 4, 2, Parameters.for_epoch_seconds(4))


class DiskTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.disk = Disk(GENESIS, Chance(1).data)
        self.disk.open().settle(0)
        self.disk.journal.append([b"one", b"two"])

    def standing(self) -> Standing:
        return self.disk.open().standing

    def test_a_restart_finds_everything(self) -> None:
        self.assertEqual(self.standing(), Standing.INTACT)
        self.assertEqual(list(self.disk.journal.replay()), [b"one", b"two"])

    def test_an_empty_directory_is_fresh(self) -> None:
        self.disk.format()
        self.assertEqual(self.standing(), Standing.FRESH)
        self.assertEqual(list(self.disk.journal.replay()), [])

    def test_an_old_copy_is_found_out(self) -> None:
        copy = self.disk.backup()
        self.disk.open()
        self.disk.journal.append([b"three"])
        self.disk.restore(copy)
        self.assertEqual(self.standing(), Standing.DOUBTFUL)
        self.assertEqual(list(self.disk.journal.replay()), [b"one", b"two"])

    def test_a_lost_journal_is_found_out_by_its_lease(self) -> None:
        self.disk.lose_journal(lease=False)
        self.assertEqual(self.standing(), Standing.DOUBTFUL)

    def test_a_lost_journal_and_lease_are_as_a_new_directory(self) -> None:
        self.disk.lose_journal(lease=True)
        self.assertEqual(self.standing(), Standing.FRESH)

    def test_damage_is_found_out_once(self) -> None:
        self.disk.log.damage()
        self.assertEqual(self.standing(), Standing.DOUBTFUL)
        self.disk.journal.settle(3)
        self.assertEqual(self.standing(), Standing.INTACT)
        self.assertEqual(self.disk.journal.barred_through, 3)

    def test_a_copy_is_not_reached_by_later_writes(self) -> None:
        copy = self.disk.backup()
        self.disk.journal.append([b"three"])
        self.assertEqual([record for _, record in copy.log.entries()], [b"one", b"two"])

    def test_two_segments_can_be_read(self) -> None:
        journal = self.disk.journal
        first = journal.append([b"three"])
        journal.rotate([b"carried"])
        self.assertEqual(journal.read(first), b"three")
        journal.rotate([])
        self.assertRaises(UnknownPosition, journal.read, first)
        self.assertRaises(UnknownPosition, journal.read, first + 100)
