"""Faults of the wires."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times

if TYPE_CHECKING:
    from timecoin.simulation.life import Life

OFTEN = {"calm": 150, "mixed": 400, "border": 350, "storm": 800}


def _share_of_messages(name: str, most: int) -> FaultKind:
    """A fault of every message, in permille, for a while; ``name`` is the attribute of the weather."""

    def draw(chance: Chance, scene: Scene) -> Iterable[Fault]:
        for at in times(chance, scene, 2):
            yield Fault(at, name, until=scene.after(chance, at), value=chance.between(5, most))

    def strike(life: Life, fault: Fault) -> None:
        weather = life.world.wires.weather
        setattr(weather, name, fault.value)
        life.at(fault.until, lambda: setattr(weather, name, 0))

    return FaultKind(name, f"for a while up to {most / 10:g} % of all messages suffer it", draw, strike, OFTEN)


def _draw_jitter(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        yield Fault(at, "jitter", until=scene.after(chance, at), value=chance.pick((20, 80, 300, 900)))


def _strike_jitter(life: Life, fault: Fault) -> None:
    weather = life.world.wires.weather
    usual, weather.jitter = weather.jitter, fault.value * MILLISECOND

    def end() -> None:
        weather.jitter = usual

    life.at(fault.until, end)


def _draw_slow_node(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        node = chance.below(scene.nodes)
        yield Fault(at, "slow_link", (node,), scene.after(chance, at), chance.pick((50, 200, 600, 1_500)))


def _strike_slow_node(life: Life, fault: Fault) -> None:
    slow, node = life.world.wires.slow, fault.nodes[0]
    slow[node] = fault.value * MILLISECOND
    life.at(fault.until, partial(_forget, slow, node))


def _forget(values: dict[int, int], node: int) -> None:
    values.pop(node, None)


def _draw_bandwidth(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        node = chance.below(scene.nodes)
        yield Fault(at, "bandwidth", (node,), scene.after(chance, at), chance.pick((8_000, 30_000, 100_000)))


def _strike_bandwidth(life: Life, fault: Fault) -> None:
    width, node = life.world.wires.bandwidth, fault.nodes[0]
    width[node] = fault.value
    life.at(fault.until, partial(_forget, width, node))


def _draw_cut(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """One direction between some nodes: what one says does not reach others, or it hears nothing of them."""
    for at in times(chance, scene, 2):
        node, *others = chance.shuffled(range(scene.nodes))
        some = tuple(chance.some(others, chance.between(1, len(others)))) if others else ()
        detail = chance.pick(("mute", "deaf"))
        yield Fault(at, "one_way", (node, *some), scene.after(chance, at), detail=detail)


def _strike_cut(life: Life, fault: Fault) -> None:
    node, *others = fault.nodes
    pairs = [(node, other) if fault.detail == "mute" else (other, node) for other in others]
    _cut(life, pairs, fault.until)


def _cut(life: Life, pairs: list[tuple[int, int]], until: int) -> None:
    cuts = life.world.wires.cuts
    new = set(pairs) - cuts
    cuts |= new
    life.at(until, lambda: cuts.difference_update(new))


def _draw_partition(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        nodes = chance.shuffled(range(scene.nodes))
        part = tuple(sorted(nodes[: chance.between(1, max(1, len(nodes) // 2))]))
        yield Fault(at, "partition", part, scene.after(chance, at))


def _strike_partition(life: Life, fault: Fault) -> None:
    inside = set(fault.nodes)
    outside = [index for index in range(len(life.world.nodes)) if index not in inside]
    pairs = [(one, two) for one in fault.nodes for two in outside]
    _cut(life, [*pairs, *[(two, one) for one, two in pairs]], fault.until)


def _draw_reset(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 3):
        one, two = (*chance.some(range(scene.nodes), 2), 0)[:2]
        yield Fault(at, "reset", (one, two))


def _strike_reset(life: Life, fault: Fault) -> None:
    one, two = fault.nodes
    link = life.world.nodes[one].links.get(two)
    if link is not None:
        life.world.disconnect(link)


KINDS = (
    _share_of_messages("loss", 300),
    _share_of_messages("doubling", 300),
    _share_of_messages("reordering", 500),
    FaultKind("jitter", "messages take up to 0.9 s more, each another time", _draw_jitter, _strike_jitter, OFTEN),
    FaultKind("slow_link", "all to and from one node is late", _draw_slow_node, _strike_slow_node),
    FaultKind("bandwidth", "one node sends no more than some kilobytes a second", _draw_bandwidth, _strike_bandwidth),
    FaultKind("one_way", "one node is not heard by some, or does not hear them", _draw_cut, _strike_cut, OFTEN),
    FaultKind("partition", "two groups that do not reach each other", _draw_partition, _strike_partition, OFTEN),
    FaultKind("reset", "a connection breaks, with what was under way", _draw_reset, _strike_reset),
)
