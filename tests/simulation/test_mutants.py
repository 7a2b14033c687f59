"""Every mutant of protocol.md 6 is caught, within its stated number of seeds, and the product survives these seeds."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.life import Outcome, live
from timecoin.simulation.mutants import MUTANTS, NAMES, Kind, Mutant, mutated
from timecoin.simulation.violation import INVARIANTS


class Hunted:
    """What came of a hunt: the life that caught the mutant, if any, and how many seeds it took."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.caught: Outcome | None = None
        self.seeds = 0
        while self.caught is None and self.seeds < mutant.hunt.seeds:
            outcome = live(mutant.hunt.plan(self.seeds, mutant.name))
            self.seeds += 1
            self.caught = outcome if outcome.violation is not None else None

    @property
    def invariant(self) -> str:
        """What caught it."""
        if self.caught is None or self.caught.violation is None:
            return "NOT CAUGHT"
        return self.caught.violation.invariant

    def line(self) -> str:
        """A row of the table."""
        seconds = 0.0 if self.caught is None else self.caught.milliseconds / 1_000
        return (
            f"{self.mutant.name:34s} {self.invariant:22s} {self.seeds:2d} of {self.mutant.hunt.seeds:2d} {seconds:8.1f}"
        )


class MutantsTest(SynchronousTestCase):
    def test_all_are_caught_and_the_product_survives_the_same_seeds(self) -> None:
        hunted = [Hunted(MUTANTS[name]) for name in NAMES]
        print(f"\n{'mutant':34s} {'invariant':22s} {'seeds':8s} {'virtual s':>8s}")
        for each in hunted:
            print(each.line())
        missed = [each.line() for each in hunted if each.invariant not in each.mutant.caught_by]
        self.assertEqual(missed, [])
        for each in hunted:
            for seed in range(each.seeds):
                outcome = live(each.mutant.hunt.plan(seed, None))
                self.assertIsNone(outcome.violation, f"{each.mutant.name}'s seed {seed}, without the mutant")

    def test_the_list_is_that_of_the_protocol(self) -> None:
        self.assertEqual(set(MUTANTS), set(NAMES))
        self.assertEqual(len(NAMES), 21)
        for mutant in MUTANTS.values():
            self.assertTrue(set(mutant.caught_by) <= INVARIANTS.keys(), mutant.name)
            self.assertEqual(mutant.kind is Kind.LIVENESS, mutant.caught_by == ("stuck",))

    def test_the_product_is_itself_again_afterwards(self) -> None:
        for mutant in MUTANTS.values():
            before = [swap.owner.__dict__[swap.name] for swap in mutant.swaps]
            with mutated(mutant.name):
                within = [swap.owner.__dict__[swap.name] for swap in mutant.swaps]
            after = [swap.owner.__dict__[swap.name] for swap in mutant.swaps]
            self.assertEqual(before, after)
            self.assertTrue(all(one is not other for one, other in zip(before, within, strict=True)), mutant.name)

    def test_no_mutant_is_the_product(self) -> None:
        with mutated(None):
            self.assertRaises(KeyError, mutated, "nothing of that name")
