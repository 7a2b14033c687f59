"""Histories against a naive model that knows only definitions, the guard, and what the store keeps of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxInput, TxOutput
from timecoin.wallet.balance import Balance, Balances, reckon
from timecoin.wallet.coins import CoinLocks, Owned
from timecoin.wallet.details import entries, flow
from timecoin.wallet.guard import Guard, SecondSpend, decode_signed, encode_signed
from timecoin.wallet.history import CONFLICT, PARENT_REJECTED, Archived, CannotAbandon, History
from timecoin.wallet.records import (
    ABANDONED,
    FoundCoin,
    Record,
    decode_found,
    decode_record,
    encode_found,
    encode_record,
)

OURS = [p2wpkh(bytes([n]) * 20) for n in range(4)]
CHANGE = p2wpkh(b"\x77" * 20)
WATCHED = p2wpkh(b"\x88" * 20)
OTHER = p2wpkh(b"\x99" * 20)
PLACE = Archived(7, b"\x07" * 32, 1_800_000_000)
STATUSES = ("pending", "certified", "final", "archived", "rejected")


class Own:
    """Owner of these scripts."""

    def __init__(self) -> None:
        self.scripts = {each: Owned() for each in OURS} | {CHANGE: Owned(change=True), WATCHED: Owned(spendable=False)}

    def owned(self, script: bytes) -> Owned | None:
        return self.scripts.get(script)


def tx(inputs: list[OutPoint], outputs: list[tuple[int, bytes]]) -> Transaction:
    return Transaction(2, tuple(map(TxInput, inputs)), tuple(TxOutput(*each) for each in outputs))


def outside(n: int) -> OutPoint:
    return n.to_bytes(36, "big")


class Naive:
    """The same, from the definitions, looking at everything after every event."""

    def __init__(self) -> None:
        self.txs: dict[bytes, Transaction] = {}
        self.status: dict[bytes, str] = {}

    def heard(self, tx: Transaction, status: str) -> None:
        before = self.status.get(tx.txid)
        if before == "archived" or (before == "final" and status != "archived"):
            return
        self.txs[tx.txid] = tx
        self.status[tx.txid] = status
        if status not in ("final", "archived") and any(self.settled(each) for each in self.rivals(tx)):
            self.status[tx.txid] = "rejected"
        if self.settled(tx):
            self.reject(self.rivals(tx))
        if self.status[tx.txid] == "rejected":
            self.reject(self.children(tx))

    def settled(self, tx: Transaction) -> bool:
        return self.status[tx.txid] in ("final", "archived")

    def live(self, tx: Transaction) -> bool:
        return self.status[tx.txid] != "rejected"

    def reject(self, txs: list[Transaction]) -> None:
        for each in txs:
            if self.live(each) and not self.settled(each):
                self.status[each.txid] = "rejected"
                self.reject(self.children(each))

    def rivals(self, tx: Transaction) -> list[Transaction]:
        spent = set(tx.outpoints())
        return [each for each in self.txs.values() if each.txid != tx.txid and spent & set(each.outpoints())]

    def children(self, tx: Transaction) -> list[Transaction]:
        return [each for each in self.txs.values() if any(spent[:32] == tx.txid for spent in each.outpoints())]

    def unspent(self) -> dict[OutPoint, tuple[int, str]]:
        spent = {outpoint for each in self.txs.values() if self.live(each) for outpoint in each.outpoints()}
        return {
            each.outpoint(n): (output.value, self.status[each.txid])
            for each in self.txs.values()
            if self.live(each)
            for n, output in enumerate(each.outputs)
            if output.script != OTHER and each.outpoint(n) not in spent
        }


def _family(draws: list[tuple[int, int, int, int]]) -> list[Transaction]:
    """Transactions that spend outside coins and each other's outputs, often the same ones."""
    made: list[Transaction] = []
    for n, (first, second, script, change) in enumerate(draws):
        spendable = [outside(k) for k in range(1, 4)] + [each.outpoint(k) for each in made for k in (0, 1)]
        inputs = list({spendable[first % len(spendable)], spendable[second % len(spendable)]})
        outputs = [(100 + n, [*OURS, OTHER, WATCHED][script % 6]), (1_000 + n, [CHANGE, OTHER][change % 2])]
        made.append(tx(sorted(inputs), outputs))
    return made


