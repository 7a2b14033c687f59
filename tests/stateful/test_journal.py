"""The journal beside a list: it reads back exactly what was durable, or it says that it is not intact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.stateful.running import run
from tests.storage.samples import CHAIN_ID, scratch
from timecoin.storage.errors import UnknownPosition, WrongGenesis
from timecoin.storage.journal import JOURNAL_NAME, LEASE_NAME, Journal, Standing

RECORDS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4)
BITS = st.integers(0, 7)


class JournalMachine(RuleBasedStateMachine):
    """``records`` are those of the newest segment; ``places`` all positions that can be read; ``renewals`` counts
    leases, so that the model knows which copies are old.
    """

    directory: ClassVar[Path]

    @initialize()
    def begin(self) -> None:
        self.path = self.directory / "data"
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        self.copy = self.directory / "copy"
        shutil.rmtree(self.copy, ignore_errors=True)
        self.copied_at = -1
        self.renewals = 0
        self.journal: Journal | None = None
        self.forget()

    def forget(self) -> None:
        """A directory without a journal."""
        self.records: list[bytes] = []
        self.places: dict[int, bytes] = {}
        self.older: set[int] = set()
        self.standing, self.barred = Standing.FRESH, 0
        self.doubted = self.lost_lease = False
        self.damaged = False

    running = precondition(lambda self: self.journal is not None)
    stopped = precondition(lambda self: self.journal is None)

    # Lives

    @stopped
    @rule()
    def start(self) -> None:
        self.journal = journal = Journal.open(self.path, CHAIN_ID)
        self.renewals += 1
        if self.doubted or (self.lost_lease and (self.records or self.standing is not Standing.FRESH)):
            self.standing = Standing.DOUBTFUL
        self.doubted = self.lost_lease = False
        if self.damaged and journal.standing is Standing.DOUBTFUL:
            # It may have set the damaged segment aside: what it holds now is all that the node has.
            self.standing = Standing.DOUBTFUL
            self.records = list(journal.replay())
            self.barred = journal.barred_through
            self.places = dict(journal.entries())
            self.older = set()
        self.damaged = False
        assert bool(journal.reason) == (self.standing is Standing.DOUBTFUL)

    @running
    @rule()
    def stop(self) -> None:
        assert self.journal is not None
        self.journal.close()
        self.renewals += 1
        self.journal = None

    @running
    @rule()
    def kill(self) -> None:
        """The files are let go, no lease is renewed."""
        assert self.journal is not None
        self.journal._log.close()
        self.journal = None

    @stopped
    @rule()
    def wrong_network(self) -> None:
        if self.newest() is not None and not self.damaged:
            try:
                Journal.open(self.path, bytes(32))
            except WrongGenesis:
                return
            raise AssertionError("a journal of another network was opened")

    # What it is for

    @running
    @rule(records=RECORDS)
    def append(self, records: list[bytes]) -> None:
        assert self.journal is not None
        self.keep(self.journal.append(records), records)

    def keep(self, first: int, records: list[bytes]) -> None:
        assert all(first + number not in self.places for number in range(len(records)))
        self.places.update({first + number: record for number, record in enumerate(records)})
        self.records += records

    @running
    @rule(records=st.lists(st.binary(max_size=60), max_size=3))
    def rotate(self, records: list[bytes]) -> None:
        assert self.journal is not None
        first = self.journal.rotate(records)
        self.renewals += 1
        self.places = {place: record for place, record in self.places.items() if place not in self.older}
        self.older = set(self.places)
        self.records = []
        self.keep(first, records)

    @running
    @rule(through=st.integers(0, 5))
    def settle(self, through: int) -> None:
        assert self.journal is not None
        self.journal.settle(through)
        self.standing, self.barred = Standing.INTACT, max(self.barred, through)

    @running
    @rule()
    def distrust(self) -> None:
        assert self.journal is not None
        self.journal.distrust("a message of mine that I lack")
        self.standing = Standing.DOUBTFUL

    @running
    @rule()
    def sign_anyway(self) -> None:
        assert self.journal is not None
        self.journal.sign_anyway()
        self.standing, self.barred = Standing.INTACT, 0

    # What happens to disks

    def newest(self) -> Path | None:
        return max((self.path / JOURNAL_NAME).glob("*.fs"), default=None)

    def power_cut(self, records: list[bytes]) -> tuple[Path, int, int]:
        """An append that nobody was told of: the file, and between which sizes it lies."""
        assert self.journal is not None
        file = self.newest()
        assert file is not None
        before = file.stat().st_size
        self.journal.append(records)
        after = file.stat().st_size
        self.kill()
        return file, before, after

    @running
    @rule(records=RECORDS, part=st.integers(0, 999), zeros=st.booleans())
    def torn(self, records: list[bytes], part: int, zeros: bool) -> None:
        """The write is cut off somewhere, or the rest of it is zeros: it is as if it had not been begun."""
        file, before, after = self.power_cut(records)
        end = before + (after - before) * part // 1_000
        with file.open("r+b") as stream:
            # A transaction is marked finished behind everything else.
            stream.seek(before + 16)
            stream.write(b"c")
            stream.truncate(end)
            if zeros:
                stream.truncate(after)

    @running
    @rule(records=RECORDS, place=st.integers(0, 999), bit=BITS)
    def flipped_write(self, records: list[bytes], place: int, bit: int) -> None:
        """The last write is all there, but for a bit."""
        file, before, after = self.power_cut(records)
        self.flip(file, before + (after - before) * place // 1_000, bit)
        self.after_damage(self.records + records)

    @stopped
    @rule(place=st.integers(0, 999), bit=BITS)
    def bit_rot(self, place: int, bit: int) -> None:
        """A bit of what was written long ago."""
        file = self.newest()
        if file is not None and file.stat().st_size:
            self.flip(file, file.stat().st_size * place // 1_000, bit)
            self.after_damage(self.records)

    @staticmethod
    def flip(file: Path, at: int, bit: int) -> None:
        data = bytearray(file.read_bytes())
        data[at] ^= 1 << bit
        file.write_bytes(data)

    def after_damage(self, most: list[bytes]) -> None:
        """Opened, it holds what was durable (perhaps what was being written, too), or it is not intact."""
        standing, barred = self.standing, self.barred
        self.damaged = True
        self.start()
        journal = self.journal
        assert journal is not None
        found = list(journal.replay())
        if journal.standing is not Standing.DOUBTFUL:
            assert found in (self.records, most), (found, self.records, most)
            assert (journal.standing, journal.barred_through) == (standing, barred)
            new = dict(journal.entries())
            self.places.update(new)
            self.records = found

    @precondition(lambda self: self.journal is None and not self.doubted)
    @rule()
    def lose_lease(self) -> None:
        (self.path / LEASE_NAME).unlink(missing_ok=True)
        self.lost_lease = self.newest() is not None

    @stopped
    @rule(data=st.binary(max_size=70))
    def garble_lease(self, data: bytes) -> None:
        if (self.path / LEASE_NAME).exists():
            (self.path / LEASE_NAME).write_bytes(data)
            self.doubted = True

    @precondition(lambda self: self.journal is None and not self.doubted)
    @rule()
    def lose_journal(self) -> None:
        shutil.rmtree(self.path / JOURNAL_NAME, ignore_errors=True)
        lease = (self.path / LEASE_NAME).exists()
        self.forget()
        self.doubted = lease

    @stopped
    @rule()
    def new_disk(self) -> None:
        shutil.rmtree(self.path)
        self.path.mkdir()
        self.forget()

    @rule()
    def copy_journal(self) -> None:
        """As a backup would that the operator makes by hand."""
        if self.newest() is None or self.damaged:
            return
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.path / JOURNAL_NAME, self.copy, ignore=shutil.ignore_patterns("*.lock", "*.tmp"))
        self.copied_at = self.renewals

    @precondition(lambda self: self.journal is None and -1 < self.copied_at < self.renewals)
    @rule()
    def restore_old_copy(self) -> None:
        """An old one: the lease shows it, as long as it is there."""
        if not (self.path / LEASE_NAME).exists():
            return
        shutil.rmtree(self.path / JOURNAL_NAME, ignore_errors=True)
        shutil.copytree(self.copy, self.path / JOURNAL_NAME)
        self.forget()
        self.doubted = self.damaged = True

    # What must hold at all times

    @invariant()
    def reads_back(self) -> None:
        journal = getattr(self, "journal", None)
        if journal is None:
            return
        assert list(journal.replay()) == self.records
        assert [record for _, record in journal.entries()] == self.records
        for place, record in self.places.items():
            assert journal.read(place) == record
        for place in (0, 1 << 40, max(self.places, default=1 << 60) + 1):
            if place not in self.places:
                try:
                    journal.read(place)
                except UnknownPosition:
                    continue
                raise AssertionError(f"something is at {place}")

    @invariant()
    def knows_its_standing(self) -> None:
        journal = getattr(self, "journal", None)
        if journal is not None:
            assert journal.standing is self.standing, (journal.standing, journal.reason, self.standing)
            assert journal.barred_through == self.barred
            assert journal.intact == (self.standing is Standing.INTACT)
            assert journal.fresh == (self.standing is Standing.FRESH)

    def teardown(self) -> None:
        if getattr(self, "journal", None) is not None:
            self.kill()


class JournalTest(SynchronousTestCase):
    def test_random_lives(self) -> None:
        JournalMachine.directory = scratch(self)
        run(JournalMachine, 60, 40)
