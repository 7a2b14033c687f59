"""Faults of processes: crashes at any moment, pauses, slow and full disks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.disk import Crash, Ending
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times

if TYPE_CHECKING:
    from timecoin.simulation.life import Life
    from timecoin.simulation.node import Node

OFTEN = {"calm": 100, "mixed": 450, "border": 500, "storm": 800}
ENDINGS = {"": None, "lost": Ending.LOST, "torn": Ending.LOST, "done": Ending.DONE}
_WRITES_AHEAD = 12


def _victim(chance: Chance, scene: Scene) -> int:
    return chance.pick(scene.upright)


def _down_for(chance: Chance, scene: Scene) -> int:
    """Milliseconds; mostly short."""
    return chance.pick((50, 300, 1_000, 2_500, scene.epoch // MILLISECOND))


# Crashes


def _draw_crash(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``detail``: how the write under way ends; ``value``: milliseconds until it starts again."""
    for at in times(chance, scene, 3):
        ending = chance.pick(sorted(ENDINGS))
        yield Fault(at, "crash", (_victim(chance, scene),), value=_down_for(chance, scene), detail=ending)


def _strike_crash(life: Life, fault: Fault) -> None:
    node = life.world.nodes[fault.nodes[0]]
    if node.up:
        node.ending = ENDINGS[fault.detail]
        node.crash()
        node.ending = None
        life.start_again(node, fault.value * MILLISECOND)


def _draw_blackout(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """All at once, or many."""
    for at in times(chance, scene, 1):
        nodes = scene.upright if chance.permille(500) else chance.some(scene.upright, 3)
        yield Fault(at, "blackout", tuple(sorted(nodes)), value=_down_for(chance, scene))


def _strike_blackout(life: Life, fault: Fault) -> None:
    for index in fault.nodes:
        node = life.world.nodes[index]
        if node.up:
            node.crash()
            life.start_again(node, fault.value * MILLISECOND)


def _draw_crash_at_step(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``value``: how many inputs and effects later."""
    for at in times(chance, scene, 3):
        yield Fault(at, "crash_at_step", (_victim(chance, scene),), value=chance.between(1, 400))


def _strike_crash_at_step(life: Life, fault: Fault) -> None:
    node = life.world.nodes[fault.nodes[0]]
    node.doom = node.moments + fault.value


def _draw_crash_at_write(chance: Chance, scene: Scene) -> Iterable[Fault]:
    """``value``: how many writes later; ``detail``: before, in or after it."""
    for at in times(chance, scene, 3):
        detail = chance.pick(("before", "in: lost", "in: done", "in: torn", "after"))
        value = chance.between(1, _WRITES_AHEAD)
        yield Fault(at, "crash_at_write", (_victim(chance, scene),), value=value, detail=detail)


def _strike_crash_at_write(life: Life, fault: Fault) -> None:
    node, faults = life.world.nodes[fault.nodes[0]], life.world.write_faults
    due = node.writes + fault.value

    def strike(writer: Node, done: bool) -> None:
        if writer is not node or writer.writes < due or done is not (fault.detail == "after"):
            return
        faults.remove(strike)
        node.ending = Ending.DONE if fault.detail == "in: done" else Ending.LOST
        life.at_once(partial(setattr, node, "ending", None))
        raise Crash

    faults.append(strike)


# Pauses


def _draw_pause(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        yield Fault(at, "pause", (_victim(chance, scene),), scene.after(chance, at))


def _strike_pause(life: Life, fault: Fault) -> None:
    node = life.world.nodes[fault.nodes[0]]
    node.freeze()
    life.at(fault.until, node.thaw)


# Disks


def _draw_slow_disk(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 2):
        value = chance.pick((15, 60, 250, 1_000))
        yield Fault(at, "slow_disk", (_victim(chance, scene),), scene.after(chance, at), value)


def _strike_slow_disk(life: Life, fault: Fault) -> None:
    node = life.world.nodes[fault.nodes[0]]
    node.disk_time = fault.value * MILLISECOND
    life.at(fault.until, lambda: setattr(node, "disk_time", life.disk_time))


def _draw_full_disk(chance: Chance, scene: Scene) -> Iterable[Fault]:
    for at in times(chance, scene, 1):
        yield Fault(at, "full_disk", (_victim(chance, scene),), scene.after(chance, at, shortest=SECOND // 2))


def _strike_full_disk(life: Life, fault: Fault) -> None:
    disk = life.world.nodes[fault.nodes[0]].disk
    disk.full = True
    life.at(fault.until, lambda: setattr(disk, "full", False))


KINDS = (
    FaultKind("crash", "a node dies; the write under way is lost, torn or done", _draw_crash, _strike_crash, OFTEN),
    FaultKind("blackout", "many nodes die in one moment", _draw_blackout, _strike_blackout),
    FaultKind(
        "crash_at_step", "a node dies at some input or effect", _draw_crash_at_step, _strike_crash_at_step, OFTEN
    ),
    FaultKind(
        "crash_at_write",
        "a node dies before, in or after some write",
        _draw_crash_at_write,
        _strike_crash_at_write,
        OFTEN,
    ),
    FaultKind("pause", "a process stands still, then goes on", _draw_pause, _strike_pause),
    FaultKind("slow_disk", "writes take up to a second", _draw_slow_disk, _strike_slow_disk),
    FaultKind("full_disk", "nothing can be written for a while", _draw_full_disk, _strike_full_disk),
)
