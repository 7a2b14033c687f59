"""What a seed decides."""

from __future__ import annotations

import json

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.byzantine.behaviour import BEHAVIOURS
from timecoin.simulation.faults.table import FAULTS
from timecoin.simulation.plan import Options, Plan
from timecoin.simulation.planning import ImpossiblePlan, UnknownName, make_plan

SEEDS = range(300)


def power(plan: Plan, indexes: list[int]) -> int:
    params = plan.parameters
    return sum(params.power(plan.tiers[index]) for index in indexes)


class PlanTest(SynchronousTestCase):
    def test_same_seed_same_plan(self) -> None:
        for seed in range(20):
            self.assertEqual(make_plan(Options(seed=seed)), make_plan(Options(seed=seed)))

    def test_seeds_differ(self) -> None:
        plans = {msgspec.json.encode(msgspec.structs.replace(make_plan(Options(seed=seed)), seed=0)) for seed in SEEDS}
        self.assertEqual(len(plans), len(SEEDS))

    def test_is_json(self) -> None:
        plan = make_plan(Options(seed=7))
        self.assertEqual(msgspec.convert(json.loads(json.dumps(plan.plain())), Plan), plan)

    def test_parameters_are_valid(self) -> None:
        for seed in SEEDS:
            make_plan(Options(seed=seed)).parameters.validate()

    def test_byzantine_power_is_below_a_third(self) -> None:
        most = 0
        for seed in SEEDS:
            plan = make_plan(Options(seed=seed))
            liars = [index for index, seat in enumerate(plan.seats) if not seat.honest]
            most = max(most, len(liars))
            self.assertLess(3 * power(plan, liars), power(plan, list(range(len(plan.seats)))))
        self.assertGreater(most, 1)

    def test_what_may_forget_or_leave_is_below_a_third_too(self) -> None:
        weak = {"new_disk", "backup", "old_journal", "old_chain", "lost_journal", "damaged_journal", "drift"}
        found = 0
        for seed in SEEDS:
            plan = make_plan(Options(seed=seed))
            liars = {index for index, seat in enumerate(plan.seats) if not seat.honest}
            gone = {node for fault in plan.faults if fault.kind == "leave" for node in fault.nodes}
            frail = {node for fault in plan.faults if fault.kind in weak for node in fault.nodes}
            found += len(frail)
            left = power(plan, [index for index in range(len(plan.seats)) if index not in gone])
            self.assertFalse(frail & liars)
            self.assertLess(3 * power(plan, sorted(liars | frail)), left)
        self.assertGreater(found, 50)

    def test_what_is_left_out_changes_nothing_else(self) -> None:
        for seed in range(40):
            whole = make_plan(Options(seed=seed))
            part = make_plan(Options(seed=seed, faults=tuple(name for name in FAULTS if name != "loss")))
            kept = tuple(fault for fault in whole.faults if fault.kind != "loss")
            self.assertEqual(part.faults, kept)
            self.assertEqual(part.seats, whole.seats)

    def test_none_is_none(self) -> None:
        plan = make_plan(Options(seed=3, faults=()))
        self.assertEqual((plan.faults, set(plan.regions), plan.newcomers), ((), {0}, 0))

    def test_every_kind_is_drawn(self) -> None:
        kinds = {fault.kind for seed in SEEDS for fault in make_plan(Options(seed=seed)).faults}
        self.assertEqual(kinds, set(FAULTS))

    def test_every_behaviour_is_drawn(self) -> None:
        seats = [seat for seed in range(600) for seat in make_plan(Options(seed=seed)).seats]
        self.assertEqual({name for seat in seats for name in seat.behaviours}, set(BEHAVIOURS))

    def test_faults_end_before_the_quiet_end(self) -> None:
        for seed in SEEDS:
            plan = make_plan(Options(seed=seed))
            for fault in plan.faults:
                self.assertTrue(0 < fault.at < plan.turbulence, fault)
                self.assertLessEqual(fault.until, plan.turbulence, fault)

    def test_options(self) -> None:
        plan = make_plan(Options(seed=5, nodes=7, byzantine=2, epochs=3, profile="storm"))
        self.assertEqual((len(plan.seats), plan.epochs, plan.profile), (7, 3, "storm"))
        self.assertEqual(sum(not seat.honest for seat in plan.seats), 2)

    def test_what_cannot_be(self) -> None:
        for options in (Options(seed=1, nodes=4, byzantine=4), Options(seed=1, nodes=0), Options(seed=1, epochs=0)):
            self.assertRaises(ImpossiblePlan, make_plan, options)

    def test_unknown_names_are_told_what_there_is(self) -> None:
        error = self.assertRaises(UnknownName, make_plan, Options(seed=1, faults=("loss", "rain")))
        self.assertIn("'rain'", str(error))
        for name in FAULTS:
            self.assertIn(name, str(error))
        self.assertRaises(UnknownName, make_plan, Options(seed=1, profile="nice"))
