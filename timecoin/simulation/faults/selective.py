"""Statements of one kind that do not reach some: the finest tool against a protocol of quorums."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from timecoin.simulation.chance import Chance
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times
from timecoin.simulation.wires import STATEMENTS, Rule

if TYPE_CHECKING:
    from timecoin.simulation.life import Life

SHARES = {"calm": 60, "mixed": 250, "border": 800, "storm": 500}
MORE = {"calm": 60, "mixed": 300, "border": 900, "storm": 500}
ANYBODY = -1


def _window(chance: Chance, scene: Scene, at: int) -> tuple[int, int]:
    """From some moment to another, mostly across the next slot."""
    if scene.profile != "border" or chance.permille(300):
        return at, scene.after(chance, at)
    slot = chance.pick(scene.slots)
    begin = max(1, slot - chance.between(0, scene.epoch * 2 // 5))
    return begin, max(begin + 1, min(scene.span, slot + chance.between(0, scene.epoch * 3 // 5)))


def _kinds(chance: Chance) -> str:
    return "+".join(sorted(chance.some(STATEMENTS, chance.between(1, 2))))


def _draw_shown(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``nodes`` are the maker (or -1) and the one that sees it."""
    for moment in times(chance, scene, 3):
        at, until = _window(chance, scene, moment)
        maker = ANYBODY if chance.permille(300) else chance.below(scene.masternodes)
        yield Fault(at, "shown_to_one", (maker, chance.below(scene.nodes)), until, chance.below(2), _kinds(chance))


def _strike_shown(life: Life, fault: Fault) -> None:
    maker, seer = fault.nodes
    everybody = (1 << len(life.world.nodes)) - 1
    _hide(life, fault, maker, everybody & ~(1 << seer) & ~(1 << maker if maker >= 0 else 0))


def _draw_held(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``nodes`` are the maker (or -1) and those from which it is held back."""
    for moment in times(chance, scene, 4):
        at, until = _window(chance, scene, moment)
        maker = ANYBODY if chance.permille(400) else chance.below(scene.masternodes)
        targets = sorted(chance.some(range(scene.nodes), chance.between(1, max(1, scene.nodes - 1))))
        yield Fault(at, "held", (maker, *targets), until, chance.below(2), _kinds(chance))


def _strike_held(life: Life, fault: Fault) -> None:
    maker, *targets = fault.nodes
    _hide(life, fault, maker, sum(1 << target for target in targets))


def _hide(life: Life, fault: Fault, maker: int, hidden_from: int) -> None:
    """Until the end of the fault; ``value`` 1: what was held back arrives then, 0: it is lost."""
    wires, began = life.world.wires, life.world.began
    kinds = frozenset(fault.detail.split("+"))
    rule = Rule(
        kinds, None if maker < 0 else maker, hidden_from, began + fault.at, began + fault.until, fault.value == 1
    )
    wires.rules.append(rule)
    life.at(fault.until, lambda: wires.forget(rule))


KINDS = (
    FaultKind("shown_to_one", "statements of one kind reach one node only", _draw_shown, _strike_shown, SHARES),
    FaultKind("held", "statements of one kind reach some nodes late or never", _draw_held, _strike_held, MORE),
)
