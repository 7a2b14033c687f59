"""Lies about who it is: one key in several places, or a key that is in no set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire
from timecoin.simulation.byzantine.behaviour import Behaviour, behaviour
from timecoin.simulation.byzantine.voting import Forging
from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.keys import key

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode
    from timecoin.simulation.link import Link


@behaviour("twins")
class Twins(Behaviour):
    """Two or three nodes with one operator key, each known to another part of the network: whatever they do honestly,
    together they contradict themselves.

    (*Twins: BFT Systems Made Robust*, arXiv:2004.10617.) The node itself is one of them; it makes the others when it
    first starts.
    """

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._circle: set[int] | None = None
        self._twins: list[tuple[ByzantineNode, Twins]] = [(node, self)]
        self._shuffled = -1

    def begin(self) -> None:
        """At the first start the others are made."""
        world = self.node.world
        if self._circle is not None:
            return
        self._circle = set()
        for _ in range(self.chance.between(1, 2)):
            twin = type(self.node)(world, len(world.nodes), self.node.operator, ())
            other = Twins(twin)
            other._circle, other._shuffled = set(), 1 << 62
            twin.behaviours.append(other)
            world.nodes.append(twin)
            regions = world.wires.regions
            world.wires.regions = (*regions, regions[self.node.index]) if regions else ()
            self._twins.append((twin, other))
        self._share_out()
        for twin, _ in self._twins[1:]:
            world.clock.after(0, twin.boot)

    def _share_out(self) -> None:
        circles: list[set[int]] = [set() for _ in self._twins]
        for node in self.node.world.nodes:
            self.chance.pick(circles).add(node.index)
        for (_, twin), circle in zip(self._twins, circles, strict=True):
            twin._circle = circle
        self._shuffled = self.node.world.clock.now + self.chance.between(300, 5_000) * MILLISECOND

    def look(self) -> None:
        """Who knows whom changes."""
        if self.node.world.clock.now >= self._shuffled:
            self._share_out()

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """To its own circle."""
        return [message] if self._circle is not None and link.target.index in self._circle else []

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """From its own circle."""
        return message if self._circle is not None and link.target.index in self._circle else None


@behaviour("non_member")
class NonMember(Forging):
    """Signs votes, acks and block votes in every member's name with a key that is in no set."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._key = key("outsider")

    def look(self) -> None:
        """For all that is pending, rivals too; whoever checks closes the connection."""
        if not self.is_time(500, 1_500):
            return
        forge, txids = self.node.forge, self.pending(20)
        if not txids:
            return
        for signer in range(len(forge.ledger.current)):
            self.node.tell_all(
                forge.bundle(txids, txids, signer=signer, key=self._key, number=self.chance.between(1, 900))
            )
