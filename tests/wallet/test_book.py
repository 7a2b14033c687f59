"""The script book: looking ahead, handing out, marking used, labels, and being loaded again."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.networks import DEVNET, MAINNET
from timecoin.primitives import address
from timecoin.wallet.book import CHANGE, RECEIVE, TABLES, Place, ScriptBook, derive_scripts
from timecoin.wallet.book_records import DESCRIPTORS, LABELS, SCRIPTS
from timecoin.wallet.descriptors import Descriptor, account_descriptors, multisig_descriptor
from timecoin.wallet.errors import BadRecord, NoDescriptor, RangeExhausted, UnsupportedDescriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account
from timecoin.wallet.words import generate, seed

Tables = dict[str, dict[bytes, bytes]]

MASTER = ExtendedSecretKey.from_seed(seed(generate(bytes(16))))
ACCOUNT = Account.of_master(MASTER, DEVNET)
SECOND = Account.of_master(MASTER, DEVNET, 1)
GAP = 5


def filled(gap: int = GAP, account: Account = ACCOUNT) -> ScriptBook:
    book = ScriptBook(DEVNET, gap)
    for chain, descriptor in enumerate(account_descriptors(account.reveal_expression(), DEVNET)):
        book.add(descriptor, chain=chain, active=True, created=1_700_000_000)
    return book


def store(tables: Tables, book: ScriptBook) -> None:
    for table, records in book.take_changes().items():
        for key, value in records.items():
            if value is None:
                tables.setdefault(table, {}).pop(key, None)
            else:
                tables.setdefault(table, {})[key] = value


def single(n: int = 0) -> Descriptor:
    text = address.encode(SECOND.script(RECEIVE, n), DEVNET.hrp)
    return Descriptor.parse(f"addr({text})", DEVNET)


class Looking(SynchronousTestCase):
    def test_the_gap_limit_is_watched_on_both_chains(self) -> None:
        book = filled()
        expected = [ACCOUNT.script(chain, index) for chain in (RECEIVE, CHANGE) for index in range(GAP)]
        self.assertEqual(list(book.scripts()), expected)
        self.assertEqual(len(book), 2 * GAP)
        place = book.find(ACCOUNT.script(CHANGE, 3))
        assert place is not None
        self.assertEqual((place.chain, place.index), (CHANGE, 3))
        self.assertIsNone(book.find(ACCOUNT.script(CHANGE, GAP)))

    def test_a_used_script_moves_the_horizon(self) -> None:
        book = filled()
        fresh = book.mark_used(ACCOUNT.script(RECEIVE, 2))
        self.assertEqual(fresh, [ACCOUNT.script(RECEIVE, index) for index in range(GAP, GAP + 3)])
        self.assertEqual(book.mark_used(ACCOUNT.script(RECEIVE, 2)), [])
        self.assertEqual(book.mark_used(ACCOUNT.script(RECEIVE, 0)), [])
        self.assertEqual(book.mark_used(b"\x00\x14" + bytes(20)), [])
        used = [index for index in range(GAP) if book.is_used(ACCOUNT.script(RECEIVE, index))]
        self.assertEqual(used, [0, 2])

    def test_several_at_once(self) -> None:
        book = filled()
        fresh = book.take_many([ACCOUNT.script(RECEIVE, 0), b"", ACCOUNT.script(CHANGE, 1)])
        self.assertEqual(fresh, [ACCOUNT.script(0, GAP), ACCOUNT.script(1, GAP), ACCOUNT.script(1, GAP + 1)])

    def test_the_last_of_the_gap_can_be_found_again_and_again(self) -> None:
        book = filled()
        for n in range(10):
            self.assertEqual(len(book.mark_used(ACCOUNT.script(RECEIVE, GAP * (n + 1) - 1))), GAP)

    def test_what_is_known_for_spending(self) -> None:
        expansion = filled().expand(ACCOUNT.script(CHANGE, 1))
        assert expansion is not None
        self.assertEqual(expansion.keys[0].path, (*ACCOUNT.path, 1, 1))
        self.assertIsNone(filled().expand(b""))

    def test_gap_limits_that_are_none(self) -> None:
        for limit in (0, -1, 10_001):
            self.assertRaises(ValueError, ScriptBook, DEVNET, limit)


class HandingOut(SynchronousTestCase):
    def test_each_script_once_and_the_horizon_moves(self) -> None:
        book = filled()
        given = [book.new_script() for _ in range(12)]
        self.assertEqual(given, [ACCOUNT.script(RECEIVE, index) for index in range(12)])
        self.assertIsNotNone(book.find(ACCOUNT.script(RECEIVE, 12 + GAP - 1)))
        self.assertEqual(book.new_script(CHANGE), ACCOUNT.script(CHANGE, 0))

    def test_peeking_hands_nothing_out(self) -> None:
        book = filled()
        self.assertEqual(book.peek_script(), book.peek_script())
        self.assertEqual(book.peek_script(CHANGE), book.new_script(CHANGE))

    def test_a_used_script_is_never_handed_out(self) -> None:
        book = filled()
        book.mark_used(ACCOUNT.script(RECEIVE, 3))
        self.assertEqual(book.new_script(), ACCOUNT.script(RECEIVE, 4))

    def test_how_many_a_restore_would_miss(self) -> None:
        book = filled()
        self.assertEqual(book.beyond_gap(), 0)
        for _ in range(GAP + 2):
            book.new_script()
        self.assertEqual(book.beyond_gap(), 2)
        book.mark_used(ACCOUNT.script(RECEIVE, 4))
        self.assertEqual(book.beyond_gap(), 0)
        self.assertEqual(ScriptBook(DEVNET).beyond_gap(), 0)

    def test_without_an_active_descriptor(self) -> None:
        book = ScriptBook(DEVNET, GAP)
        self.assertRaises(NoDescriptor, book.new_script)
        added = book.add(account_descriptors(ACCOUNT.xpub, DEVNET)[0])
        self.assertRaises(NoDescriptor, book.peek_script)
        book.activate(added)
        self.assertEqual(book.new_script(), ACCOUNT.script(RECEIVE, 0))
        book.activate(added, False)
        self.assertRaises(NoDescriptor, book.new_script)

    def test_the_end_of_all_indexes(self) -> None:
        book = ScriptBook(DEVNET, GAP)
        first = 2**31 - 3
        book.add(account_descriptors(ACCOUNT.xpub, DEVNET)[0], active=True, first=first, next_index=first)
        self.assertEqual([book.new_script() for _ in range(3)], [ACCOUNT.script(0, first + n) for n in range(3)])
        self.assertRaises(RangeExhausted, book.new_script)


class Descriptors(SynchronousTestCase):
    def test_one_is_active_a_chain(self) -> None:
        book = filled()
        old = book.active()
        new = book.add(account_descriptors(SECOND.xpub, DEVNET)[0], active=True)
        self.assertEqual(book.active(), new)
        assert old is not None
        self.assertFalse(book.listed(old).active)
        self.assertTrue(book.listed(new).active)
        self.assertIsNotNone(book.find(ACCOUNT.script(RECEIVE, 0)))
        self.assertEqual([each for each, _ in book.descriptors()][-1], new)

    def test_only_public_forms_are_kept(self) -> None:
        book = filled()
        for _, listed in book.descriptors():
            self.assertFalse(listed.descriptor.is_private)
        stored = b"".join(v or b"" for table in book.take_changes().values() for v in table.values())
        self.assertNotIn(b"tprv", stored)

    def test_an_address_alone_is_watched(self) -> None:
        book = filled()
        added = book.add(single(), label="shop")
        self.assertEqual(book.find(SECOND.script(RECEIVE, 0)), Place(added, RECEIVE, 0))
        self.assertEqual(book.mark_used(SECOND.script(RECEIVE, 0)), [])
        self.assertTrue(book.is_used(SECOND.script(RECEIVE, 0)))
        self.assertRaises(UnsupportedDescriptor, book.activate, added)
        self.assertRaises(UnsupportedDescriptor, book.add, single(1), active=True)
        self.assertIsNone(book.find(SECOND.script(RECEIVE, 1)))

    def test_ranges(self) -> None:
        book = ScriptBook(DEVNET, GAP)
        descriptor = account_descriptors(ACCOUNT.xpub, DEVNET)[0]
        added = book.add(descriptor, first=100, end=130, next_index=110, active=True)
        listed = book.listed(added)
        self.assertEqual((listed.first, listed.end, listed.next_index, listed.used), (100, 130, 110, 0))
        self.assertEqual(book.new_script(), ACCOUNT.script(RECEIVE, 110))
        self.assertIsNone(book.find(ACCOUNT.script(RECEIVE, 99)))
        for first, end in ((-1, 5), (5, 5), (6, 5), (0, 2**31 + 1), (0, 1_000_001)):
            self.assertRaises(RangeExhausted, book.add, descriptor, first=first, end=end)
        self.assertRaises(RangeExhausted, book.add, single(), end=5)
        for wrong in ({"chain": 2}, {"created": -1}, {"label": "x" * 1_025}, {"label": "\udcff"}):
            self.assertRaises(ValueError, book.add, single(), **wrong)

    def test_added_again_a_range_grows_and_nothing_is_forgotten(self) -> None:
        book = ScriptBook(DEVNET, GAP)
        descriptor = account_descriptors(ACCOUNT.xpub, DEVNET)[0]
        added = book.add(descriptor, first=10, end=20, next_index=10, created=500, label="old")
        book.mark_used(ACCOUNT.script(RECEIVE, 15))
        self.assertEqual(book.add(descriptor, first=10, end=40, next_index=10, created=900), added)
        listed = book.listed(added)
        self.assertEqual((listed.end, listed.used, listed.created, listed.label), (40, 16, 500, "old"))
        book.add(descriptor, first=0, end=12)
        listed = book.listed(added)
        self.assertEqual((listed.first, listed.used), (0, 16))
        self.assertTrue(book.is_used(ACCOUNT.script(RECEIVE, 15)))
        self.assertIsNotNone(book.find(ACCOUNT.script(RECEIVE, 39)))

    def test_scripts_that_a_thread_derived(self) -> None:
        descriptor = account_descriptors(ACCOUNT.xpub, DEVNET)[0]
        book = ScriptBook(DEVNET, GAP)
        book.add(descriptor, end=8, derived=derive_scripts(descriptor, 0, 7))
        self.assertEqual(list(book.scripts()), [ACCOUNT.script(RECEIVE, index) for index in range(8)])

    def test_removed_with_its_scripts_but_not_those_of_others(self) -> None:
        book, tables = filled(), Tables()
        twice = book.add(Descriptor.parse(f"wpkh({ACCOUNT.public_key(0, 2).hex()})", DEVNET))
        store(tables, book)
        old = book.active()
        assert old is not None
        book.remove(old)
        store(tables, book)
        self.assertEqual(book.find(ACCOUNT.script(RECEIVE, 2)), Place(twice, RECEIVE, 0))
        self.assertIsNone(book.find(ACCOUNT.script(RECEIVE, 1)))
        self.assertEqual(list(ScriptBook.load(DEVNET, tables, GAP).scripts()), list(book.scripts()))
        for ask in (book.remove, book.listed, book.activate):
            self.assertRaises(NoDescriptor, ask, old)

    def test_a_shared_wallet(self) -> None:
        owners = [Account.cosigner(MASTER, DEVNET, n) for n in range(3)]
        book = ScriptBook(DEVNET, GAP)
        for chain, each in enumerate(multisig_descriptor(2, [owner.public_expression for owner in owners], DEVNET)):
            book.add(each, chain=chain, active=True)
        expansion = book.expand(book.new_script())
        assert expansion is not None
        self.assertEqual({key.public_key for key in expansion.keys}, {owner.public_key(0, 0) for owner in owners})


class Labels(SynchronousTestCase):
    def test_own_and_others(self) -> None:
        book, tables = filled(), Tables()
        other = SECOND.script(RECEIVE, 7)
        self.assertIsNone(book.label(other))
        self.assertEqual(book.label(ACCOUNT.script(RECEIVE, 0)), "")
        self.assertIsNone(book.label(ACCOUNT.script(CHANGE, 0)))
        book.set_label(other, "caf\u00e9")
        book.set_label(ACCOUNT.script(CHANGE, 0), "mine")
        store(tables, book)
        again = ScriptBook.load(DEVNET, tables, GAP)
        self.assertEqual(dict(again.labels()), {other: "caf\u00e9", ACCOUNT.script(CHANGE, 0): "mine"})
        again.remove_label(other)
        again.remove_label(other)
        store(tables, again)
        self.assertEqual(list(tables[LABELS]), [ACCOUNT.script(CHANGE, 0)])
        for bad in ("x" * 1_025, "\ud800"):
            self.assertRaises(ValueError, book.set_label, other, bad)

    def test_of_a_descriptor(self) -> None:
        book = ScriptBook(DEVNET, GAP)
        book.add(account_descriptors(ACCOUNT.xpub, DEVNET)[0], label="till 4")
        self.assertEqual(book.label(ACCOUNT.script(RECEIVE, 3)), "till 4")


class Restored(SynchronousTestCase):
    def test_the_same_words_give_the_same_scripts(self) -> None:
        phrase = generate(bytes(range(32)))
        books = []
        for _ in range(2):
            master = ExtendedSecretKey.from_seed(seed(phrase))
            book = filled(account=Account.of_master(master, DEVNET))
            books.append([*book.scripts()] + [book.new_script(chain) for chain in (0, 1, 0)])
        self.assertEqual(*books)

    def test_watching_an_xpub_sees_what_its_owner_hands_out(self) -> None:
        watching = ScriptBook(DEVNET, GAP)
        for chain, each in enumerate(account_descriptors(ACCOUNT.xpub, DEVNET)):
            watching.add(each, chain=chain, active=True)
        owner = filled()
        for n in range(20):
            script = owner.new_script(n % 2)
            self.assertIsNotNone(watching.find(script))
            watching.mark_used(script)

    def test_a_larger_gap_limit_on_loading(self) -> None:
        tables = Tables()
        store(tables, filled())
        self.assertEqual(len(ScriptBook.load(DEVNET, tables, 3 * GAP)), 6 * GAP)
        self.assertEqual(len(ScriptBook.load(DEVNET, tables, 1)), 2 * GAP)

    def test_loading_derives_nothing_and_changes_nothing(self) -> None:
        tables = Tables()
        store(tables, filled())
        first = min(tables[SCRIPTS])
        tables[SCRIPTS][first] = b"\x00" + b"as stored"
        book = ScriptBook.load(DEVNET, tables, GAP)
        self.assertEqual(book.peek_script(), b"as stored")
        self.assertEqual(book.take_changes(), {})

    def test_records_that_do_not_read_back(self) -> None:
        good = Tables()
        store(good, filled())
        name, entry = next(iter(good[DESCRIPTORS].items()))
        key, script = next(iter(good[SCRIPTS].items()))
        damages: list[tuple[str, bytes, bytes | None]] = [
            (DESCRIPTORS, name, entry[:-1]),
            (DESCRIPTORS, name, entry + b"x"),
            (DESCRIPTORS, name, b"\x02" + entry[1:]),
            (DESCRIPTORS, name, entry[:1] + b"\x02" + entry[2:]),
            (DESCRIPTORS, name, entry[:-1] + b"q"),
            (DESCRIPTORS, bytes(32), entry),
            (DESCRIPTORS, name, None),
            (SCRIPTS, key, None),
            (SCRIPTS, key[:-1], script),
            (SCRIPTS, key, b""),
            (SCRIPTS, key, b"\x02" + script[1:]),
            (LABELS, b"x", b"\xff"),
        ]
        for table, where, value in damages:
            tables = {each: dict(records) for each, records in good.items()}
            if value is None:
                del tables[table][where]
            else:
                tables.setdefault(table, {})[where] = value
            self.assertRaises(BadRecord, ScriptBook.load, DEVNET, tables, GAP)

    def test_a_book_of_another_network(self) -> None:
        tables = Tables()
        store(tables, filled())
        self.assertRaises(BadRecord, ScriptBook.load, MAINNET, tables, GAP)


class BookMachine(RuleBasedStateMachine):
    """Whatever is done, a book that is loaded from what was committed is the one in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.book, self.tables, self.given = filled(3), Tables(), set[bytes]()

    @rule(chain=st.integers(0, 1))
    def hand_out(self, chain: int) -> None:
        script = self.book.new_script(chain)
        assert script not in self.given and not self.book.is_used(script)
        self.given.add(script)

    @rule(pick=st.integers(0, 10**6))
    def use(self, pick: int) -> None:
        scripts = list(self.book.scripts())
        script = scripts[pick % len(scripts)]
        fresh = self.book.mark_used(script)
        assert not set(fresh) & set(scripts) and self.book.is_used(script)

    @rule(pick=st.integers(0, 5), active=st.booleans())
    def add(self, pick: int, active: bool) -> None:
        descriptor = account_descriptors(SECOND.xpub, DEVNET)[pick % 2]
        self.book.add(descriptor, chain=pick % 2, active=active, end=pick + 1)

    @rule(text=st.text(max_size=5, alphabet="abc"), pick=st.integers(0, 30))
    def label(self, text: str, pick: int) -> None:
        self.book.set_label(SECOND.script(RECEIVE, pick), text)

    @precondition(lambda self: len(self.book.descriptors()) > 2)
    @rule(pick=st.integers(0, 10))
    def remove(self, pick: int) -> None:
        ids = [each for each, _ in self.book.descriptors()][2:]
        self.book.remove(ids[pick % len(ids)])
        for chain in (0, 1):
            self.book.activate(self.book.descriptors()[chain][0])

    @rule()
    def restart(self) -> None:
        store(self.tables, self.book)
        self.book = ScriptBook.load(DEVNET, self.tables, 3)

    @invariant()
    def survives(self) -> None:
        store(self.tables, self.book)
        assert set(self.tables) <= set(TABLES)
        again = ScriptBook.load(DEVNET, self.tables, 3)
        assert again.descriptors() == self.book.descriptors()
        assert set(again.scripts()) == set(self.book.scripts())
        assert all(again.is_used(each) == self.book.is_used(each) for each in self.book.scripts())
        assert again.take_changes() == {}
        for _, listed in self.book.descriptors():
            assert listed.end >= max(listed.next_index, listed.used) + 3


class Survives(SynchronousTestCase):
    def test_whatever_is_done(self) -> None:
        chosen = settings(deadline=None, derandomize=True, max_examples=12, stateful_step_count=15, database=None)
        run_state_machine_as_test(BookMachine, settings=chosen)
