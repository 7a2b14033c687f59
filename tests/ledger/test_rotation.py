from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.masternodes import key, script, txid
from timecoin.ledger.powerset import Member, PowerSet
from timecoin.ledger.rotation import carry, initial, proposer, step

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40, database=None)
POWERS = st.lists(st.integers(1, 60), min_size=1, max_size=8)

# Source: cometbft types/validator_set_test.go, TestProposerSelection1: foo 1000, bar 300, baz 330.
SELECTION_1 = """
foo baz foo bar foo foo baz foo bar foo foo baz foo foo bar foo baz foo foo bar foo foo baz foo bar foo foo
baz foo bar foo foo baz foo foo bar foo baz foo foo bar foo baz foo foo bar foo baz foo foo bar foo baz foo
foo foo baz bar foo foo foo baz foo bar foo foo baz foo bar foo foo baz foo bar foo foo baz foo bar foo foo
baz foo foo bar foo baz foo foo bar foo baz foo foo bar foo baz foo foo
"""


def member(number: int, power: int) -> Member:
    return Member(txid(number), key(number + 1), power, script(number))


def power_set(*powers: int) -> PowerSet:
    return PowerSet(member(i, power) for i, power in enumerate(powers))


def sequence(members: PowerSet, priorities: tuple[int, ...], heights: int) -> list[int]:
    chosen = []
    for _ in range(heights):
        priorities, index = step(members, priorities)
        chosen.append(index)
    return chosen


class SpecificationTests(SynchronousTestCase):
    """The worked examples of cometbft spec/consensus/proposer-selection.md."""

    def test_stable_set(self) -> None:
        members = power_set(1, 3)
        priorities, rows = initial(members), []
        for _ in range(4):
            priorities, chosen = step(members, priorities)
            rows.append((priorities, chosen))
        self.assertEqual(rows, [((1, -1), 1), ((-2, 2), 0), ((-1, 1), 1), ((0, 0), 1)])

    def test_power_change(self) -> None:
        before, after = power_set(1, 3), power_set(4, 3)
        self.assertEqual(step(after, carry(before, (1, -1), after)), ((-2, 2), 0))

    def test_removal(self) -> None:
        before = power_set(1, 2, 3)
        after = PowerSet([before.members[0], before.members[2]])
        self.assertEqual(step(after, carry(before, (1, 2, -3), after)), ((-1, 1), 0))

    def test_newcomer(self) -> None:
        before, after = power_set(1, 3), power_set(1, 3, 8)
        carried = carry(before, (2, -2), after)
        self.assertEqual(carried, (2, -2, -13))
        self.assertEqual(step(after, carried), ((-5, 5, -1), 0))

    def test_priority_range(self) -> None:
        """The section on the priority range: once 80k leaves, the gap is scaled to 2·P = 40 at once."""
        after = power_set(10, 10)
        priorities, _ = step(after, (-60_000, -15_000))
        self.assertLessEqual(max(priorities) - min(priorities), 40 + 20)

    def test_selection_1(self) -> None:
        names = ("foo", "baz", "bar")
        members = power_set(1_000, 330, 300)
        self.assertEqual([names[i] for i in sequence(members, initial(members), 99)], SELECTION_1.split())

    def test_equal_powers_take_turns_in_order(self) -> None:
        members = power_set(100, 100, 100)
        self.assertEqual(sequence(members, initial(members), 7), [0, 1, 2, 0, 1, 2, 0])


class RotationTests(SynchronousTestCase):
    def test_rounds_go_on_from_the_height(self) -> None:
        members = power_set(7, 2, 1)
        turns = [proposer(members, initial(members), round_number) for round_number in range(10)]
        self.assertEqual(turns, sequence(members, initial(members), 10))

    def test_alone(self) -> None:
        alone = power_set(1)
        self.assertEqual(step(alone, (0,)), ((0,), 0))
        self.assertEqual(proposer(alone, (0,), 5), 0)

    def test_reordering_carries_by_id(self) -> None:
        before = power_set(3, 2, 1)
        after = PowerSet(before.members[::-1])
        self.assertEqual(carry(before, (5, 6, 7), after), (7, 6, 5))

    def test_wrong_priorities(self) -> None:
        members = power_set(1, 2)
        self.assertRaises(ValueError, step, members, (0,))
        self.assertRaises(ValueError, step, members, (0, 0), 0)
        self.assertRaises(ValueError, step, PowerSet(()), ())
        self.assertRaises(ValueError, carry, members, (0,), members)

    @SETTINGS
    @given(POWERS)
    def test_fair_over_a_period(self, powers: list[int]) -> None:
        members = power_set(*powers)
        turns = Counter(sequence(members, initial(members), members.total))
        self.assertEqual([turns[i] for i in range(len(powers))], powers)

    @SETTINGS
    @given(POWERS, st.lists(POWERS, max_size=5), st.integers(1, 30))
    def test_bounded_through_changes(self, first: list[int], changes: list[list[int]], heights: int) -> None:
        members = power_set(*first)
        priorities = initial(members)
        for powers in changes:
            for _ in range(heights):
                priorities, _ = step(members, priorities)
            changed = power_set(*powers)
            members, priorities = changed, carry(members, priorities, changed)
            priorities, _ = step(members, priorities)
            self.assertLessEqual(max(priorities) - min(priorities), 4 * members.total)
            self.assertLess(abs(sum(priorities)), len(members))
