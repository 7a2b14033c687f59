"""Hundreds of whole networks, each from one seed: in none of them is any invariant broken."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from timecoin.simulation.plan import Options
from timecoin.simulation.running import Totals, again, run_seeds

SEEDS = 300
EPOCHS = 2
"""With faults; two more pass in the quiet end. The seeds of ``make soak`` live longer."""


class SeedsTest(SynchronousTestCase):
    def test_seeds(self) -> None:
        totals = Totals()
        options = Options(seed=0, epochs=EPOCHS)
        for outcome in run_seeds(options, range(SEEDS), min(2, os.cpu_count() or 1)):
            totals.add(outcome)
        print(f"\n    {totals.line()} ", end="")
        self.assertEqual(totals.seeds, SEEDS)
        told = [f"{again(Options(seed=each.seed, epochs=EPOCHS))}: {each.violation}" for each in totals.broken]
        self.assertEqual(told, [])
