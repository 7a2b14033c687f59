"""Five nodes under load and every kind of fault once, one of them after the other, in about three minutes."""

from __future__ import annotations

from tests.functional.chaos.faults import KINDS
from tests.functional.chaos.report import lines
from tests.functional.chaos.runner import ChaosRun
from tests.functional.chaos.schedule import plan
from tests.functional.support import FunctionalCase

NODES, SEED, RATE = 5, 7, 12
EPOCH = 5
#: At most, on a machine that is busy with other things.
MINUTES = 6


class ChaosTests(FunctionalCase):
    timeout = 60 * MINUTES + 180

    async def test_every_kind_of_fault(self) -> None:
        said: list[str] = []
        chaos = ChaosRun(self.directory() / "net", NODES, SEED, RATE, MINUTES, said.append, EPOCH)
        self.addCleanup(chaos.end)
        outcome = await chaos.go(plan(NODES, SEED, list(KINDS), times=1, longest=3.0), 60 * MINUTES)
        report = "\n".join([*said, *lines(outcome)])
        self.assertEqual([], outcome.violations, report)
        self.assertEqual(set(KINDS), {each.fault.kind for each in outcome.faults}, report)
        self.assertGreater(outcome.acknowledged, RATE * outcome.seconds / 3, report)
        self.assertEqual(outcome.sent, outcome.acknowledged, report)
        self.assertGreater(outcome.pairs, 20, report)
        self.assertGreater(outcome.epochs, 10, report)
