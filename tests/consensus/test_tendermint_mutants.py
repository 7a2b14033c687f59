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
        for cls, (cast, seeds) in FORKS.items():
            fork = [self._forks(cls, seed, cast) for seed in range(seeds)]
            self.assertIn(True, fork, cls.__name__)

    def _forks(self, cls: type[Height], seed: int, cast: int) -> bool:
        try:
            live(seed, *CASTS[cast], cls)
        except AssertionError as error:
            return "two blocks" in str(error) or "Broken" in str(error)
        return False
