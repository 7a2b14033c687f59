"""What a kind of fault is, and the surroundings from which one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.plan import Fault

if TYPE_CHECKING:
    from timecoin.simulation.life import Life

SHARES: Mapping[str, int] = {"calm": 60, "mixed": 250, "border": 200, "storm": 600}
"""How often a kind of fault is part of a life, in permille, by profile."""


@dataclass(frozen=True)
class Scene:
    """What a draw may look at. ``frail`` are those honest masternodes of which all together, the Byzantine ones
    included, have less than a third of the power: they may lose their memory, or their clock. ``leavers`` may
    unregister, and that stays so.

    ``slots`` are the moments at which epochs end, ``span`` is when the faults end, both in microseconds after the
    beginning.
    """

    profile: str
    masternodes: int
    newcomers: int
    nodes: int
    byzantine: tuple[int, ...]
    frail: tuple[int, ...]
    leavers: tuple[int, ...]
    epoch: int
    span: int
    slots: tuple[int, ...]
    overrides: dict[str, int] = field(default_factory=dict)

    @property
    def honest(self) -> list[int]:
        """The honest masternodes of the first set."""
        return [index for index in range(self.masternodes) if index not in self.byzantine]

    @property
    def upright(self) -> list[int]:
        """All honest nodes."""
        return [index for index in range(self.nodes) if index not in self.byzantine]

    def moment(self, chance: Chance) -> int:
        """A time for something to happen; around the slots, when that is where the turbulence is."""
        near_slots = {"border": 850, "storm": 300}.get(self.profile, 100)
        if self.slots and chance.permille(near_slots):
            reach = self.epoch // 6
            return max(1, chance.pick(self.slots) + chance.between(-reach, reach))
        return chance.between(1, max(1, self.span - self.epoch // 8))

    def after(self, chance: Chance, at: int, shortest: int = 100 * MILLISECOND, longest: int | None = None) -> int:
        """When what began at ``at`` ends: before the faults do. Short ones are as likely as long ones."""
        longest = self.epoch if longest is None else longest
        longest = min(longest, max(shortest, longest >> chance.below(4)))
        return max(at + 1, min(self.span, at + chance.between(shortest, longest)))

    def slot_after(self, at: int) -> int:
        """The first slot after ``at``, or the end of the faults."""
        return min([slot for slot in self.slots if slot > at], default=self.span)


@dataclass(frozen=True)
class FaultKind:
    """``draw`` decides what of this kind happens in a life that it is part of; ``strike`` makes one of them happen, at
    its time. ``what`` explains it in one line."""

    name: str
    what: str
    draw: Callable[[Chance, Scene], Iterable[Fault]]
    strike: Callable[[Life, Fault], None]
    shares: Mapping[str, int] = field(default_factory=lambda: SHARES)


def times(chance: Chance, scene: Scene, most: int) -> list[int]:
    """How often something happens, and when: up to ``most`` times, twice that in a storm."""
    count = chance.between(1, most * (2 if scene.profile == "storm" else 1))
    return sorted([scene.moment(chance) for _ in range(count)])


__all__ = ["SHARES", "Fault", "FaultKind", "Scene", "times"]
