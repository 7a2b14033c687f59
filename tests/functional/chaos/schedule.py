"""Which faults come, in which order, to whom and for how long: all from one seed."""

from __future__ import annotations

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


def plan(nodes: int, seed: int, kinds: Sequence[str]) -> Iterator[Planned]:
    """Faults without end for a network of so many nodes: every kind once in each round, shuffled.

    At most as many nodes as may be faulty are hit at once, except by those faults that are about more.
    """
    dice = random.Random(seed)
    tolerated = (nodes - 1) // 3
    while True:
        for kind in dice.sample(list(kinds), len(kinds)):
            fault = KINDS[kind]
            if fault in EVERYBODY:
                count = nodes
            elif fault in QUORUMLESS:
                count = dice.randint(tolerated + 1, max(tolerated + 1, nodes // 2))
            else:
                count = dice.randint(1, tolerated)
            victims = tuple(sorted(dice.sample(range(nodes), count)))
            yield Planned(kind, victims, dice.uniform(2.0, 7.0), dice.uniform(0.5, 2.5), dice.getrandbits(32))
