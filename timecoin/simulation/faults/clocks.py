"""Wrong clocks. Those far off belong to nodes which, with the Byzantine ones, have less than a third of the power: with
more of them the network's own time would be wrong, and epochs would close late or far too early."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times

if TYPE_CHECKING:
    from timecoin.simulation.life import Life

_SMALL_SHARE = 16
"""Any clock may be off by an epoch divided by this: half of what the tolerance of short epochs allows."""


def _draw_skew(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """From the beginning; ``value`` in milliseconds. All clocks a little, some much."""
    most = scene.epoch // MILLISECOND
    for node in scene.upright:
        if chance.permille(500):
            yield Fault(1, "skew", (node,), value=chance.between(-most // _SMALL_SHARE, most // _SMALL_SHARE))
    if scene.frail and chance.permille(500):
        yield Fault(1, "skew", (chance.pick(scene.frail),), value=chance.between(-most, most))


def _draw_jump(chance: Chance, scene: Scene) -> Iterable[Fault]:
    most = scene.epoch // MILLISECOND
    for at in times(chance, scene, 3):
        far = scene.frail and chance.permille(700)
        node = chance.pick(scene.frail if far else scene.upright)
        reach = 3 * most if far else most // _SMALL_SHARE
        yield Fault(at, "jump", (node,), value=chance.between(-reach, reach))


def _strike_skew(life: Life, fault: Fault) -> None:
    life.world.nodes[fault.nodes[0]].clock_error = fault.value * MILLISECOND


def _draw_drift(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``value`` in parts per million: quartz is off by up to 100, an undisciplined one by more."""
    for at in times(chance, scene, 2):
        if scene.frail:
            value = chance.pick((-200_000, -20_000, -100, 100, 20_000, 200_000))
            yield Fault(at, "drift", (chance.pick(scene.frail),), value=value)


def _strike_drift(life: Life, fault: Fault) -> None:
    node = life.world.nodes[fault.nodes[0]]
    node.drift, node.drift_since = fault.value, life.world.clock.now


KINDS = (
    FaultKind("skew", "clocks that were never right", _draw_skew, _strike_skew),
    FaultKind("jump", "a clock is set, forwards or backwards", _draw_jump, _strike_skew),
    FaultKind("drift", "a clock runs too fast or too slowly", _draw_drift, _strike_drift),
)
