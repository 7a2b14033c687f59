from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import CHAIN_ID, scratch
from timecoin.storage import lease as module
from timecoin.storage.errors import DataDirectoryError, WrongGenesis
from timecoin.storage.journal import JOURNAL_NAME, LEASE_NAME, Journal, Standing
from timecoin.storage.lease import BadLease, Lease, read_lease, write_lease


class LeaseTest(SynchronousTestCase):
    def test_file_round_trip(self) -> None:
        file = scratch(self) / LEASE_NAME
        self.assertIsNone(read_lease(file))
        lease = Lease.after(None)
        write_lease(file, lease)
        self.assertEqual(read_lease(file), lease)

    def test_garbled(self) -> None:
        file = scratch(self) / LEASE_NAME
        for data in (b"", b"timecoin-lease 1 x y\n", b"timecoin-lease 1 1 " + b"0" * 31 + b"\n", b"\0" * 60):
            file.write_bytes(data)
            self.assertRaises(BadLease, read_lease, file)

    def test_behind(self) -> None:
        old, new = Lease(1, bytes(16)), Lease(2, bytes(16))
        self.assertTrue(old.is_behind(new))
        self.assertFalse(new.is_behind(old))
        self.assertFalse(old.is_behind(Lease(1, bytes(16))))
        self.assertTrue(old.is_behind(Lease(1, b"\x01" * 16)))

    def test_after_is_ahead_of_all(self) -> None:
        lease = Lease.after(Lease(4, b""), None, Lease(9, b""))
        self.assertEqual(lease.counter, 10)
        self.assertEqual(len(lease.nonce), 16)
        self.assertNotEqual(lease.nonce, Lease.after(None).nonce)


class JournalTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = scratch(self) / "data"
        self.path.mkdir()
        self.current: Journal | None = None
        self.addCleanup(lambda: self.current and self.kill())

    def start(self) -> Journal:
        self.current = Journal.open(self.path, CHAIN_ID)
        return self.current

    def stop(self) -> None:
        assert self.current is not None
        self.current.close()
        self.current = None

    def kill(self) -> None:
        """As a SIGKILL: the files are let go, no lease is renewed."""
        assert self.current is not None
        self.current._log.close()
        self.current = None

    def settled(self, *records: bytes) -> Journal:
        journal = self.start()
        journal.settle(0)
        if records:
            journal.append(records)
        return journal

    def copy(self, name: str) -> Path:
        source, target = self.path / name, self.path.parent / f"copy of {name}"
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        return target

    def restore(self, name: str, copy: Path) -> None:
        self.remove(name)
        copy.rename(self.path / name)

    def remove(self, name: str) -> None:
        target = self.path / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()


