from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.payments import VALUE, genesis_coin, genesis_outpoint, spend
from timecoin.mempool.entry import Entry, all_ancestors, ancestors, descendants
from timecoin.mempool.errors import PoolFull
from timecoin.mempool.pool import Pool
from timecoin.primitives.transaction import Transaction


def entry(tx: Transaction, fee: int = 100_000) -> Entry:
    return Entry(tx, (genesis_coin(),) * len(tx.inputs), fee, 0)


class PoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = Pool(10_000_000)

    def put(self, tx: Transaction, *parents: Entry, fee: int = 100_000) -> Entry:
        made = entry(tx, fee)
        self.pool.add(made, parents)
        return made

    def family(self) -> list[Entry]:
        """A diamond: a → b, c → d."""
        a = self.put(spend([genesis_outpoint(0)]))
        b = self.put(spend([a.tx.outpoint(0)], value=VALUE // 3), a)
        c = self.put(spend([a.tx.outpoint(1)], value=VALUE // 3), a)
        d = self.put(spend([b.tx.outpoint(0), c.tx.outpoint(0)], value=VALUE // 8), b, c)
        return [a, b, c, d]

    def test_family_ties(self) -> None:
        a, b, c, d = self.family()
        self.assertEqual(descendants(a), [b, c, d])
        self.assertEqual({each.txid for each in all_ancestors(d)}, {a.txid, b.txid, c.txid})
        self.assertEqual(len(ancestors(d, 3) or ()), 3)
        self.assertIsNone(ancestors(d, 2))
        self.pool.remove(a)
        self.assertEqual(all_ancestors(b), [])
        self.pool.remove(d)
        self.assertEqual((dict(b.children), dict(c.children)), ({}, {}))

    def test_iteration_is_by_admission(self) -> None:
        family = self.family()
        self.assertEqual(list(self.pool), family)
        self.assertEqual([each.order for each in family], [1, 2, 3, 4])

    def test_who_stands_back(self) -> None:
        """Of rivals the first, or the one nearer to final, and no child of the others: no coin is spent twice."""
        shared = genesis_outpoint(0)
        alone = self.put(spend([genesis_outpoint(1)]))
        self.assertEqual(self.pool.standing_back(), set())
        one, two = self.put(spend([shared])), self.put(spend([shared], salt=1))
        child = self.put(spend([two.tx.outpoint(0)], value=VALUE // 3), two)
        self.assertEqual(self.pool.standing_back(), {two.txid, child.txid})
        self.pool.certify(two)
        self.assertEqual(self.pool.standing_back(), {one.txid})
        self.pool.finalize(one)
        self.assertEqual(self.pool.standing_back(), {two.txid, child.txid})
        self.pool.remove(one)
        self.assertEqual(self.pool.standing_back(), set())
        self.assertIn(alone.txid, self.pool)

    def test_rivals(self) -> None:
        shared, other = genesis_outpoint(0), genesis_outpoint(1)
        one = self.put(spend([shared]))
        self.assertFalse(self.pool.is_contested(one))
        two, three = self.put(spend([shared, other])), self.put(spend([other]))
        self.assertEqual(self.pool.rivals(one), (two,))
        self.assertEqual(self.pool.rivals(two), (one, three))
        self.assertEqual(self.pool.spenders(shared), (one, two))
        self.pool.remove(one)
        self.assertEqual(self.pool.spenders(shared), (two,))
        self.assertTrue(self.pool.is_contested(two))
        self.pool.remove(three)
        self.assertEqual((self.pool.rivals(two), self.pool.is_contested(two)), ((), False))
        self.pool.remove(two)
        self.assertEqual((self.pool.spenders(shared), len(self.pool), self.pool.bytes), ((), 0, 0))

    def test_two_common_inputs_make_one_rival(self) -> None:
        coins = [genesis_outpoint(0), genesis_outpoint(1)]
        one, two = self.put(spend(coins)), self.put(spend(coins, salt=2))
        self.assertEqual(self.pool.rivals(one), (two,))

    def test_victims_by_rate_latest_first(self) -> None:
        fees = (300, 100, 100, 200)
        entries = [self.put(spend([genesis_outpoint(n)]), fee=fee) for n, fee in enumerate(fees)]
        self.pool.max_bytes = self.pool.bytes
        newcomer = entry(spend([genesis_outpoint(9)]), 250)
        self.assertEqual(self.pool.victims(newcomer, ()), [entries[2]])
        self.pool.max_bytes -= 1
        self.assertEqual(self.pool.victims(newcomer, ()), [entries[2], entries[1]])

    def test_a_full_pool_stays_as_it_is(self) -> None:
        entries = [self.put(spend([genesis_outpoint(n)]), fee=100 + n) for n in range(3)]
        self.pool.max_bytes = self.pool.bytes - entries[0].memory
        newcomer = entry(spend([genesis_outpoint(9)]), 101)
        for _ in range(3):
            self.assertRaises(PoolFull, self.pool.victims, newcomer, ())
        richer = entry(spend([genesis_outpoint(9)]), 1_000)
        self.assertEqual(self.pool.victims(richer, ()), entries[:2])

    def test_parents_of_the_newcomer_are_no_victims(self) -> None:
        parent = self.put(spend([genesis_outpoint(0)]), fee=100)
        other = self.put(spend([genesis_outpoint(1)]), fee=150)
        self.pool.max_bytes = self.pool.bytes
        child = entry(spend([parent.tx.outpoint(0)], value=VALUE // 3), 500)
        self.assertEqual(self.pool.victims(child, [parent]), [other])

    def test_voted_ones_can_be_spared(self) -> None:
        voted, other = [self.put(spend([genesis_outpoint(n)]), fee=100 + n) for n in range(2)]
        voted.voted = True
        self.pool.max_bytes = self.pool.bytes
        newcomer = entry(spend([genesis_outpoint(9)]), 500)
        self.assertEqual(self.pool.victims(newcomer, (), keep_voted=True), [other])
        self.assertEqual(self.pool.victims(newcomer, ()), [voted])

    def test_at_any_price(self) -> None:
        rich = self.put(spend([genesis_outpoint(0)]), fee=900)
        self.pool.max_bytes = self.pool.bytes
        cheap = entry(spend([genesis_outpoint(1)]), 1)
        self.assertEqual(self.pool.victims(cheap, (), at_any_price=True), [rich])
        rich.certified = True
        self.assertEqual(self.pool.victims(cheap, (), at_any_price=True), [])

    def test_what_left_the_pool_leaves_the_heap(self) -> None:
        for n in range(10_000):
            self.pool.remove(self.put(spend([genesis_outpoint(0)], salt=2 * (n % 50))))
        self.assertLess(len(self.pool._cheapest._heap), 5_000)

    def test_totals(self) -> None:
        a, b, c, d = self.family()
        pool, size = self.pool, sum(each.size for each in (a, b, c, d))
        self.assertEqual((pool.serialized, pool.fees), (size, 400_000))
        self.assertEqual(pool.vsize, sum(each.tx.vsize for each in (a, b, c, d)))
        pool.certify(a)
        pool.certify(b)
        self.assertEqual((pool.certified, pool.final), (2, 0))
        pool.finalize(a)
        pool.finalize(c)
        self.assertTrue(c.final and not c.certified)
        self.assertEqual((pool.certified, pool.final), (1, 2))
        pool.certify(c)
        self.assertEqual((pool.certified, pool.final), (1, 2))
        for each in (a, b, c, d):
            pool.lapse(each)
        self.assertEqual((pool.certified, pool.final, b.certified), (0, 2, False))
        for each in (d, c, b, a):
            pool.remove(each)
        self.assertEqual((pool.serialized, pool.vsize, pool.fees, pool.certified, pool.final, pool.bytes), (0,) * 6)
