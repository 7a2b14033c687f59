"""Splitting change: into how many coins, and that what is made of it is still the same payment."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wallet.test_building import LEGACY, LIMITS, OTHER, OWN, PARAMS, RATE, coin, plan, signed
from timecoin.ledger.validation import check_transaction, minimum_fee
from timecoin.primitives.transaction import TxOutput
from timecoin.wallet.building import MOST_PARTS, Built, Limits, build
from timecoin.wallet.selection import Candidate
from timecoin.wallet.splitting import LINE_TO_SPLIT, Room, least_part, parts_wanted, split_change

COIN = 10**8
MOST = PARAMS.max_chain


class Wanted(SynchronousTestCase):
    """The number of parts."""

    def wanted(
        self, line: int = 4, change: int = 100 * COIN, others: Sequence[Room] = (), goal: int = 100, least: int = COIN
    ) -> int:
        return parts_wanted(change, line, others, goal, MOST, least)

    def test_who_pays_now_and_then_keeps_one_coin(self) -> None:
        self.assertEqual([self.wanted(line) for line in range(1, LINE_TO_SPLIT)], [1] * (LINE_TO_SPLIT - 1))
        self.assertEqual(self.wanted(LINE_TO_SPLIT), 5)

    def test_as_many_as_are_missing(self) -> None:
        self.assertEqual(self.wanted(goal=22), 1)
        self.assertEqual(self.wanted(goal=23), 2)
        self.assertEqual(self.wanted(others=[Room(5 * COIN, 26)] * 3), 1)
        self.assertEqual(self.wanted(others=[Room(5 * COIN, 26)] * 2), 3)
        self.assertEqual(self.wanted(others=[Room(COIN - 1, 26)] * 9), 5)

    def test_bounds(self) -> None:
        self.assertEqual(self.wanted(goal=10_000), MOST_PARTS)
        self.assertEqual(self.wanted(change=7 * COIN), 3)
        self.assertEqual(self.wanted(change=3 * COIN), 1)
        self.assertEqual(self.wanted(line=MOST), MOST_PARTS)
        self.assertEqual(self.wanted(line=MOST + 1), 1)

    def test_a_part_pays_the_same_again_and_a_hundred_times_its_costs(self) -> None:
        self.assertEqual(least_part(COIN, RATE, OWN, LEGACY), COIN)
        self.assertEqual(least_part(1, RATE, OWN, LEGACY), 100 * (31 + 68) * PARAMS.min_fee_rate)
        self.assertEqual(least_part(1, 50 * RATE, OWN, LEGACY), 50 * least_part(1, RATE, OWN, LEGACY))


class Split(SynchronousTestCase):
    """The transaction."""

    def built(self, coins: list[Candidate], rate: int = RATE, bearing: tuple[int, ...] = ()) -> Built:
        outputs = (TxOutput(COIN, OTHER), TxOutput(2 * COIN, OTHER))
        return build(plan(outputs, coins, rate=rate, subtract_from=bearing), LIMITS, random.Random(1))

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(
        st.lists(st.integers(2 * COIN, 900 * COIN), min_size=2, max_size=4),
        st.integers(2, MOST_PARTS),
        st.sampled_from([RATE, 133_337, 900_000]),
        st.sampled_from([(), (0,), (0, 1)]),
        st.integers(0, 100),
    )
    def test_the_same_payment(
        self, values: list[int], parts: int, rate: int, bearing: tuple[int, ...], seed: int
    ) -> None:
        coins = [coin(n, value) for n, value in enumerate(values)]
        one = self.built(coins, rate, bearing)
        if one.change_position is None or one.tx.outputs[one.change_position].value < COIN:
            return
        made = split_change(one, parts, rate, LIMITS, random.Random(seed))
        own = [n for n, each in enumerate(made.tx.outputs) if each.script == OWN]
        self.assertEqual((own, len(own), own[0]), (list(made.change_places), parts, made.change_position))
        rest = [each for each in one.tx.outputs if each.script != OWN]
        self.assertEqual([each for each in made.tx.outputs if each.script != OWN], rest)
        parted = [made.tx.outputs[n].value for n in own]
        self.assertLessEqual(max(parted), 2 * min(parted) + parts)
        known = {each.outpoint: each.value for each in coins}
        tx = signed(made.tx, known)
        check_transaction(PARAMS, tx)
        fee = sum(known[each] for each in tx.outpoints()) - sum(each.value for each in tx.outputs)
        self.assertEqual(fee, made.fee)
        self.assertGreaterEqual(fee, minimum_fee(PARAMS, tx))
        self.assertLessEqual(tx.vsize, made.estimated_vsize)
        self.assertLessEqual(fee - one.fee, -(-rate * 31 * (parts - 1) // 1_000) + rate // 1_000 + 1)
        self.assertEqual(made, split_change(one, parts, rate, LIMITS, random.Random(seed)))

    def test_parts_stand_anywhere(self) -> None:
        one = self.built([coin(1, 100 * COIN)])
        places = {split_change(one, 2, RATE, LIMITS, random.Random(seed)).change_places for seed in range(60)}
        self.assertEqual(places, {(a, b) for b in range(4) for a in range(b)})

    def test_not_beyond_the_largest_transaction_nor_below_dust(self) -> None:
        one = self.built([coin(1, 100 * COIN)])
        size = signed(one.tx, {coin(1, 0).outpoint: 100 * COIN}).size
        small = Limits(LIMITS.dust, LIMITS.min_fee_rate, size + 40)
        self.assertIs(split_change(one, 3, RATE, small, random.Random(1)), one)
        little = self.built([coin(1, 3 * COIN + 60_000)])
        self.assertIsNotNone(little.change_position)
        self.assertIs(split_change(little, 5, RATE, LIMITS, random.Random(1)), little)

    def test_without_change_there_is_nothing_to_split(self) -> None:
        exact = self.built([coin(1, 3 * COIN + 15_000)])
        self.assertIs(split_change(exact, 5, RATE, LIMITS, random.Random(1)), exact)