_number = st.integers(0, 50)
families = st.lists(st.tuples(_number, _number, _number, _number), min_size=1, max_size=8).map(_family)
events = st.lists(st.tuples(_number, st.sampled_from(STATUSES)), max_size=25)


class AgainstTheModel(SynchronousTestCase):
    """After any events, in any order."""

    @settings(deadline=None, derandomize=True, max_examples=300, database=None)
    @given(families, events)
    def test_any_history(self, family: list[Transaction], happens: list[tuple[int, str]]) -> None:
        history, naive, owner, stored = History(Own()), Naive(), Own(), dict[bytes, bytes]()
        for number, status in happens:
            each = family[number % len(family)]
            if status == "rejected" and each.txid not in history:
                continue
            history.heard(each, status, number, place=PLACE if status == "archived" else None)
            naive.heard(each, status)
            self.check(history, naive)
            for txid in history.take_changes()[0]:
                record = history.get(txid)
                assert record is not None
                stored[txid] = encode_record(record)
        again = History(owner, map(decode_record, stored.values()))
        self.check(again, naive)
        self.assertEqual([each.txid for each in again.newest_first()], [each.txid for each in history.newest_first()])

    def check(self, history: History, naive: Naive) -> None:
        known = {txid: record.status for txid in naive.txs if (record := history.get(txid))}
        self.assertEqual(known, naive.status)
        found = {each.outpoint: (each.value, history.status_of(each)) for each in history.unspent()}
        self.assertEqual(found, naive.unspent())
        collateral = [each.outpoint for each in history.unspent()][::2]
        balances = reckon(history, [*collateral, outside(99)])
        self.assertEqual(balances, self.one_by_one(history, set(collateral)))
        for part in (balances.mine, balances.watched):
            self.assertEqual(part.total, part.pending + part.certified + part.final + part.archived)
            self.assertGreaterEqual(part.trusted, part.final + part.archived)
        self.assertEqual(balances.mine.total + balances.watched.total, sum(value for value, _ in found.values()))


    def one_by_one(self, history: History, collateral: set[OutPoint]) -> Balances:
        result = Balances(Balance(), Balance())
        for coin in history.unspent():
            part = result.mine if coin.owned.spendable else result.watched
            part.add(history.status_of(coin), coin.value, history.is_trusted(coin.txid))
            part.collateral += coin.value if coin.outpoint in collateral else 0
        return result


