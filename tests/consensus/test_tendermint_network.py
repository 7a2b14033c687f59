"""Several machines together: what they decide, and when."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.height_network import Network
from tests.consensus.height_scenarios import SCENARIOS, Scenario, lonely_lock
from tests.consensus.heights import digest
from timecoin.consensus.tendermint import Height


class ScenarioTests(SynchronousTestCase):
    """One test for each function of ``height_scenarios``."""


def _test(scenario: Scenario) -> object:
    def test(self: SynchronousTestCase) -> None:
        scenario(Height)

    test.__doc__ = scenario.__doc__
    return test


for _name, _scenario in SCENARIOS.items():
    setattr(ScenarioTests, f"test_{_name}", _test(_scenario))


class CrashTests(SynchronousTestCase):
    """A node that dies at any moment and comes back from its journal contradicts nothing."""

    def _run_with_crash(self, victim: int, effect: int, durable: bool, away: int) -> bool:
        network = Network((1, 1, 1, 1), lonely_lock)
        network.nodes[3].checks.demanded.add(digest("t"))
        node = network.nodes[victim]
        node.crash_at, node.crash_durable, node.restart_after = effect, durable, away
        network.run(200_000)
        self.assertTrue(network.all_decided(), (victim, effect, durable, away))
        return node.lives > 1

    def test_every_crash_point(self) -> None:
        for victim in range(4):
            for durable in (False, True):
                for away in (0, 2_500):
                    effect = 0
                    while self._run_with_crash(victim, effect, durable, away):
                        effect += 1
                    self.assertGreater(effect, 20)
