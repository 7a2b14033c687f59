"""The tests of Tendermint can fail: each machine that breaks one rule breaks one of them."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.height_chaos import CASTS, live
from tests.consensus.height_scenarios import SCENARIOS, Scenario
from tests.consensus.tendermint_mutants import FORKS, MUTANTS
from tests.consensus.tendermint_rules import RULES
from timecoin.consensus.tendermint import Height


def broken(cls: type[Height], checks: Iterable[Scenario]) -> bool:
    """Whether one of the checks fails on this machine."""
    for check in checks:
        try:
            check(cls)
        except Exception:
            return True
    return False


class MutantTests(SynchronousTestCase):
    def test_every_mutant_is_caught(self) -> None:
        checks = (*RULES.values(), *SCENARIOS.values())
        alive = [name for name, cls in MUTANTS.items() if not broken(cls, checks)]
        self.assertEqual(alive, [])

    def test_forks_are_seen_in_random_lives(self) -> None:
        """Not by reasoning about a rule, but as two decided blocks."""
        for cls, seeds in FORKS.items():
            lives = [
                lambda machine, seed=seed, cast=cast: live(seed, *cast, machine)
                for seed in range(seeds)
                for cast in CASTS
                if cast[1]
            ]
            self.assertTrue(broken(cls, lives), cls.__name__)
