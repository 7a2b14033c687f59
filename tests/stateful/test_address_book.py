"""The address book beside a dictionary: its tables, their bounds, and what a restart keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.stateful.running import run
from timecoin.p2p import addrbook, addrfile
from timecoin.p2p.addrbook import AddressBook, Entry
from timecoin.p2p.netaddress import NetAddress, Network

KEY = bytes(range(32))
START = 1_800_000_000
ONION = NetAddress(Network.TORV3, bytes(range(32)), 24100)
UNROUTABLE = (
    NetAddress(Network.IPV4, bytes([10, 0, 0, 1]), 24100),
    NetAddress(Network.IPV4, bytes([127, 0, 0, 1]), 24100),
    NetAddress(Network.IPV4, bytes([8, 8, 8, 8]), 0),
    NetAddress(Network.IPV6, bytes(10) + b"\xff\xff\x08\x08\x08\x08", 24100),
    NetAddress(9, b"unknown", 24100),
)
HOSTS = st.one_of(
    st.builds(
        lambda a, b, c: NetAddress(Network.IPV4, bytes([a, b, 7, c]), 24100),
        st.sampled_from((20, 44, 80, 200)), st.integers(0, 2), st.integers(1, 40),
    ),
    st.builds(
        lambda a: NetAddress(Network.IPV6, b"\x2a\x02" + bytes(13) + bytes([a]), 24100), st.integers(1, 20)
    ),
    st.just(ONION),
)  # fmt: skip
SOURCES = st.builds(lambda a: NetAddress(Network.IPV4, bytes([a, 1, 1, 1]), 1), st.integers(60, 66))


class BookMachine(RuleBasedStateMachine):
    """The model: every address ever taken, whether it answered, when it was last heard of at most, services."""

    @initialize(seed=st.integers(0, 9), small=st.booleans())
    def begin(self, seed: int, small: bool) -> None:
        # Small tables are full soon, so that entries push each other out.
        self.sizes = (4, 2, 3) if small else (256, 64, 64)
        self.apply_sizes()
        self.random = Random(seed)
        self.book = AddressBook(KEY, self.random)
        self.now = START
        self.services: dict[NetAddress, int] = {}
        self.heard: dict[NetAddress, int] = {}
        self.answered: dict[NetAddress, int] = {}
        self.failures: dict[NetAddress, int] = {}
        self.ours: set[NetAddress] = set()

    def apply_sizes(self) -> None:
        addrbook.NEW_BUCKETS, addrbook.TRIED_BUCKETS, addrbook.BUCKET_SIZE = self.sizes

    def teardown(self) -> None:
        addrbook.NEW_BUCKETS, addrbook.TRIED_BUCKETS, addrbook.BUCKET_SIZE = 256, 64, 64

    @rule(seconds=st.sampled_from((1, 61, 700, 5 * 3_600, 9 * 86_400, 31 * 86_400)))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(
        addresses=st.lists(HOSTS, min_size=1, max_size=12),
        source=SOURCES,
        age=st.sampled_from((-5_000, 0, 0, 600, 86_400, 40 * 86_400)),
        services=st.integers(0, 7),
        penalty=st.sampled_from((0, 7_200)),
    )
    def hear(self, addresses: list[NetAddress], source: NetAddress, age: int, services: int, penalty: int) -> None:
        for address in addresses:
            known = address in self.book
            fresh = self.book.add(address, source, services, self.now - age, self.now, penalty)
            assert fresh == (not known and address in self.book)
            if address in self.ours:
                assert not fresh
                continue
            if fresh:
                self.services[address], self.answered[address], self.failures[address] = 0, 0, 0
                self.heard[address] = 0
            if address in self.book:
                self.services[address] |= services
                self.heard[address] = max(self.heard[address], min(self.now, self.now - age))

    @rule(address=st.sampled_from(UNROUTABLE))
    def hear_nonsense(self, address: NetAddress) -> None:
        assert not self.book.add(address, ONION, 1, self.now, self.now)
        assert address not in self.book

    @rule(data=st.data(), good=st.booleans())
    def dial(self, data: st.DataObject, good: bool) -> None:
        address = self.book.select(self.now)
        assert (address is None) == (len(self.book) == 0)
        if address is None:
            return
        self.book.attempt(address, self.now)
        self.failures[address] += 1
        if good:
            self.book.good(address, self.now)
            self.answered[address] = self.heard[address] = self.now
            self.failures[address] = 0

    @rule(address=HOSTS)
    def answer(self, address: NetAddress) -> None:
        """One that was not picked by the book, for example a pinned peer."""
        known = address in self.book
        self.book.good(address, self.now)
        if known:
            self.answered[address] = self.heard[address] = self.now
            self.failures[address] = 0

    @rule(address=HOSTS)
    def exclude(self, address: NetAddress) -> None:
        """It is our own."""
        if len(self.ours) < 3:
            self.ours.add(address)
            self.book.exclude(address)

    @rule(count=st.integers(0, 30))
    def sample(self, count: int) -> None:
        found = self.book.sample(count, self.now)
        assert len({entry.address for entry in found}) == len(found) <= count
        assert all(entry.address in self.book and not entry.is_terrible(self.now) for entry in found)
        worthy = [entry for entry in self.book if not entry.is_terrible(self.now)]
        assert len(found) == min(count, len(worthy))

    @rule(anchors=st.integers(0, 3))
    def restart(self, anchors: int) -> None:
        before = {entry.address: entry for entry in self.book}
        chosen = list(before)[:anchors]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "peers"
            addrfile.save(path, self.book, chosen)
            self.book, kept, problem = addrfile.load(path, self.random, False, self.now)
        assert problem is None and self.book.key == KEY
        assert kept == chosen[: addrfile.MAX_ANCHORS]
        for entry in self.book:
            was = before[entry.address]
            facts = (was.services, was.last_seen, was.last_try, was.last_success, was.attempts, was.source)
            assert facts == (
                entry.services, entry.last_seen, entry.last_try, entry.last_success, entry.attempts, entry.source,
            )  # fmt: skip
            assert was.tried or not entry.tried
        # Every tried place was one entry's alone; a new entry may have lived in a place that its first source lacks.
        assert {a for a, e in before.items() if e.tried} == {e.address for e in self.book if e.tried}
        self.ours.clear()

    @invariant()
    def facts_are_kept(self) -> None:
        for entry in getattr(self, "book", ()):
            address = entry.address
            assert address not in self.ours
            assert entry.services & ~self.services[address] == 0
            assert entry.last_seen <= max(self.heard[address], self.answered[address])
            assert entry.last_success == self.answered[address]
            assert entry.attempts == self.failures[address]
            assert not entry.tried or entry.last_success

    @invariant()
    def tables_are_sound(self) -> None:
        if not hasattr(self, "book"):
            return
        book, (new, tried, size) = self.book, self.sizes
        entries = {entry.address: entry for entry in book}
        assert len(entries) == len(book) <= (new + tried) * size
        for places, buckets in ((book._new, new), (book._tried, tried)):
            assert all(0 <= bucket < buckets and 0 <= slot < size for bucket, slot in places)
            assert set(places.values()) <= set(entries)
        for address, entry in entries.items():
            in_new = list(book._new.values()).count(address)
            in_tried = list(book._tried.values()).count(address)
            assert (in_new, in_tried) == ((0, 1) if entry.tried else (entry.places, 0)), entry
            assert entry.tried or 1 <= entry.places <= addrbook.NEW_PER_ADDRESS
            if entry.tried:
                assert book._tried[book._tried_place(address)] == address

    @invariant()
    def few_networks_fill_few_places(self) -> None:
        """Core's bounds: one source group reaches so many new buckets, one address group so many tried ones."""
        if not hasattr(self, "book"):
            return
        by_group: dict[bytes, set[int]] = {}
        for (bucket, _), address in self.book._tried.items():
            by_group.setdefault(address.group(), set()).add(bucket)
        assert all(len(buckets) <= addrbook.TRIED_PER_GROUP for buckets in by_group.values())


