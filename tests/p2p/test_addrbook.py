"""The address book: places, promotion, bounds, choice, and its file."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p import addrfile
from timecoin.p2p.addrbook import (
    BUCKET_SIZE,
    NEW_PER_ADDRESS,
    NEW_PER_SOURCE,
    TRIED_PER_GROUP,
    AddressBook,
)
from timecoin.p2p.netaddress import NetAddress, Network, from_host, parse_address

NOW = 1_700_000_000
DAY = 86_400
fuzz = settings(deadline=None, derandomize=True, max_examples=40, database=None)


def book(seed: int = 1, private: bool = False) -> AddressBook:
    random = Random(seed)
    return AddressBook(random.randbytes(32), random, private)


def ip(a: int, b: int, c: int = 1, d: int = 1, port: int = 24100) -> NetAddress:
    return NetAddress(Network.IPV4, bytes([a, b, c, d]), port)


SOURCE = ip(9, 9, 9, 9)


def check(subject: AddressBook) -> None:
    """The tables and the entries say the same."""
    places: dict[NetAddress, int] = {}
    for address in subject._new.values():
        places[address] = places.get(address, 0) + 1
    tried = list(subject._tried.values())
    assert len(tried) == len(set(tried))
    for entry in subject:
        assert entry.places == places.pop(entry.address, 0), entry
        assert entry.tried == (entry.address in tried)
        assert bool(entry.places) != entry.tried, entry
        assert entry.places <= NEW_PER_ADDRESS
    assert not places
    assert set(tried) <= {entry.address for entry in subject}


class LearningTests(SynchronousTestCase):
    def test_new_address(self) -> None:
        subject = book()
        self.assertTrue(subject.add(ip(8, 8), SOURCE, 3, NOW, NOW))
        self.assertFalse(subject.add(ip(8, 8), SOURCE, 4, NOW, NOW))
        entry = subject.entry(ip(8, 8))
        assert entry is not None
        self.assertEqual((7, 1), (entry.services, len(subject)))

    def test_unroutable_only_where_allowed(self) -> None:
        local = parse_address("127.0.0.1:24100")
        self.assertFalse(book().add(local, SOURCE, 0, NOW, NOW))
        self.assertTrue(book(private=True).add(local, SOURCE, 0, NOW, NOW))
        self.assertFalse(book(private=True).add(ip(8, 8, port=0), SOURCE, 0, NOW, NOW))

    def test_the_future_is_cut_and_hearsay_is_older(self) -> None:
        subject = book()
        subject.add(ip(8, 8), SOURCE, 0, NOW + DAY, NOW, penalty=7200)
        entry = subject.entry(ip(8, 8))
        assert entry is not None
        self.assertEqual(NOW - 7200, entry.last_seen)

    def test_what_an_address_says_of_itself_is_not_hearsay(self) -> None:
        subject = book()
        subject.add(ip(8, 8), ip(8, 8), 0, NOW, NOW, penalty=7200)
        entry = subject.entry(ip(8, 8))
        assert entry is not None
        self.assertEqual(NOW, entry.last_seen)

    def test_one_source_reaches_few_buckets(self) -> None:
        subject = book()
        for number in range(20_000):
            subject.add(ip(20 + number % 60, number // 60 % 256, number // 15_360), SOURCE, 0, NOW, NOW)
        buckets = {bucket for bucket, _ in subject._new}
        self.assertLessEqual(len(buckets), NEW_PER_SOURCE)
        self.assertLessEqual(len(subject), NEW_PER_SOURCE * BUCKET_SIZE)
        check(subject)

    def test_one_group_reaches_few_tried_buckets(self) -> None:
        subject = book()
        for number in range(3_000):
            address = ip(8, 8, number // 250, number % 250)
            subject.add(address, ip(20 + number % 50, number % 200), 0, NOW, NOW)
            subject.good(address, NOW)
        self.assertLessEqual(len({bucket for bucket, _ in subject._tried}), TRIED_PER_GROUP)
        check(subject)

    def test_more_sources_give_more_places_but_not_many(self) -> None:
        subject = book()
        for number in range(400):
            subject.add(ip(8, 8), ip(20 + number % 100, number % 256), 0, NOW + number, NOW + number)
        entry = subject.entry(ip(8, 8))
        assert entry is not None
        self.assertTrue(1 < entry.places <= NEW_PER_ADDRESS, entry.places)
        check(subject)

    def test_places_depend_on_the_secret(self) -> None:
        first, second = book(1), book(2)
        self.assertNotEqual(
            [first._new_place(ip(8, n), SOURCE) for n in range(4)],
            [second._new_place(ip(8, n), SOURCE) for n in range(4)],
        )


class OutcomeTests(SynchronousTestCase):
    def test_good_moves_to_tried(self) -> None:
        subject = book()
        subject.add(ip(8, 8), SOURCE, 0, NOW, NOW)
        subject.attempt(ip(8, 8), NOW)
        subject.good(ip(8, 8), NOW)
        entry = subject.entry(ip(8, 8))
        assert entry is not None
        self.assertEqual((True, 0, 0), (entry.tried, entry.places, entry.attempts))
        check(subject)

    def test_good_of_a_stranger_is_nothing(self) -> None:
        subject = book()
        subject.good(ip(8, 8), NOW)
        self.assertEqual(0, len(subject))

    def collision(self, subject: AddressBook) -> tuple[NetAddress, NetAddress]:
        """Two addresses that want the same tried place."""
        places: dict[tuple[int, int], NetAddress] = {}
        for number in range(50_000):
            address = ip(8, 8, number // 250, number % 250)
            other = places.setdefault(subject._tried_place(address), address)
            if other != address:
                return other, address
        raise AssertionError("no collision")

    def test_a_recent_tried_entry_keeps_its_place(self) -> None:
        subject = book()
        old, young = self.collision(subject)
        for address in (old, young):
            subject.add(address, SOURCE, 0, NOW, NOW)
            subject.good(address, NOW)
        self.assertEqual([old], list(subject._tried.values()))
        check(subject)

    def test_a_stale_tried_entry_goes_back_to_new(self) -> None:
        subject = book()
        old, young = self.collision(subject)
        for address, when in ((old, NOW), (young, NOW + 5 * 3_600)):
            subject.add(address, SOURCE, 0, when, when)
            subject.good(address, when)
        self.assertEqual([young], list(subject._tried.values()))
        self.assertIn(old, subject)
        check(subject)

    def test_exclude(self) -> None:
        for promote in (False, True):
            subject = book()
            subject.add(ip(8, 8), SOURCE, 0, NOW, NOW)
            if promote:
                subject.good(ip(8, 8), NOW)
            subject.exclude(ip(8, 8))
            self.assertFalse(subject.add(ip(8, 8), SOURCE, 0, NOW, NOW))
            self.assertEqual(0, len(subject))
            check(subject)

    def test_terrible(self) -> None:
        subject = book()
        subject.add(ip(8, 8), SOURCE, 0, NOW, NOW)
        entry = subject.entry(ip(8, 8))
        assert entry is not None
        self.assertFalse(entry.is_terrible(NOW))
        self.assertTrue(entry.is_terrible(NOW + 31 * DAY))
        for _ in range(3):
            subject.attempt(ip(8, 8), NOW)
        self.assertFalse(entry.is_terrible(NOW + 30))
        self.assertTrue(entry.is_terrible(NOW + 61))
        self.assertEqual([], subject.sample(10, NOW + 61))


class ChoiceTests(SynchronousTestCase):
    def test_empty(self) -> None:
        self.assertIsNone(book().select(NOW))

    def test_new_and_tried_are_chosen(self) -> None:
        subject = book()
        for number in range(100):
            subject.add(ip(20 + number, 8), SOURCE, 0, NOW, NOW)
        subject.good(ip(20, 8), NOW - DAY)
        picks = [subject.select(NOW) for _ in range(300)]
        self.assertGreater(picks.count(ip(20, 8)), 90)
        self.assertGreater(len(set(picks)), 50)

    def test_failing_addresses_are_chosen_less(self) -> None:
        subject = book()
        subject.add(ip(20, 8), SOURCE, 0, NOW, NOW)
        subject.add(ip(30, 8), SOURCE, 0, NOW, NOW)
        subject.attempt(ip(20, 8), NOW)
        picks = [subject.select(NOW + 60) for _ in range(200)]
        self.assertLess(picks.count(ip(20, 8)), 40)

    def test_sample_is_distinct_and_bounded(self) -> None:
        subject = book()
        for number in range(50):
            subject.add(ip(20 + number, 8), SOURCE, 0, NOW, NOW)
        addresses = [entry.address for entry in subject.sample(10, NOW)]
        self.assertEqual(10, len(set(addresses)))
        self.assertEqual(len(subject), len(subject.sample(1_000, NOW)))

    def test_the_same_seed_chooses_the_same(self) -> None:
        runs = []
        for _ in range(2):
            subject = book(7)
            for number in range(50):
                subject.add(ip(20 + number, 8), SOURCE, 0, NOW, NOW)
            runs.append([subject.select(NOW) for _ in range(20)])
        self.assertEqual(*runs)


class PropertyTests(SynchronousTestCase):
    @fuzz
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "good", "attempt", "exclude"]),
                st.integers(0, 40),
                st.integers(0, 5),
                st.integers(0, 20 * 3_600),
            ),
            max_size=120,
        ),
        st.integers(0, 3),
    )
    def test_tables_and_entries_agree(self, steps: list[tuple[str, int, int, int]], seed: int) -> None:
        subject, now = book(seed), NOW
        # Tiny tables, so that collisions are the rule.
        subject._hash = lambda *parts: sum(sum(part) for part in parts) % 7  # type: ignore[method-assign]
        for action, number, source, pause in steps:
            now += pause
            address = ip(20 + number, 8)
            if action == "add":
                subject.add(address, ip(100 + source, 9), 0, now, now)
            elif action == "good":
                subject.good(address, now)
            elif action == "attempt":
                subject.attempt(address, now)
            else:
                subject.exclude(address)
                subject._excluded.clear()
            check(subject)


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_round_trip(self) -> None:
        subject = book()
        for number in range(200):
            subject.add(ip(20 + number % 80, number), SOURCE, 1, NOW, NOW)
        for number in range(0, 200, 5):
            subject.good(ip(20 + number % 80, number), NOW)
        addrfile.save(self.path, subject, [ip(20, 0), ip(25, 5), ip(30, 10)])
        loaded, anchors, problem = addrfile.load(self.path, Random(5), False, NOW)
        self.assertIsNone(problem)
        self.assertEqual([ip(20, 0), ip(25, 5)], anchors)
        self.assertEqual(subject._tried, loaded._tried)
        self.assertEqual({e.address for e in subject}, {e.address for e in loaded})
        check(loaded)

    def test_absent_is_fresh(self) -> None:
        loaded, anchors, problem = addrfile.load(self.path, Random(5), False, NOW)
        self.assertEqual((0, [], None), (len(loaded), anchors, problem))

    def test_damaged_is_fresh_and_says_so(self) -> None:
        addrfile.save(self.path, book(), [])
        whole = self.path.read_bytes()
        for data in (b"", b"garbage", whole[:-1], whole + b"x", b"\x94\x07" + whole[2:]):
            self.path.write_bytes(data)
            loaded, _, problem = addrfile.load(self.path, Random(5), False, NOW)
            self.assertEqual(0, len(loaded))
            self.assertIsNotNone(problem)

    def test_unsound_entries_are_left_out(self) -> None:
        subject = book(private=True)
        subject.add(parse_address("127.0.0.1:5"), SOURCE, 0, NOW, NOW)
        subject.add(ip(8, 8), SOURCE, 0, NOW, NOW)
        addrfile.save(self.path, subject, [from_host("127.0.0.1", 5)])
        loaded, anchors, _ = addrfile.load(self.path, Random(5), False, NOW)
        self.assertEqual(([ip(8, 8)], []), ([e.address for e in loaded], anchors))

    def test_a_failed_write_leaves_the_old_file(self) -> None:
        addrfile.save(self.path, book(), [])
        before = self.path.read_bytes()
        self.path.with_name(self.path.name + ".new").mkdir()
        self.assertRaises(OSError, addrfile.save, self.path, book(2), [])
        self.assertEqual(before, self.path.read_bytes())
