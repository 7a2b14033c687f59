"""Which faults come, in which order, to whom and for how long: all from one seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.functional.chaos.faults import EVERYBODY, KINDS, QUORUMLESS, Fault
from tests.functional.chaos.network import ChaosNet


@dataclass(frozen=True)
class Planned:
    """A fault to come: ``victims`` are numbers of nodes; ``pause`` seconds of peace come before it."""

    kind: str
    victims: tuple[int, ...]
    seconds: float
    pause: float
    seed: int

    def on(self, net: ChaosNet) -> Fault:
        """The fault, for a network."""
        victims = [net.nodes[n] for n in self.victims]
        return KINDS[self.kind](net, victims, self.seconds, random.Random(self.seed))


def plan(
    nodes: int, seed: int, kinds: Sequence[str], *, times: int | None = None, longest: float = 7.0
) -> Iterator[Planned]:
    """Faults for a network of so many nodes: every kind once, shuffled, ``times`` over (None: without end).

    At most as many nodes as may be faulty are hit at once, except by those faults that are about more. None is
    meant to last longer than ``longest`` seconds, except those that are about more.
    """
    dice = random.Random(seed)
    tolerated = (nodes - 1) // 3
    for _ in itertools.count() if times is None else range(times):
        for kind in dice.sample(list(kinds), len(kinds)):
            fault = KINDS[kind]
            if fault in EVERYBODY:
                count = nodes
            elif fault in QUORUMLESS:
                count = dice.randint(tolerated + 1, max(tolerated + 1, nodes // 2))
            else:
                count = dice.randint(1, tolerated)
            victims = tuple(sorted(dice.sample(range(nodes), count)))
            lasts, pause = dice.uniform(longest / 3, longest), dice.uniform(longest / 14, longest / 3)
            yield Planned(kind, victims, lasts, pause, dice.getrandbits(32))
