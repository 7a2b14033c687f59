"""Nodes that lose what they had signed, in ways of which the protocol promises that they do no harm (section 4,
*Journal*). They and the Byzantine ones hold less than a third of the power: they are silent for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.disk import Backup, Disk
from timecoin.simulation.faults.kind import Fault, FaultKind, Scene, times

if TYPE_CHECKING:
    from timecoin.simulation.life import Life

FIRST_EPOCH_PROVED = 2
"""A directory made in epoch 1 is trusted (protocol.md 4): nobody may lose one before all have left that epoch."""


def _kind(name: str, what: str, harm: Callable[[Disk, Backup], None]) -> FaultKind:
    """A fault with ``nodes`` = (victim,), a copy taken at ``value`` milliseconds before."""

    def draw(chance: Chance, scene: Scene) -> Iterable[Fault]:
        if not scene.frail:
            return
        for at in times(chance, scene, 1):
            back = chance.between(0, max(1, at // MILLISECOND))
            yield Fault(at, name, (chance.pick(scene.frail),), value=back)

    def strike(life: Life, fault: Fault) -> None:
        node = life.world.nodes[fault.nodes[0]]
        if min([each.epoch for each in life.honest]) < FIRST_EPOCH_PROVED:
            return
        if node.up:
            node.crash()
        harm(node.disk, life.copy_before(node, fault.at - fault.value * MILLISECOND))
        life.world.note(node, "new disk", name)
        life.world.observer.replaced(node)
        life.start_again(node, 500 * MILLISECOND)

    return FaultKind(name, what, draw, strike)


def _old_copy_elsewhere(disk: Disk, copy: Backup) -> None:
    disk.format()
    disk.restore_chain(copy)


KINDS = (
    _kind("new_disk", "an empty data directory", lambda disk, copy: disk.format()),
    _kind("backup", "a new directory from a backup, which holds no journal and no lease", _old_copy_elsewhere),
    _kind("old_journal", "an old copy of everything but the lease", lambda disk, copy: disk.restore(copy)),
    _kind(
        "old_chain", "an old copy of the chain under the present journal", lambda disk, copy: disk.restore_chain(copy)
    ),
    _kind("lost_journal", "the journal is gone, the lease is there", lambda disk, copy: disk.lose_journal(lease=False)),
    _kind("damaged_journal", "the journal does not read back", lambda disk, copy: disk.log.damage()),
)
