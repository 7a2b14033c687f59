"""Coin selection against brute force, and the figures of Core's own cases that carry over."""

from __future__ import annotations

import random
from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.wallet.selection import (
    SCALE,
    Candidate,
    Chosen,
    Costs,
    branch_and_bound,
    fee_of,
    select,
    single_random_draw,
)

_SETTINGS = settings(deadline=None, derandomize=True, max_examples=150, database=None)


def coin(number: int, value: int, weight: int = 272) -> Candidate:
    return Candidate(number.to_bytes(36, "big"), value, weight)


def costs(target: int, rate: int = 100_000, **changes: object) -> Costs:
    values: dict[str, object] = {
        "target": target,
        "rate": rate,
        "change_weight": 124,
        "change_spend_weight": 272,
        "least_change": 10_000,
        "long_term_rate": 100_000,
        "max_size": 90_000,
    }
    return Costs(**(values | changes))  # type: ignore[arg-type]


def best_by_force(coins: list[Candidate], given: Costs) -> int | None:
    """The least waste of all choices without change, by trying every one."""
    found = []
    for chosen in chain.from_iterable(combinations(coins, n) for n in range(1, len(coins) + 1)):
        value = sum(map(given.worth, chosen))
        fits = sum(each.size for each in chosen) <= given.max_size
        good = all(given.worth(each) > 0 for each in chosen)
        if fits and good and given.scaled_target <= value <= given.scaled_target + given.change_cost:
            weight = sum(each.weight for each in chosen)
            found.append(weight * (given.rate - given.long_term_rate) + value - given.scaled_target)
    return min(found, default=None)


small_coins = st.lists(
    st.tuples(st.sampled_from([7_000, 10_000, 12_000, 17_000, 20_000, 31_000, 50_000]), st.sampled_from([272, 430])),
    min_size=1,
    max_size=8,
).map(lambda drawn: [coin(n, value, weight) for n, (value, weight) in enumerate(drawn)])


class BranchAndBound(SynchronousTestCase):
    """Finds what brute force finds."""

    @_SETTINGS
    @given(small_coins, st.integers(1_000, 120_000), st.sampled_from([100_000, 150_000, 400_000]))
    def test_as_brute_force(self, coins: list[Candidate], target: int, rate: int) -> None:
        given_costs = costs(target, rate)
        found = branch_and_bound(coins, given_costs)
        best = best_by_force(coins, given_costs)
        self.assertEqual(None if found is None else found.waste, best)

    @_SETTINGS
    @given(small_coins, st.integers(1_000, 60_000))
    def test_within_the_size(self, coins: list[Candidate], target: int) -> None:
        tight = costs(target, max_size=320)
        found = branch_and_bound(coins, tight)
        self.assertEqual(None if found is None else found.waste, best_by_force(coins, tight))

    def test_gives_up(self) -> None:
        # Core's worst case: pairs that differ by one, of which no choice hits the target.
        coins = [coin(n, (1 << (17 + n // 2)) * 100 + (n % 2) * 7_000_000) for n in range(34)]
        self.assertIsNone(branch_and_bound(coins, costs(sum(each.value for each in coins) // 3), tries=2_000))

    def test_a_thousand_equal_coins_are_no_burden(self) -> None:
        coins = [coin(n, 100_000) for n in range(1_000)]
        self.assertIsNone(branch_and_bound(coins, costs(50_000, max_size=10_000), tries=5_000))

    def test_coins_not_worth_their_fee_stay(self) -> None:
        self.assertIsNone(branch_and_bound([coin(1, 6_800), coin(2, 5_000)], costs(1)))


class SingleRandomDraw(SynchronousTestCase):
    """Enough, in random order, never too large."""

    @_SETTINGS
    @given(small_coins, st.integers(1_000, 100_000), st.integers(0, 1_000))
    def test_pays_or_could_not(self, coins: list[Candidate], target: int, seed: int) -> None:
        given_costs = costs(target)
        found = single_random_draw(coins, given_costs, random.Random(seed), 10_000)
        goal = given_costs.scaled_target + 10_000 * SCALE + given_costs.change_fee
        all_of_them = sum(max(0, given_costs.worth(each)) for each in coins)
        if found is None:
            self.assertLess(all_of_them, goal)
        else:
            self.assertGreaterEqual(sum(map(given_costs.worth, found.coins)), goal)
            self.assertLess(sum(map(given_costs.worth, found.coins[:-1])), goal)

    def test_small_coins_give_way_when_it_gets_too_large(self) -> None:
        coins = [coin(n, 20_000) for n in range(20)] + [coin(50, 900_000), coin(51, 900_000)]
        for seed in range(20):
            found = single_random_draw(coins, costs(1_500_000, max_size=450), random.Random(seed), 10_000)
            assert found is not None
            self.assertLessEqual(sum(each.size for each in found.coins), 450)


class Select(SynchronousTestCase):
    """The choice between the algorithms."""

    def setUp(self) -> None:
        self.random = random.Random(3)

    def choose(self, coins: list[Candidate], given_costs: Costs) -> Chosen:
        found = select(coins, given_costs, self.random)
        assert found is not None
        return found

    def test_an_exact_match_wins(self) -> None:
        coins = [coin(1, 106_800), coin(2, 900_000), coin(3, 50_000)]
        found = self.choose(coins, costs(100_000))
        self.assertEqual((found.algorithm, found.exact, found.coins), ("bnb", True, (coins[0],)))

    def test_no_exact_match_when_the_receivers_pay(self) -> None:
        coins = [coin(1, 100_000), coin(2, 900_000)]
        self.assertEqual(self.choose(coins, costs(100_000, ignore_fees=True)).algorithm, "srd")

    def test_the_last_coins_without_room_for_change(self) -> None:
        coins = [coin(1, 120_000), coin(2, 30_000)]
        found = self.choose(coins, costs(131_000))
        self.assertEqual((found.algorithm, found.exact, len(found.coins)), ("bnb", True, 2))
        found = self.choose(coins, costs(118_000))
        self.assertEqual((found.algorithm, found.exact, len(found.coins)), ("largest", False, 2))

    def test_not_enough(self) -> None:
        self.assertIsNone(select([coin(1, 50_000)], costs(50_000), self.random))
        self.assertIsNone(select([], costs(1), self.random))

    def test_too_large_together(self) -> None:
        coins = [coin(n, 20_000) for n in range(100)]
        self.assertIsNone(select(coins, costs(1_200_000, max_size=5_000), self.random))

    @_SETTINGS
    @given(small_coins, st.integers(1_000, 200_000), st.integers(0, 99))
    def test_enough_whenever_all_are(self, coins: list[Candidate], target: int, seed: int) -> None:
        given_costs = costs(target)
        found = select(coins, given_costs, random.Random(seed))
        possible = sum(max(0, given_costs.worth(each)) for each in coins) >= given_costs.scaled_target
        self.assertEqual(found is not None, possible)

    def test_fees_round_up(self) -> None:
        self.assertEqual([fee_of(100_000, 141), fee_of(1, 1), fee_of(1_500, 1), fee_of(0, 9)], [14_100, 1, 2, 0])
