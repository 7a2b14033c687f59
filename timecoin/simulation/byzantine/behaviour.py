"""What one Byzantine behaviour is, and the table of them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from timecoin.p2p import messages as wire

if TYPE_CHECKING:
    from timecoin.simulation.byzantine.node import ByzantineNode
    from timecoin.simulation.link import Link


class Behaviour:
    """One way of breaking the protocol; a node may have several, each one sees what the one before left.

    By default it does nothing: override what matters. ``node`` is the liar, ``chance`` a stream of its own.
    """

    def __init__(self, node: ByzantineNode) -> None:
        self.node = node
        self.chance = node.chance.stream(type(self).__name__)

    def begin(self) -> None:
        """The node started, or started again; its participant is there."""

    def outgoing(self, link: Link, message: wire.Message) -> list[wire.Message]:
        """What is sent instead of a message that an honest node in its place would send."""
        return [message]

    def incoming(self, link: Link, message: wire.Message) -> wire.Message | None:
        """What the node takes notice of instead of a message that came; None: of nothing."""
        return message

    def look(self) -> None:
        """Some time went by: called every 10 milliseconds while the node is up."""


Maker = Callable[["ByzantineNode"], Behaviour]

BEHAVIOURS: dict[str, Maker] = {}
"""Name to maker, in the order of definition; the maker's docstring says what it does."""


def behaviour(name: str) -> Callable[[type[Behaviour]], type[Behaviour]]:
    """Enter a class into :data:`BEHAVIOURS`."""

    def enter(kind: type[Behaviour]) -> type[Behaviour]:
        BEHAVIOURS[name] = kind
        return kind

    return enter
