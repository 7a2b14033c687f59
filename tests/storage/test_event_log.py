"""The event log: what is written comes back, what a crash cuts off is known, numbers are never used twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from timecoin.storage import event_log as module
from timecoin.storage.errors import Damaged, WriteFailed
from timecoin.storage.event_log import RESERVE, EventLog, NotHeld, Place
from timecoin.storage.event_record import BlockRecord, EventRecord, TransactionRecord


def change(number: int, scripts: int = 1) -> TransactionRecord:
    return TransactionRecord(
        number,
        1_000 + number,
        number.to_bytes(32, "little"),
        "final",
        None,
        None,
        tuple([bytes([0, 20]) + index.to_bytes(20, "big") for index in range(scripts)]),
    )


def block(number: int, height: int) -> BlockRecord:
    return BlockRecord(number, 1_000 + number, b"h" * 32, height, 1, False)


class LogTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.logs = 0

    def open(self, **given: Any) -> EventLog:
        settings = {"max_bytes": 1 << 20, "max_events": 10_000, "height": 7}
        log = EventLog.open(self.path / "events", **(settings | given), random=self.random)
        self.addCleanup(log._close_file)
        return log

    def random(self, count: int) -> bytes:
        self.logs += 1
        return bytes([self.logs]) * count

    def crash(self, log: EventLog) -> None:
        log._close_file()

    def numbers(self, log: EventLog, after: int = 0) -> list[int]:
        found: list[int] = []
        place: Place | None = None
        while after < log.last:
            chunk = log.read(after, place, 3)
            found += [record.number for record in chunk.records]
            after, place = chunk.through, chunk.place
        return found

    def files(self) -> list[Path]:
        return sorted((self.path / "events").glob("*.events"))


class WriteAndReadTest(LogTestCase):
    def test_a_new_one(self) -> None:
        log = self.open()
        self.assertEqual((log.first, log.last, log.new, log.torn, log.height), (1, 0, True, False, 7))
        self.assertEqual(log.read(0).records, [])
        self.assertEqual(oct((self.path / "events").stat().st_mode)[-3:], "700")
        self.assertEqual(oct(self.files()[0].stat().st_mode)[-3:], "600")

    def test_records_come_back(self) -> None:
        log = self.open()
        records: list[EventRecord] = [change(1), block(2, 8), change(3, 0)]
        log.append(records)
        chunk = log.read(0)
        self.assertEqual((chunk.records, chunk.through), (records, 3))
        self.assertEqual((log.height, log.first, log.last), (8, 1, 3))
        self.assertEqual([record.number for record in log.read(1).records], [2, 3])

    def test_in_pieces(self) -> None:
        log = self.open()
        for number in range(1, 40, 2):
            log.append([change(number), change(number + 1)])
        self.assertEqual(self.numbers(log), list(range(1, 41)))
        self.assertEqual(self.numbers(log, 17), list(range(18, 41)))

    def test_a_place_of_a_reading_before(self) -> None:
        log = self.open()
        log.append([change(1), change(2)])
        chunk = log.read(0)
        log.append([change(3)])
        self.assertEqual([record.number for record in log.read(2, chunk.place).records], [3])
        self.assertEqual([record.number for record in log.read(0).records], [1, 2, 3])

    def test_large_batches_stand_in_several_frames(self) -> None:
        log = self.open()
        log.append([change(number, 3_000) for number in range(1, 9)])
        self.assertEqual([record.number for record in log.read(0, None, 1).records], [1, 2, 3])
        self.assertEqual(self.numbers(log), list(range(1, 9)))

    def test_numbers_that_are_not_held(self) -> None:
        log = self.open()
        log.append([change(1)])
        error = self.assertRaises(NotHeld, log.read, 2)
        self.assertEqual((error.first, error.last), (1, 1))


class BoundsTest(LogTestCase):
    def fill(self, log: EventLog, count: int = 400) -> None:
        for number in range(log.last + 1, log.last + 1 + count):
            log.append([change(number)])

    def check(self, log: EventLog) -> None:
        self.assertEqual(log.first, int(self.files()[0].name[:20]))
        self.assertEqual(self.numbers(log, log.first - 1), list(range(log.first, log.last + 1)))
        error = self.assertRaises(NotHeld, log.read, log.first - 2)
        self.assertEqual(error.first, log.first)
        self.assertEqual(log.size, sum(path.stat().st_size for path in self.files()))

    def test_bytes(self) -> None:
        log = self.open(max_bytes=16_000)
        self.fill(log)
        self.assertLessEqual(log.size, 16_000)
        self.assertGreater(log.size, 14_000)
        self.check(log)

    def test_count(self) -> None:
        log = self.open(max_events=64)
        self.fill(log)
        self.assertTrue(60 <= log.last - log.first + 1 <= 64)
        self.check(log)
        log.close()
        again = self.open(max_events=64)
        self.assertEqual((again.first, again.last), (log.first, log.last))
        self.fill(again, 3)
        self.check(again)

    def test_a_place_in_a_file_that_is_gone(self) -> None:
        log = self.open(max_events=64)
        self.fill(log, 10)
        place = log.read(0, None, 2).place
        self.fill(log, 100)
        self.assertRaises(NotHeld, log.read, 2, place)
        self.assertEqual(log.read(log.last - 1, place).records, [change(log.last)])


class RestartTest(LogTestCase):
    def test_closed_and_opened(self) -> None:
        log = self.open()
        log.append([change(1), block(2, 9)])
        log.close()
        again = self.open()
        self.assertEqual((again.stream, again.first, again.last, again.height), (log.stream, 1, 2, 9))
        self.assertFalse(again.torn or again.new)
        again.append([change(3)])
        self.assertEqual(self.numbers(again), [1, 2, 3])
        again.close()
        self.assertEqual(self.numbers(self.open()), [1, 2, 3])

    def test_a_killed_process_loses_nothing_that_was_written(self) -> None:
        log = self.open()
        log.append([change(1), change(2)])
        self.crash(log)
        again = self.open()
        self.assertTrue(again.torn)
        self.assertEqual((again.stream, again.first, again.last), (log.stream, 1, RESERVE))
        again.append([change(RESERVE + 1)])
        self.assertEqual(self.numbers(again), [1, 2, RESERVE + 1])
        self.assertEqual(self.numbers(again, 2), [RESERVE + 1])
        self.assertEqual(self.numbers(again, 700), [RESERVE + 1])
        again.close()
        third = self.open()
        self.assertFalse(third.torn)
        self.assertEqual(self.numbers(third), [1, 2, RESERVE + 1])

    def test_numbers_that_were_told_are_never_used_again(self) -> None:
        """Whatever the machine forgets of the files: what was reserved is on disk before."""
        log = self.open()
        log.append([change(1)])
        size = self.files()[0].stat().st_size
        log.append([change(RESERVE), change(RESERVE + 1)])
        self.crash(log)
        os.truncate(self.files()[0], size)
        again = self.open()
        self.assertGreater(again.last, RESERVE + 1)

    def test_nothing_told_after_a_crash_is_no_crash_next_time(self) -> None:
        self.crash(self.open())
        self.open().close()
        self.assertFalse(self.open().torn)

    def test_what_is_cut_in_the_middle_of_a_frame(self) -> None:
        log = self.open()
        for number in (1, 2, 3):
            log.append([change(number)])
        log.close()
        os.truncate(self.files()[0], self.files()[0].stat().st_size - 1)
        again = self.open()
        self.assertTrue(again.torn)
        self.assertEqual(self.numbers(again), [1, 2])

    def test_what_stands_behind_a_hole_is_given_up(self) -> None:
        log = self.open(max_events=64)
        for number in range(1, 21):
            log.append([change(number)])
        log.close()
        files = self.files()
        data = bytearray(files[1].read_bytes())
        data[-1] ^= 1
        files[1].write_bytes(data)
        again = self.open(max_events=64)
        self.assertTrue(again.torn)
        self.assertEqual(self.numbers(again), list(range(1, 8)))

    def test_a_bad_head(self) -> None:
        log = self.open()
        log.append([change(1)])
        log.close()
        self.files()[0].write_bytes(b"x" * 100)
        again = self.open()
        self.assertTrue(again.new)
        self.assertNotEqual(again.stream, log.stream)
        self.assertEqual((again.first, again.last), (2, 1))

    def test_no_state(self) -> None:
        log = self.open()
        log.append([change(1)])
        log.close()
        for wrong in (b"", b"{}", b'{"stream":"00","reserved":1,"clean":true}'):
            (self.path / "events" / "state.json").write_bytes(wrong)
            again = self.open()
            self.assertTrue(again.new)
            self.assertEqual(self.numbers(again), [])
            again.close()

    def test_a_file_of_another_stream(self) -> None:
        log = self.open()
        log.append([change(1)])
        log.close()
        kept = self.files()[0].read_bytes()
        again = self.open()
        again.restart(9, 20)
        again.append([change(21)])
        again.close()
        (self.path / "events" / f"{30:020d}.events").write_bytes(kept)
        third = self.open()
        self.assertTrue(third.torn)
        self.assertEqual((third.stream, self.numbers(third, 20)), (again.stream, [21]))

    def test_another_stream(self) -> None:
        log = self.open()
        log.append([change(1)])
        before = log.stream
        log.restart(12, 41)
        self.assertNotEqual(log.stream, before)
        self.assertEqual((log.first, log.last, log.height), (42, 41, 12))
        self.assertRaises(NotHeld, log.read, 0)
        log.append([change(42)])
        self.assertEqual(self.numbers(log, 41), [42])


class FailureTest(LogTestCase):
    def test_a_stream_half_given_up_has_no_hole(self) -> None:
        log = self.open(max_events=64)
        for number in range(1, 41):
            log.append([change(number)])
        glob, unlink, gone = Path.glob, Path.unlink, list[Path]()

        def one_only(path: Path, missing_ok: bool = False) -> None:
            if gone:
                raise OSError(5, "crashed")
            gone.append(path)
            unlink(path)

        for backwards in (True, False):
            self.patch(Path, "glob", lambda path, what, b=backwards: sorted(glob(path, what), reverse=b))
            self.patch(Path, "unlink", one_only)
            self.assertRaises(WriteFailed, log.restart, 9, 50)
            self.patch(Path, "unlink", unlink)
            gone.clear()
            log = self.open(max_events=64)
            self.assertEqual(self.numbers(log, log.first - 1), list(range(log.first, 41)))

    def test_an_old_file_that_stays_is_no_failure_of_the_new(self) -> None:
        log = self.open(max_events=64)
        self.patch(Path, "unlink", lambda path, missing_ok=False: _full())
        failed = 0
        for number in range(1, 101):
            try:
                log.append([change(number)])
            except WriteFailed:
                failed += 1
                log.append([change(number)])
        self.assertGreater(failed, 0)
        numbers = self.numbers(log, log.first - 1)
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_a_full_disk(self) -> None:
        log = self.open()
        log.append([change(1)])
        real = os.write
        self.patch(module.os, "write", lambda file, data: real(file, data[:10]) if len(data) > 30 else _full())
        self.assertRaises(WriteFailed, log.append, [change(2)])
        self.assertEqual(log.last, 1)
        self.patch(module.os, "write", real)
        log.append([change(2)])
        self.assertEqual(self.numbers(log), [1, 2])
        log.close()
        self.assertEqual(self.numbers(self.open()), [1, 2])

    def test_a_directory_that_cannot_be(self) -> None:
        (self.path / "events").write_bytes(b"")
        self.assertRaises(WriteFailed, self.open)

    def test_damage_under_the_eyes_of_a_reader(self) -> None:
        log = self.open()
        log.append([change(1)])
        data = bytearray(self.files()[0].read_bytes())
        data[-1] ^= 1
        self.files()[0].write_bytes(data)
        self.assertRaises(Damaged, log.read, 0)


def _full() -> int:
    raise OSError(28, "No space left on device")
