"""Once faults stop and less than a third is faulty, the network goes on: judged in the quiet end of a life."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.violation import Violation

if TYPE_CHECKING:
    from timecoin.primitives.block import Commit
    from timecoin.simulation.node import Node
    from timecoin.simulation.world import World

SPARE_ROUNDS = 4
"""One that had begun when the faults stopped, one whose proposer lacked what others were locked on, one in which a
laggard catches up, and the one that decides."""
EPOCHS = 2
"""So many must close in the quiet end: the one that was open, and a whole one."""


class Liveness:
    """A promise that begins with :meth:`begin`: every height is decided within ``rounds`` rounds, ``EPOCHS`` epochs
    close and the ``expected`` payments are final, all before ``deadline`` (microseconds of the world's clock)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.begun = False
        self.rounds = 0
        self.deadline = 0
        self.slowest = 0
        self._epoch = 0
        self._expected: set[bytes] = set()
        self._first: dict[int, int] = {}

    def begin(self, honest: Iterable[Node], expected: Collection[bytes], *, faulty: int, delay_ms: int) -> None:
        """Faults are over. ``faulty`` masternodes stay so; no message takes longer than ``delay_ms`` milliseconds."""
        nodes = list(honest)
        params = self._world.genesis.parameters
        self.begun = True
        # Each faulty proposer may spoil a round of its own and one more by what it showed to some before; and a round
        # is long enough once its time-outs, which grow, exceed three delays.
        slow = max(0, 3 * delay_ms - params.timeout_prevote)
        self.rounds = SPARE_ROUNDS + 2 * faulty + -(-slow // max(1, params.timeout_delta))
        self._epoch = max([node.epoch for node in nodes])
        self._expected = set(expected)
        for node in nodes:
            height = node.participant.height
            self._first[height.height] = max(height.round, self._first.get(height.height, 0))
        begun = max(self._first.values(), default=0)
        wait = (EPOCHS + 1) * params.epoch_milliseconds + (EPOCHS + 1) * self._time(begun, begun + self.rounds)
        self.deadline = self._world.clock.now + wait * MILLISECOND

    def _time(self, first: int, last: int) -> int:
        """Milliseconds that rounds ``first`` to ``last`` take at most."""
        params = self._world.genesis.parameters
        fixed = params.timeout_propose + params.timeout_prevote + params.timeout_precommit
        return sum([fixed + 3 * params.timeout_delta * number for number in range(first, last + 1)])

    def decided(self, height: int, commit: Commit) -> None:
        """A block was decided; raises ``Violation`` when that took too many rounds."""
        if not self.begun:
            return
        took = commit.round - self._first.get(height, 0)
        self.slowest = max(self.slowest, took)
        if took > self.rounds:
            raise Violation(
                "stuck", f"block {height} took {took} rounds after the faults stopped, at most {self.rounds}"
            )

    def watch(self, honest: Iterable[Node]) -> None:
        """Look where nodes are: raises ``Violation`` when a height is in more rounds than it may take already."""
        for node in honest:
            height = node.participant.height
            took = height.round - self._first.get(height.height, 0)
            if took > self.rounds:
                raise Violation(
                    "stuck",
                    f"block {height.height} is not decided after {took} rounds without faults, at most {self.rounds}",
                )

    def kept(self, honest: Iterable[Node]) -> bool:
        """Has everything happened that was promised?"""
        final = self._world.observer.promises.final
        archived = self._world.observer.chain.archived
        return all(node.epoch >= self._epoch + EPOCHS for node in honest) and all(
            txid in final or txid in archived for txid in self._expected
        )

    def judge(self, honest: Iterable[Node]) -> None:
        """The deadline has come; raises ``Violation`` when a promise was made and not kept."""
        nodes = list(honest)
        if not self.begun or self.kept(nodes):
            return
        late = [node for node in nodes if node.epoch < self._epoch + EPOCHS]
        if late:
            what = ", ".join([f"node {node.index} in epoch {node.epoch} at height {node.height}" for node in late])
            raise Violation("stuck", f"epoch {self._epoch + EPOCHS} was not opened: {what}")
        final, archived = self._world.observer.promises.final, self._world.observer.chain.archived
        missing = sorted([txid for txid in self._expected if txid not in final and txid not in archived])
        names = ", ".join([txid[::-1].hex()[:16] for txid in missing[:5]])
        raise Violation("stuck", f"{len(missing)} payments are not final: {names}")
