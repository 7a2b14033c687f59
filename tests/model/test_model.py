"""The model of the protocol holds within every variant, and every mutant breaks what it is said to break."""

from __future__ import annotations

import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from docs.model.bounds import Bounds
from docs.model.explore import EVERYTHING, Explorer, Result
from docs.model.model import Model
from docs.model.plain import Plain
from docs.model.runs import shortest_run
from docs.model.variants import BOUNDS, MUTANTS, SAFETY, VARIANTS
from timecoin.simulation.mutants import NAMES
from timecoin.simulation.violation import INVARIANTS

INTERIM, CLOSING = False, True
#: Small enough for a search without arrays and without symmetry.
TINY = {
    "one height": Bounds(("t1", "t2"), (((INTERIM, ("t1",)), (INTERIM, ("t2",)), (CLOSING, ())),), swap=True),
    "two rounds": Bounds(("t1",), (((CLOSING, ()),),), rounds=2),
    "two heights": Bounds(("t1",), (((INTERIM, ("filler",)),), ((CLOSING, ()), (CLOSING, ("t1",))))),
    "child": Bounds(("t1", "t2", "child"), (((CLOSING, ("t1", "child")),),)),
    "next epoch": Bounds(("t1",), (((CLOSING, ()),), ((CLOSING, ()),)), epochs=2),
    "a third": Bounds(("t1", "t2"), (((INTERIM, ("t1",)), (CLOSING, ())),), rounds=2, honest=2),
}
#: Of these the plain search needs few states, and each breaks another kind of rule.
TINY_MUTANTS = {
    ("no_ack_check", "one height"): "final_archived",
    ("uncertified_in_interim", "one height"): "rival_archived",
    ("votes_not_durable", "one height"): "rivals_final",
    ("ack_check_with_pol", "two rounds"): "stuck",
    ("acked_wiped_at_interim", "two heights"): "final_archived",
    ("child_before_parent_certified", "child"): "stuck",
}


def search(name: str, bounds: Bounds, watch: frozenset[str], mutant: str = "") -> Result:
    """Search, and print a line of the table of results."""
    start = time.process_time()
    result = Explorer(Model(bounds, mutant), watch).run()
    took = time.process_time() - start
    broken = " ".join(result.broken) or "safe"
    sys.stdout.write(f"\n    {mutant or name:34}{broken:22}{result.states:>11,} states {took:6.1f} s ")
    return result


class Variants(SynchronousTestCase):
    """Each is searched to the end. The numbers are exact, so that the model cannot shrink unnoticed."""

    def holds(self, name: str) -> None:
        variant = VARIANTS[name]
        result = search(name, variant.bounds, frozenset(variant.watch))
        self.assertEqual(result.broken, {})
        self.assertEqual((result.states, result.steps), (variant.states, variant.steps))

    def test_rivals(self) -> None:
        self.holds("rivals")

    def test_rounds(self) -> None:
        self.holds("rounds")

    def test_heights(self) -> None:
        self.holds("heights")

    def test_three_heights(self) -> None:
        self.holds("three_heights")

    def test_child(self) -> None:
        self.holds("child")

    def test_one_transaction_blocks(self) -> None:
        self.holds("one_transaction_blocks")

    def test_next_epoch(self) -> None:
        self.holds("next_epoch")

    def test_next_epoch_mixed(self) -> None:
        self.holds("next_epoch_mixed")

    def test_exactly_a_third(self) -> None:
        self.holds("exactly_a_third")

    def test_each_has_a_test_and_watches_what_it_can(self) -> None:
        self.assertEqual({f"test_{name}" for name in VARIANTS} - set(dir(self)), set())
        for name, variant in VARIANTS.items():
            expected = set(SAFETY) if variant.bounds.honest == 2 else EVERYTHING
            self.assertEqual(set(variant.watch), expected, name)


class Mutants(SynchronousTestCase):
    def test_each_breaks_what_it_is_said_to_break_and_the_protocol_does_not(self) -> None:
        for mutant, breaks in MUTANTS.items():
            for bounds, invariant, steps in breaks:
                result = search(mutant, BOUNDS[bounds], frozenset({invariant}), mutant)
                self.assertEqual((set(result.broken), result.steps), ({invariant}, steps), mutant)

    def test_none_of_their_bounds_breaks_the_protocol_itself(self) -> None:
        for name in sorted({each.bounds for breaks in MUTANTS.values() for each in breaks} - set(VARIANTS)):
            self.assertEqual(search(name, BOUNDS[name], EVERYTHING).broken, {}, name)

    def test_all_that_must_be_caught_are_there(self) -> None:
        self.assertEqual(sorted(MUTANTS), sorted(NAMES))
        self.assertLessEqual({each.invariant for breaks in MUTANTS.values() for each in breaks}, set(INVARIANTS))

    def test_a_shortest_run_can_be_told(self) -> None:
        for mutant in ("no_ack_check", "acked_wiped_at_interim", "quorum_two_thirds"):
            bounds, invariant, steps = MUTANTS[mutant][0]
            self.assertEqual(len(shortest_run(Model(BOUNDS[bounds], mutant), invariant)), steps)
        first = shortest_run(Model(BOUNDS["one_round"], "votes_not_durable"), "contradiction")
        self.assertEqual(first, ["a: vote t1 e1", "a: lost vote t1 e1", "a: vote t2 e1"])
        with self.assertRaises(ValueError):
            shortest_run(Model(TINY["one height"]), "final_archived")


class Search(SynchronousTestCase):
    """The search in arrays and up to symmetry against one in plain Python without either."""

    def test_the_same_states_in_the_same_layers(self) -> None:
        for name, bounds in TINY.items():
            explorer = Explorer(Model(bounds), frozenset(SAFETY), keep=True)
            explorer.run()
            plain = Plain(Model(bounds))
            found = [len({plain.canonical(state) for state in layer}) for layer in plain.layers()]
            self.assertEqual([len(layer) for layer in explorer.layers], found, name)

    def test_the_same_first_break(self) -> None:
        for (mutant, name), invariant in TINY_MUTANTS.items():
            result = Explorer(Model(TINY[name], mutant), frozenset({invariant})).run()
            plain = Plain(Model(TINY[name], mutant))
            broken = (any(invariant in plain.broken(state) for state in layer) for layer in plain.layers())
            first = next(index for index, is_broken in enumerate(broken) if is_broken)
            self.assertEqual((set(result.broken), result.steps), ({invariant}, first), mutant)

    def test_a_limit_ends_it(self) -> None:
        with self.assertRaises(ValueError):
            Explorer(Model(TINY["one height"])).run(limit=100)
