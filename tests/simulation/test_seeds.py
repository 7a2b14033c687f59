"""Hundreds of whole networks, each from one seed: in none of them is any invariant broken."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.plan import Options
from timecoin.simulation.running import Totals, again, run_seeds

SEEDS = 300
EPOCHS = 2
"""With faults, or half as many; two more pass in the quiet end. The seeds of ``make soak`` live longer."""


class SeedsTest(SynchronousTestCase):
    def test_seeds(self) -> None:
        totals = Totals()
        told: list[str] = []
        for epochs in (EPOCHS, EPOCHS // 2):
            options = Options(seed=0, epochs=epochs)
            for outcome in run_seeds(options, range(epochs, SEEDS + epochs, EPOCHS), min(2, os.cpu_count() or 1)):
                totals.add(outcome)
                if outcome.violation is not None:
                    told.append(f"{again(Options(seed=outcome.seed, epochs=epochs))}: {outcome.violation}")
        print(f"\n    {totals.line()} ", end="")
        self.assertEqual(told, [])
        self.assertEqual(totals.seeds, SEEDS)