class IntactnessTest(JournalTestCase):
    def test_new_directory_is_fresh_until_settled(self) -> None:
        journal = self.start()
        self.assertEqual((journal.fresh, journal.intact), (True, False))
        self.stop()
        journal = self.start()
        self.assertEqual((journal.fresh, journal.intact), (True, False))
        journal.settle(0)
        self.assertEqual((journal.fresh, journal.intact, journal.barred_through), (False, True, 0))
        self.stop()
        journal = self.start()
        self.assertEqual((journal.fresh, journal.intact), (False, True))

    def test_stop_and_start(self) -> None:
        self.settled(b"a")
        for _ in range(3):
            self.stop()
            journal = self.start()
            self.assertTrue(journal.intact)
            self.assertEqual(list(journal.replay()), [b"a"])

    def test_kill_and_start(self) -> None:
        self.settled(b"a")
        for _ in range(3):
            self.kill()
            journal = self.start()
            self.assertTrue(journal.intact)
            self.assertEqual(list(journal.replay()), [b"a"])

    def test_old_copy_of_the_journal(self) -> None:
        self.settled(b"a")
        self.stop()
        copy = self.copy(JOURNAL_NAME)
        self.start().append([b"b"])
        self.kill()
        self.restore(JOURNAL_NAME, copy)
        journal = self.start()
        self.assertEqual(journal.standing, Standing.DOUBTFUL)
        self.assertIn("old copy", journal.reason)

    def test_copy_made_while_running_restored_after_the_stop(self) -> None:
        self.settled(b"a")
        copy = self.copy(JOURNAL_NAME)
        assert self.current is not None
        self.current.append([b"b"])
        self.stop()
        self.restore(JOURNAL_NAME, copy)
        self.assertFalse(self.start().intact)

    def test_copy_made_before_a_rotation(self) -> None:
        self.settled(b"a")
        copy = self.copy(JOURNAL_NAME)
        assert self.current is not None
        self.current.rotate([b"a"])
        self.kill()
        self.restore(JOURNAL_NAME, copy)
        self.assertFalse(self.start().intact)

    def test_newest_segment_gone(self) -> None:
        self.settled(b"a").rotate([b"a"])
        self.kill()
        (self.path / JOURNAL_NAME / "00000002.fs").unlink()
        self.assertFalse(self.start().intact)

    def test_newest_segment_emptied(self) -> None:
        self.settled(b"a").rotate([b"a"])
        self.kill()
        (self.path / JOURNAL_NAME / "00000002.fs").write_bytes(b"")
        self.assertFalse(self.start().intact)

    def test_two_lines_of_renewals(self) -> None:
        """
        A copy of the whole directory that ran as often as the original has the same counter, not the same
        number.
        """
        self.settled(b"a")
        self.stop()
        copy = self.copy(JOURNAL_NAME)
        original = self.path
        self.path = self.path.parent / "clone"
        shutil.copytree(original, self.path)
        self.start()
        self.kill()
        lease = self.copy(LEASE_NAME)
        self.path = original
        self.start()
        self.kill()
        copy.rename(copy.with_name("unused"))
        self.restore(LEASE_NAME, lease)
        self.assertFalse(self.start().intact)

    def test_journal_missing(self) -> None:
        self.settled(b"a")
        self.stop()
        self.remove(JOURNAL_NAME)
        journal = self.start()
        self.assertEqual((journal.intact, journal.fresh), (False, False))
        self.assertIn("gone", journal.reason)
        self.assertEqual(list(journal.replay()), [])

    def test_lease_file_missing(self) -> None:
        self.settled(b"a")
        self.stop()
        self.remove(LEASE_NAME)
        journal = self.start()
        self.assertEqual((journal.intact, journal.fresh), (False, False))
        self.assertIn("missing", journal.reason)
        self.assertTrue((self.path / LEASE_NAME).exists())

    def test_lease_file_garbled(self) -> None:
        self.settled(b"a")
        self.stop()
        (self.path / LEASE_NAME).write_bytes(b"?")
        self.assertFalse(self.start().intact)

    def test_both_missing_is_a_new_directory(self) -> None:
        self.settled(b"a")
        self.stop()
        self.remove(LEASE_NAME)
        self.remove(JOURNAL_NAME)
        self.assertTrue(self.start().fresh)

    def test_cut_off_between_creation_and_first_lease_file(self) -> None:
        self.start()
        self.kill()
        self.remove(LEASE_NAME)
        self.assertTrue(self.start().fresh)

    def test_fresh_with_records_and_no_lease_file_is_doubtful(self) -> None:
        self.start().append([b"a"])
        self.kill()
        self.remove(LEASE_NAME)
        self.assertEqual(self.start().standing, Standing.DOUBTFUL)

    def test_cut_off_between_journal_and_lease_file(self) -> None:
        self.settled(b"a")
        self.stop()

        def crash(*arguments: object) -> None:
            raise OSError(5, "Input/output error")

        patch = self.patch(module, "write_lease", crash)
        self.assertRaises(DataDirectoryError, Journal.open, self.path, CHAIN_ID)
        patch.restore()
        self.assertTrue(self.start().intact)

    def test_damaged(self) -> None:
        self.settled(b"a" * 500, b"b")
        self.stop()
        file = self.path / JOURNAL_NAME / "00000001.fs"
        data = file.read_bytes()
        at = data.index(b"aaaa") + 50
        file.write_bytes(data[:at] + b"!" + data[at + 1 :])
        journal = self.start()
        self.assertEqual((journal.intact, journal.fresh), (False, False))
        self.assertIn("damaged", journal.reason)
        self.assertNotIn("\n", journal.reason)
        self.assertEqual(list(journal.replay()), [])

    def test_torn_tail(self) -> None:
        journal = self.settled(b"a")
        file = self.path / JOURNAL_NAME / "00000001.fs"
        whole = file.stat().st_size
        journal.append([b"b" * 300])
        self.kill()
        with file.open("r+b") as stream:
            stream.truncate(whole + 100)
        journal = self.start()
        self.assertTrue(journal.intact)
        self.assertEqual(list(journal.replay()), [b"a"])


class DoubtTest(JournalTestCase):
    def doubtful(self) -> Journal:
        self.settled(b"a")
        self.stop()
        self.remove(LEASE_NAME)
        return self.start()

    def test_doubt_outlasts_restarts_until_settled(self) -> None:
        self.doubtful()
        for end in (self.stop, self.kill):
            end()
            journal = self.start()
            self.assertEqual((journal.intact, journal.fresh), (False, False))
            self.assertIn("missing", journal.reason)
        journal.settle(17)
        self.assertEqual((journal.intact, journal.barred_through, journal.reason), (True, 17, ""))
        self.stop()
        journal = self.start()
        self.assertEqual((journal.intact, journal.barred_through), (True, 17))

    def test_bar_is_never_lowered_but_by_the_operator(self) -> None:
        journal = self.doubtful()
        journal.settle(17)
        journal.distrust("peer 02ab showed a bundle of ours that is not here")
        self.assertEqual((journal.intact, journal.barred_through), (False, 17))
        journal.settle(5)
        self.assertEqual(journal.barred_through, 17)
        journal.sign_anyway()
        self.assertEqual((journal.intact, journal.barred_through), (True, 0))
        self.stop()
        self.assertEqual(self.start().barred_through, 0)

    def test_bar_passes_to_the_next_segment(self) -> None:
        journal = self.doubtful()
        journal.settle(17)
        journal.rotate([])
        self.kill()
        journal = self.start()
        self.assertEqual((journal.intact, journal.barred_through), (True, 17))


class RecordTest(JournalTestCase):
    def test_positions_across_a_rotation(self) -> None:
        journal = self.settled()
        old = journal.append([b"vote", b"precommit"])
        new = journal.rotate([b"precommit"])
        self.assertEqual(journal.append([b"next"]), new + 1)
        self.assertEqual(journal.read(old), b"vote")
        self.assertEqual(journal.read(new), b"precommit")
        self.assertEqual(list(journal.entries()), [(new, b"precommit"), (new + 1, b"next")])
        journal.rotate([])
        self.stop()
        self.assertEqual(len(list((self.path / JOURNAL_NAME).glob("*.fs"))), 2)

    def test_nothing_to_append(self) -> None:
        self.assertRaises(ValueError, self.start().append, [])

    def test_other_network(self) -> None:
        self.start()
        self.stop()
        self.assertRaises(WrongGenesis, Journal.open, self.path, bytes(32))
