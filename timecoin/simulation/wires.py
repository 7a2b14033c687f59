"""How long messages take between nodes, and which are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND

if TYPE_CHECKING:
    from timecoin.simulation.link import Link


class Wires:
    """Delays of the copies of a message, in microseconds; none: it is lost. Permille for ``loss``, ``doubling`` and
    ``reordering``; ``latency`` and ``jitter`` in microseconds."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.latency, self.jitter = 5 * MILLISECOND, 10 * MILLISECOND
        self.loss = self.doubling = self.reordering = 0
        self.cuts: set[tuple[int, int]] = set()

    def copies(self, link: Link, message: wire.Message, size: int) -> list[int]:
        """The delays after which copies of a message arrive."""
        if (link.source.index, link.target.index) in self.cuts or self._chance.permille(self.loss):
            return []
        delays = [self._delay()]
        if self._chance.permille(self.doubling):
            delays.append(self._delay())
        return delays

    def _delay(self) -> int:
        return self.latency + self._chance.below(self.jitter + 1)
