"""A masternode that does not keep to the protocol: an honest one inside, whose mouth and ears are another's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from timecoin.consensus.permit import SigningPermit
from timecoin.ledger.powerset import PowerSet
from timecoin.p2p import messages as wire
from timecoin.simulation.byzantine.behaviour import BEHAVIOURS, Behaviour
from timecoin.simulation.byzantine.forge import Forge
from timecoin.simulation.clock import MILLISECOND
from timecoin.simulation.disk import Crash
from timecoin.simulation.node import Node
from timecoin.simulation.violation import Violation

if TYPE_CHECKING:
    from timecoin.simulation.keys import Key
    from timecoin.simulation.link import Link
    from timecoin.simulation.world import World

LOOK = 10 * MILLISECOND


class RecklessPermit(SigningPermit):
    """Signs whatever its journal holds and whoever says otherwise."""

    def __init__(self) -> None:
        super().__init__(intact=True, fresh=True)
        self.exchanged = True

    def contradicted(self, epoch: int) -> bool:
        """A message of its own key that it does not know is nothing new to a liar."""
        return False

    def silences(self, epoch: int) -> bool:
        """Never."""
        return False

    def allows(self, epoch: int, members: PowerSet) -> bool:
        """Always."""
        return True


class ByzantineNode(Node):
    """Runs a real participant, as eyes and as the face of an honest node; ``behaviours`` (names of
    :data:`~timecoin.simulation.byzantine.behaviour.BEHAVIOURS`) change what it sends and takes, and make what no honest
    node makes. ``KeyError`` when there is no such behaviour.

    It accuses nobody, and what fails inside of it only makes it start again.
    """

    def __init__(self, world: World, index: int, operator: Key | None, behaviours: Iterable[str]) -> None:
        super().__init__(world, index, operator)
        self.honest = False
        self.forge = Forge(self)
        self.behaviours: list[Behaviour] = [BEHAVIOURS[name](self) for name in behaviours]

    def _begin(self) -> None:
        self.participant._context.permit = RecklessPermit()
        super()._begin()
        for each in self.behaviours:
            each.begin()
        self._look()

    def _look(self) -> None:
        # A message of its own key that the honest part does not know would silence it for the rest of the height.
        self.participant.height._pen.silent = self.participant.height.signer is None
        for each in self.behaviours:
            each.look()
        self.later(LOOK, self._look)

    def guard(self, work: Callable[[], None]) -> None:
        """As an honest node's; but its lies may confuse it, and then it starts again."""
        try:
            super().guard(work)
        except Violation:
            raise
        except Exception:
            self.world.note(self, "is confused by its own lies")
            self.crash()
            self.world.died(self)

    def accuse(self, link: Link, code: str) -> None:
        """Never: it needs its connections."""

    def transmit(self, link: Link, frame: bytes) -> None:
        """Send what its behaviours make of what an honest node would send."""
        messages = [wire.decode(frame[4], memoryview(frame)[5:])]
        for each in self.behaviours:
            messages = [left for message in messages for left in each.outgoing(link, message)]
        for message in messages:
            self.send(link, message)

    def send(self, link: Link, message: wire.Message) -> None:
        """Send as it is, whatever the behaviours would make of it."""
        if link.is_established:
            with contextlib.suppress(wire.MessageError):
                self.world.carry(link, wire.encode_frame(message))

    def tell(self, node: Node, *messages: wire.Message) -> None:
        """Send as they are to a node, if there is a connection to it."""
        link = self.links.get(node.index)
        for message in messages:
            if link is not None:
                self.send(link, message)

    def tell_all(self, *messages: wire.Message) -> None:
        """Send as they are to everybody."""
        for link in list(self.links.values()):
            self.tell(link.target, *messages)

    def take(self, link: Link, message: wire.Message) -> None:
        """Take notice of what its behaviours leave of a message."""
        left: wire.Message | None = message
        for each in self.behaviours:
            if left is not None:
                left = each.incoming(link, left)
        if left is not None and self.up:
            super().take(link, left)

    def die(self) -> None:
        """Go down in the middle of something; somebody starts it again."""
        raise Crash