class Steps(SynchronousTestCase):
    """One thing at a time."""

    def setUp(self) -> None:
        self.history = History(Own())
        self.salary = tx([outside(1)], [(1_000, OURS[0])])
        self.rent = tx([self.salary.outpoint(0)], [(600, OTHER), (300, CHANGE)])

    def heard(self, each: Transaction, status: str) -> None:
        self.history.heard(each, status, 5, place=PLACE if status == "archived" else None)

    def status(self, each: Transaction) -> tuple[str, str]:
        record = self.history.get(each.txid)
        assert record is not None
        return record.status, record.reason

    def total(self) -> int:
        return sum(coin.value for coin in self.history.unspent())

    def test_touches(self) -> None:
        stranger = tx([outside(9)], [(5, OTHER)])
        self.assertTrue(self.history.touches(self.salary))
        self.assertFalse(self.history.touches(stranger))
        self.heard(self.salary, "final")
        self.assertTrue(self.history.touches(tx([self.salary.outpoint(0)], [(5, OTHER)])))

    def test_own_change_is_trusted_at_once(self) -> None:
        self.heard(self.salary, "certified")
        self.assertFalse(self.history.is_trusted(self.salary.txid))
        self.heard(self.rent, "pending")
        self.assertFalse(self.history.is_trusted(self.rent.txid))
        self.heard(self.salary, "final")
        self.assertTrue(self.history.is_trusted(self.rent.txid))

    def test_contested_change_is_not(self) -> None:
        self.heard(self.salary, "final")
        self.heard(self.rent, "pending")
        rival = tx([self.salary.outpoint(0)], [(900, OURS[1])])
        self.heard(rival, "pending")
        self.assertFalse(self.history.is_trusted(self.rent.txid))
        self.assertEqual(self.total(), 300 + 900)

    def test_a_rival_that_wins(self) -> None:
        self.heard(self.salary, "final")
        self.heard(self.rent, "certified")
        child = tx([self.rent.outpoint(1)], [(200, OURS[2])])
        self.heard(child, "pending")
        rival = tx([self.salary.outpoint(0)], [(900, OURS[1])])
        self.heard(rival, "archived")
        self.assertEqual(self.status(self.rent), ("rejected", CONFLICT))
        self.assertEqual(self.status(child), ("rejected", PARENT_REJECTED))
        self.assertEqual(self.total(), 900)

    def test_a_child_before_its_parent(self) -> None:
        self.heard(self.rent, "pending")
        self.heard(self.salary, "final")
        self.assertEqual(self.total(), 300)

    def test_final_does_not_go_back(self) -> None:
        self.heard(self.salary, "final")
        self.heard(self.salary, "pending")
        self.heard(self.salary, "rejected")
        self.assertEqual(self.status(self.salary), ("final", ""))

    def test_signed_abandoned_and_heard_of_again(self) -> None:
        self.heard(self.salary, "final")
        self.history.sign(self.rent, 9, {"comment": "rent"})
        self.assertEqual([each.txid for each in self.history.to_send_again()], [self.rent.txid])
        self.history.abandon(self.rent.txid)
        self.assertEqual(self.status(self.rent), ("rejected", ABANDONED))
        self.assertEqual((self.total(), self.history.to_send_again()), (1_000, []))
        self.heard(self.rent, "certified")
        self.assertEqual(self.total(), 300)
        self.assertRaises(CannotAbandon, self.history.abandon, self.rent.txid)
        self.assertRaises(KeyError, self.history.abandon, b"\x01" * 32)

    def test_forgotten(self) -> None:
        self.heard(self.salary, "final")
        before = self.history.unspent()
        self.history.take_changes()
        self.history.sign(self.rent, 9, {})
        self.history.forget(self.rent.txid)
        self.assertEqual(self.history.unspent(), before)
        self.assertEqual(self.history.take_changes(), ([self.rent.txid], []))
        self.assertIsNone(self.history.get(self.rent.txid))

    def test_unarchived_ancestors(self) -> None:
        self.heard(self.salary, "archived")
        self.heard(self.rent, "final")
        child = tx([self.rent.outpoint(1)], [(200, OURS[2])])
        self.heard(child, "pending")
        self.assertEqual(self.history.unarchived_ancestors([child.txid]), {child.txid, self.rent.txid})

    def test_found_coins(self) -> None:
        coin = FoundCoin(outside(8), 50, OURS[0], 3, False)
        self.assertTrue(self.history.find(coin))
        self.assertFalse(self.history.find(coin))
        self.assertFalse(self.history.find(FoundCoin(outside(9), 50, OTHER, 3, False)))
        (mine,) = self.history.unspent()
        self.assertEqual((self.history.status_of(mine), self.history.height_of(mine)), ("archived", 3))
        self.assertEqual(decode_found(encode_found(coin)), coin)
        again = History(Own(), (), [coin])
        self.assertEqual(again.take_changes(), ([], []))
        again.heard(tx([outside(8)], [(40, OTHER)]), "pending", 1)
        self.assertEqual(again.unspent(), [])

    def test_more_scripts(self) -> None:
        owner = Own()
        del owner.scripts[OURS[3]]
        history = History(owner)
        both = tx([outside(1)], [(1, OURS[0]), (2, OURS[3])])
        history.heard(both, "final", 1)
        owner.scripts[OURS[3]] = Owned()
        history.own_again()
        self.assertEqual(sum(each.value for each in history.unspent()), 3)

    def test_lines(self) -> None:
        self.heard(self.salary, "final")
        self.heard(self.rent, "pending")
        record = self.history.get(self.rent.txid)
        assert record is not None
        self.assertEqual([(each.category, each.amount) for each in entries(self.history, record)], [("send", -600)])
        shown = [(each.category, each.amount) for each in entries(self.history, record, with_change=True)]
        self.assertEqual(shown, [("send", -600), ("send", -300), ("receive", 300)])
        moved = flow(self.history, record)
        self.assertEqual((moved.debit, moved.credit, moved.fee, moved.net), (1_000, 300, 100, -600))
        reward = tx([NULL_OUTPOINT], [(500, OURS[1])])
        self.heard(reward, "archived")
        record = self.history.get(reward.txid)
        assert record is not None
        self.assertEqual([each.category for each in entries(self.history, record)], ["generate"])

    def test_a_record_of_another_kind_is_refused(self) -> None:
        record = Record(tx=self.salary, status="pending", order=1, seen_ms=2, notes={"comment": "x"})
        data = encode_record(record)
        self.assertEqual(decode_record(data), record)
        for bad in (b"", data[:-1], data.replace(b"pending", b"perhaps")):
            with self.assertRaises(ValueError):
                decode_record(bad)


