"""What operators do when their network stands still because masternodes that lost their journals are silent.

A third of the power may be silent though less than a third is Byzantine: nothing but ``sign-anyway`` ends that
(protocol.md section 4), and it is right only for a key that signed nothing in the open epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timecoin.simulation.node import Node
    from timecoin.simulation.world import World


def open_epoch(honest: Sequence[Node]) -> int:
    """The newest one that an honest node has open."""
    return max([node.epoch for node in honest])


def goes_on(world: World, honest: Sequence[Node]) -> bool:
    """Do honest masternodes that may sign in the open epoch hold a quorum of it?"""
    epoch = open_epoch(honest)
    members = world.observer.sets.of(epoch)
    assert members is not None
    signing = [
        members.index_of_key(node.operator.public)
        for node in honest
        if node.operator is not None and not node.participant.permit.silences(epoch)
    ]
    return world.observer.sets.is_quorum(epoch, [signer for signer in signing if signer is not None])


def end_silence(world: World, honest: Sequence[Node]) -> None:
    """The operators of silent masternodes whose keys signed nothing in the open epoch make them sign."""
    epoch = open_epoch(honest)
    members = world.observer.sets.of(epoch)
    assert members is not None
    for node in honest:
        if node.operator is None or not node.participant.permit.silences(epoch) or node.epoch != epoch:
            continue
        signer = members.index_of_key(node.operator.public)
        if signer is not None and not world.observer.statements.has_signed(epoch, signer):
            node.sign_anyway()
