"""What the simulator found, each as a life that failed before it was mended."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.clock import SECOND
from timecoin.simulation.life import live
from timecoin.simulation.mutants import Hunt
from timecoin.simulation.plan import Fault, Seat


class FoundTest(SynchronousTestCase):
    def test_many_newcomers_at_once(self) -> None:
        """Newcomers ended the doubt of a fresh journal only in the first epoch of their membership, and were silent in
        it: where they had a third of the power that epoch never closed."""
        plan = Hunt(1, epochs=5).plan(0, None)
        joins = [Fault(SECOND + number, "join", (4 + number,), value=1) for number in range(3)]
        seats = (Seat("BRONZE"),) * 4
        plan = msgspec.structs.replace(
            plan, seats=seats, newcomers=3, followers=0, regions=(0,) * 7, faults=(*plan.faults, *joins)
        )
        outcome = live(plan)
        self.assertIsNone(outcome.violation)
        self.assertGreater(outcome.epochs, 4)