class Guarding(SynchronousTestCase):
    """Two spends of a coin."""

    def setUp(self) -> None:
        self.one, self.two = tx([outside(1), outside(2)], [(1, OTHER)]), tx([outside(2)], [(2, OTHER)])

    def test_one_spend_in_an_epoch(self) -> None:
        guard = Guard()
        guard.allow(self.one, self.one.outpoints(), 5)
        changes = guard.record(self.one, self.one.outpoints(), 5)
        again = Guard({each: decode_signed(data) for each, data in changes.items()})
        for each in (guard, again):
            each.allow(self.one, self.one.outpoints(), 5)
            self.assertRaises(SecondSpend, each.allow, self.two, self.two.outpoints(), 5)
            self.assertRaises(SecondSpend, each.allow, self.two, self.two.outpoints(), 4)
            each.allow(self.two, self.two.outpoints(), 6)
            self.assertEqual(each.spend_of(outside(1), 5), self.one.txid)
        self.assertEqual(guard.record(self.one, self.one.outpoints(), 5), {})

    def test_an_epoch_never_goes_back(self) -> None:
        guard = Guard()
        guard.record(self.one, self.one.outpoints(), 5)
        guard.record(self.two, self.two.outpoints(), 3)
        self.assertEqual(guard.spend_of(outside(2), 5), self.two.txid)

    def test_released_and_pruned(self) -> None:
        guard = Guard()
        guard.record(self.one, self.one.outpoints(), 5)
        self.assertEqual(guard.release(self.two, self.two.outpoints()), {})
        self.assertEqual(guard.prune(5), {})
        self.assertEqual(set(guard.prune(6)), {outside(1), outside(2)})
        guard.record(self.two, self.two.outpoints(), 6)
        self.assertEqual(set(guard.release(self.two, self.two.outpoints())), {outside(2)})
        guard.allow(self.one, self.one.outpoints(), 6)

    def test_a_malformed_record(self) -> None:
        self.assertRaises(ValueError, decode_signed, encode_signed(SIGNED)[:-1])


SIGNED = decode_signed(b"\x05" * 32 + b"\x01\x00\x00\x00")


class Locks(SynchronousTestCase):
    """lockunspent."""

    def test_durable_or_not(self) -> None:
        locks = CoinLocks([outside(1)])
        self.assertEqual((outside(1) in locks, locks.is_durable(outside(1))), (True, True))
        self.assertFalse(locks.lock(outside(2), durable=False))
        self.assertTrue(locks.lock(outside(2), durable=True))
        self.assertFalse(locks.lock(outside(2), durable=False))
        self.assertEqual(locks.listed(), [outside(1), outside(2)])
        self.assertTrue(locks.unlock(outside(2)))
        self.assertFalse(locks.unlock(outside(2)))
