"""Sees all that is sent, stored and reported, and raises ``Violation`` at the first thing that must never be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from timecoin.consensus import effects as fx
from timecoin.ledger.assembly import Assembled
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Commit

if TYPE_CHECKING:
    from timecoin.simulation.link import Link
    from timecoin.simulation.node import Node
    from timecoin.simulation.world import World


class Violation(Exception):
    """An invariant is broken. ``invariant`` is its name."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


class Observer:
    """Hears of everything; holds the checkers."""

    def __init__(self, world: World) -> None:
        self._world = world

    def booted(self, node: Node) -> None:
        """A node starts."""

    def crashed(self, node: Node) -> None:
        """A node lost everything but its disk."""

    def sent(self, link: Link, message: wire.Message) -> None:
        """A message is on its way."""

    def journaled(self, node: Node, records: Sequence[bytes]) -> None:
        """Records became durable."""

    def rotated(self, node: Node, carry: Sequence[bytes]) -> None:
        """A journal began anew with these records."""

    def stored(self, node: Node, assembled: Assembled, commit: Commit) -> None:
        """A decided block became durable."""

    def applied(self, node: Node, archived: fx.BlockArchived) -> None:
        """A decided block was applied."""

    def reported(self, node: Node, report: fx.Report) -> None:
        """Users of a node are told something."""

    def accused(self, node: Node, other: Node, code: str) -> None:
        """A node closed a connection because of what came over it."""

    def bad_block(self, node: Node, bad: fx.BadBlock) -> None:
        """A block offered as decided was not."""

    def misbehaviour(self, node: Node, misbehaviour: fx.Misbehaviour) -> None:
        """A node saw what no honest masternode signs."""

    def halted(self, node: Node, halt: fx.Halt) -> None:
        """A node stopped for good."""
