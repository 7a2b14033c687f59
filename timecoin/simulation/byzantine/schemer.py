"""All the schemes in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire
from timecoin.simulation.byzantine.behaviour import behaviour
from timecoin.simulation.byzantine.scheme import Scheme, Script
from timecoin.simulation.byzantine.schemes import (
    CarriedVotes,
    ClaimedTurn,
    DecidedInterim,
    FailedInterim,
    LateAcks,
    LateCertificate,
    LoneCertificate,
    LoneLock,
    Omission,
    OrphanChild,
    SplitVotes,
)

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode
    from timecoin.simulation.link import Link

ALL: tuple[type[Scheme], ...] = (
    LoneCertificate,
    Omission,
    FailedInterim,
    DecidedInterim,
    ClaimedTurn,
    OrphanChild,
    SplitVotes,
    CarriedVotes,
    LateCertificate,
    LateAcks,
    LoneLock,
)


@behaviour("schemer")
class AnyScheme(Scheme):
    """Sees the whole network, delays its messages, and tries one of the schemes after the other."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._all = [kind(node) for kind in ALL]
        self._current = self._all[0]

    def play(self) -> Script:
        """One of them."""
        self._current = self.chance.pick(self._all)
        self._current._epoch, self.lasts = self._epoch, self._current.lasts
        yield from self._current.play()

    def _give_up(self) -> None:
        super()._give_up()
        self._current.muted = frozenset()

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """As the scheme at hand says."""
        return self._current.outgoing(link, message)

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """As the scheme at hand says."""
        return self._current.incoming(link, message)