class TakeoverTest(SynchronousTestCase):
    """What somebody with one network can do to the book."""

    def test_one_source_reaches_few_new_buckets(self) -> None:
        book = AddressBook(KEY, Random(1))
        source = NetAddress(Network.IPV4, bytes([66, 6, 6, 6]), 1)
        for a in range(11, 100):
            for b in range(0, 250, 10):
                book.add(NetAddress(Network.IPV4, bytes([a, b, 1, 1]), 24100), source, 1, START, START)
        self.assertLessEqual(len({bucket for bucket, _ in book._new}), addrbook.NEW_PER_SOURCE)
        self.assertLessEqual(len(book), addrbook.NEW_PER_SOURCE * addrbook.BUCKET_SIZE)

    def test_a_flood_pushes_out_no_tried_address(self) -> None:
        book = AddressBook(KEY, Random(1))
        friend = NetAddress(Network.IPV4, bytes([44, 1, 1, 1]), 24100)
        book.add(friend, friend, 1, START, START)
        book.good(friend, START)
        for c in range(250):
            for d in range(20):
                other = NetAddress(Network.IPV4, bytes([66, 6, c, d]), 24100)
                book.add(other, other, 1, START, START)
                book.good(other, START)
        entry = book.entry(friend)
        self.assertIsInstance(entry, Entry)
        assert entry is not None
        self.assertTrue(entry.tried)

    def test_random_lives(self) -> None:
        run(BookMachine, 50, 40)
