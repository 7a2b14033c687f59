"""Lies by what is sent to whom, and when: nothing here is forged."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire
from timecoin.simulation.byzantine.behaviour import Behaviour, behaviour
from timecoin.simulation.byzantine.reading import own_statements
from timecoin.simulation.clock import MILLISECOND, SECOND

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode
    from timecoin.simulation.link import Link

KINDS: tuple[tuple[type[wire.Message], ...], ...] = (
    (wire.Bundles,),
    (wire.Proposal,),
    (wire.Votes,),
    (wire.Votes, wire.Pol),
    (wire.Tx,),
    (wire.Status,),
    (wire.Blocks,),
)


@behaviour("silence")
class Silence(Behaviour):
    """Says nothing at all, or nothing of one kind; half of the time only from some moment on."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        chance = self.chance
        self._kinds = None if chance.permille(400) else chance.pick(KINDS)
        self._begins = node.world.clock.now + (chance.below(20 * SECOND) if chance.permille(500) else 0)

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Nothing of it."""
        if self.node.world.clock.now < self._begins:
            return [message]
        return [] if self._kinds is None or isinstance(message, self._kinds) else [message]


@behaviour("selective_sending")
class SelectiveSending(Behaviour):
    """Sends signed messages to some peers only; whom, changes from time to time."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._chosen: list[int] = []
        self._until = -1

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """To the chosen only."""
        now = self.node.world.clock.now
        if now >= self._until:
            self._until = now + self.chance.between(200 * MILLISECOND, 4 * SECOND)
            others = list(range(len(self.node.world.nodes)))
            self._chosen = self.chance.some(others, self.chance.between(1, len(others)))
        signed = isinstance(message, wire.Bundles | wire.Proposal | wire.Votes | wire.Pol)
        return [message] if not signed or link.target.index in self._chosen else []


@behaviour("shown_to_one")
class ShownToOne(Behaviour):
    """Shows each statement of its own to one peer only, another each time."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._shown: dict[bytes, int] = {}

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Its own statements to whom they are meant for."""
        mine = own_statements(self.node, message)
        if any(self._meant_for(raw) != link.target.index for raw in mine):
            return []
        return [message]

    def _meant_for(self, raw: bytes) -> int:
        if raw not in self._shown:
            peers = sorted(self.node.links) or [0]
            if len(self._shown) > 4_096:
                self._shown.clear()
            self._shown[raw] = self.chance.pick(peers)
        return self._shown[raw]


@behaviour("withheld_bodies")
class WithheldBodies(Behaviour):
    """Sends no transactions: neither those submitted to it nor those it is asked for."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """No bodies, no announcements; half of the time it says that it has none."""
        if isinstance(message, wire.Tx | wire.Inv):
            return []
        return [message]

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """Questions for bodies are not answered, or denied."""
        if isinstance(message, wire.GetTx):
            if self.chance.permille(500):
                self.node.send(link, wire.NotFound(message.ids))
            return None
        return message


@behaviour("withheld_certificates")
class WithheldCertificates(Behaviour):
    """Passes on nobody's statements but its own: no votes, no proposals, no proofs."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Only what is all its own."""
        if isinstance(message, wire.Pol):
            return []
        if isinstance(message, wire.Bundles | wire.Proposal | wire.Votes):
            mine = own_statements(self.node, message)
            count = len(message.bundles) if isinstance(message, wire.Bundles) else 1
            if isinstance(message, wire.Votes):
                count = len(message.prevotes) + len(message.precommits)
            return [message] if len(mine) == count else []
        return [message]


@behaviour("late")
class Late(Behaviour):
    """Sends everything seconds too late, and out of order."""

    def __init__(self, node: ByzantineNode) -> None:
        super().__init__(node)
        self._longest = self.chance.between(300, 5_000) * MILLISECOND

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """Later."""
        self.node.later(self.chance.below(self._longest), partial(self.node.send, link, message))
        return []


@behaviour("deaf")
class Deaf(Behaviour):
    """Takes no notice of most signed messages, so that it goes by its own view of things."""

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """One in five."""
        if isinstance(message, wire.Bundles | wire.Votes | wire.Proposal) and not self.chance.permille(200):
            return None
        return message
