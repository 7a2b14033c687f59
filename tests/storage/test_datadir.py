from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.samples import scratch
from timecoin.storage.datadir import GENESIS_NAME, DataDirectory
from timecoin.storage.errors import DataDirectoryError, DataDirectoryLocked, WrongGenesis

HOLD = """
import sys, time
from timecoin.storage.datadir import DataDirectory
DataDirectory(sys.argv[1]).open()
print("held", flush=True)
time.sleep(60)
"""


class LockTest(SynchronousTestCase):
    def holder(self, path: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        assert child.stdout is not None
        self.addCleanup(child.stdout.close)
        self.assertEqual(child.stdout.readline(), b"held\n")
        return child

    def test_second_process_is_refused_and_told_by_whom(self) -> None:
        path = scratch(self) / "data"
        child = self.holder(str(path))
        error = self.assertRaises(DataDirectoryLocked, DataDirectory(path).open)
        self.assertIn(str(child.pid), str(error))
        self.assertNotIn("\n", str(error))

    def test_kill_releases(self) -> None:
        path = scratch(self) / "data"
        child = self.holder(str(path))
        child.send_signal(signal.SIGKILL)
        child.wait()
        with DataDirectory(path):
            self.assertRaises(DataDirectoryLocked, DataDirectory(path).open)

    def test_lock_file_with_the_number_of_a_living_process_is_no_lock(self) -> None:
        path = scratch(self) / "data"
        with DataDirectory(path) as directory:
            lock = next(path.glob("*.lock"))
        lock.write_text(f"{os.getppid()}\n")
        with directory:
            self.assertEqual(int(lock.read_text()), os.getpid())

    def test_close_twice(self) -> None:
        directory = DataDirectory(scratch(self)).open()
        directory.close()
        directory.close()

    def test_created_for_the_owner_only(self) -> None:
        path = scratch(self) / "a" / "b"
        with DataDirectory(path):
            self.assertEqual(path.stat().st_mode & 0o777, 0o700)

    def test_not_a_directory(self) -> None:
        path = scratch(self) / "file"
        path.write_bytes(b"")
        error = self.assertRaises(DataDirectoryError, DataDirectory(path).open)
        self.assertNotIn("\n", str(error))


class BindingTest(SynchronousTestCase):
    def test_other_network_is_refused(self) -> None:
        with DataDirectory(scratch(self)) as directory:
            directory.bind(bytes(32))
            directory.bind(bytes(32))
            error = self.assertRaises(WrongGenesis, directory.bind, b"\x01" + bytes(31))
            self.assertIn("00" * 31 + "01", str(error))

    def test_garbled_binding_is_refused(self) -> None:
        with DataDirectory(scratch(self)) as directory:
            directory.write(GENESIS_NAME, b"\xff\n")
            self.assertRaises(WrongGenesis, directory.bind, bytes(32))


class SmallFileTest(SynchronousTestCase):
    def test_replace(self) -> None:
        with DataDirectory(scratch(self)) as directory:
            self.assertIsNone(directory.read("note"))
            directory.write("note", b"one")
            directory.write("note", b"two")
            self.assertEqual(directory.read("note"), b"two")
            self.assertEqual([path.name for path in directory.path.glob("note*")], ["note"])
            self.assertEqual(directory.file("note").stat().st_mode & 0o777, 0o600)

    def test_failure_keeps_the_old_content(self) -> None:
        with DataDirectory(scratch(self)) as directory:
            directory.write("note", b"one")

            def full(*arguments: object) -> None:
                raise OSError(28, "No space left on device")

            self.patch(os, "replace", full)
            error = self.assertRaises(DataDirectoryError, directory.write, "note", b"two")
            self.assertIn("No space left", str(error))
            self.assertEqual(directory.read("note"), b"one")
            self.assertEqual(len(list(directory.path.glob("note*"))), 1)

    def test_names_stay_inside(self) -> None:
        with DataDirectory(scratch(self)) as directory:
            for name in ("", ".", "..", "a/b", "../x", "a\0"):
                self.assertRaises(ValueError, directory.file, name)
