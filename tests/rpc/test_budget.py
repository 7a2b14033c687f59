"""The weighted semaphore of heavy calls: never more than it has, nobody starved."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from timecoin.rpc.budget import Budget


class BudgetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = Budget(10, 4)
        self.order: list[str] = []

    def take(self, caller: str, cost: int) -> Deferred[None]:
        turn = self.budget.take(caller, cost)
        turn.addCallbacks(lambda _: self.order.append(caller), lambda failure: failure.trap(CancelledError) and None)
        return turn

    def test_as_much_as_there_is(self) -> None:
        for name in ("a", "b", "c"):
            self.take(name, 5)
        self.assertEqual((self.order, self.budget.taken, self.budget.waiting), (["a", "b"], 10, 1))
        self.budget.free(5)
        self.assertEqual((self.order, self.budget.taken), (["a", "b", "c"], 10))

    def test_what_costs_more_than_all_runs_alone(self) -> None:
        self.take("a", 1)
        self.take("b", 99)
        self.take("c", 1)
        self.assertEqual(self.order, ["a"])
        self.budget.free(1)
        self.assertEqual(self.order, ["a", "b"])
        self.budget.free(99)
        self.assertEqual((self.order, self.budget.taken), (["a", "b", "c"], 1))

    def test_full(self) -> None:
        self.take("a", 10)
        for _ in range(3):
            self.take("a", 1)
        self.assertFalse(self.budget.is_full)
        self.take("a", 1)
        self.assertTrue(self.budget.is_full)

    def test_one_who_asks_for_much_waits_for_itself(self) -> None:
        self.take("greedy", 10)
        for _ in range(20):
            self.take("greedy", 10)
        self.take("modest", 10)
        self.budget.free(10)
        self.budget.free(10)
        self.assertIn("modest", self.order[:3])

    def test_shares_are_counted_in_units_also_of_one_who_asks_again_and_again(self) -> None:
        self.take("other", 10)
        for name, cost in (("heavy", 10), ("light", 1)):
            self.take(name, cost)
        served = {"heavy": 0, "light": 0}
        running = [("other", 10)]
        for _ in range(200):
            name, cost = running.pop(0)
            before = len(self.order)
            self.budget.free(cost)
            for each in self.order[before:]:
                served[each] += 10 if each == "heavy" else 1
                running.append((each, 10 if each == "heavy" else 1))
                self.take(each, 10 if each == "heavy" else 1)
            if not running:
                break
        self.assertLess(abs(served["heavy"] - served["light"]), 25)

    def test_who_gives_up_makes_way(self) -> None:
        self.take("a", 6)
        big = self.take("b", 10)
        self.take("c", 4)
        self.assertEqual(self.order, ["a"])
        big.cancel()
        self.assertEqual((self.order, self.budget.waiting), (["a", "c"], 0))

    @settings(deadline=None, derandomize=True, max_examples=100, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 15), st.sampled_from(("take", "free", "leave")))))
    def test_any_order(self, deeds: list[tuple[str, int, str]]) -> None:
        budget, running, waiting = Budget(10, 4), [], []

        def begin(turn: Deferred[None], cost: int) -> None:
            waiting.remove(turn)
            running.append(cost)

        for caller, cost, deed in deeds:
            if deed == "take":
                turn = budget.take(caller, cost)
                waiting.append(turn)
                turn.addCallbacks(
                    lambda _, turn=turn, cost=cost: begin(turn, cost), lambda _, turn=turn: waiting.remove(turn)
                )
            elif deed == "free" and running:
                budget.free(running.pop(0))
            elif deed == "leave" and waiting:
                waiting[0].cancel()
            self.assertEqual(budget.taken, sum(min(each, 10) for each in running))
            self.assertLessEqual(budget.taken, 10)
            self.assertEqual(budget.waiting, len(waiting))
            self.assertTrue(running or not waiting)
        while running:
            budget.free(running.pop(0))
        self.assertEqual((budget.taken, budget.waiting, waiting), (0, 0, []))
