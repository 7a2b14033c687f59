"""A network of simulated nodes on one clock."""

from __future__ import annotations

from collections.abc import Sequence

from timecoin.ledger.genesis import Genesis
from timecoin.p2p import messages as wire
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND, Clock
from timecoin.simulation.keys import BACKEND, Key
from timecoin.simulation.link import Link
from timecoin.simulation.node import Node
from timecoin.simulation.observer import Observer
from timecoin.simulation.signatures import SharedSignatures
from timecoin.simulation.wires import Wires

RECONNECT = 500 * MILLISECOND
DISCOURAGED = 5 * SECOND
CLOCK_PEERS = 3


class World:
    """All nodes, the wires between them, and who watches. One seed decides everything that is left open."""

    def __init__(self, seed: int, genesis: Genesis, operators: Sequence[Key | None]) -> None:
        self.chance = Chance(seed)
        self.genesis = genesis
        self.began = genesis.slot_time * SECOND + 500 * MILLISECOND
        self.clock = Clock(self.began)
        self.signatures = SharedSignatures(BACKEND)
        self.verify_time, self.job_time = 30, 2 * MILLISECOND
        self.observer = Observer(self)
        self.wires = Wires(self.chance.stream("wires"))
        self.nodes = [Node(self, index, operator) for index, operator in enumerate(operators)]
        self.messages = self.bytes = 0
        self._decoded: tuple[bytes, wire.Message] | None = None

    # Connections

    def connect_all(self, node: Node) -> None:
        """Connect a node that started to everybody."""
        for other in self.nodes:
            self.connect(node, other)

    def connect(self, one: Node, two: Node) -> None:
        """Connect two nodes unless they are, or one is down."""
        if one is two or not (one.up and two.up) or two.index in one.links:
            return
        there, back = Link(one, two), Link(two, one)
        there.back, back.back = back, there
        one.connected(there)
        two.connected(back)

    def disconnect(self, link: Link) -> None:
        """End a connection, both directions; it is made again later."""
        if not link.is_established:
            return
        link.is_established = link.back.is_established = False
        link.source.lost(link)
        link.target.lost(link.back)
        self.clock.after(RECONNECT, lambda: self.connect(link.source, link.target))

    def carry(self, link: Link, frame: bytes) -> None:
        """Bring a frame to the other end, or lose it."""
        message = self._decode(frame)
        self.messages += 1
        self.bytes += len(frame)
        self.observer.sent(link, message)
        for delay in self.wires.copies(link, message, len(frame)):
            self.clock.after(delay, lambda: self._arrive(link, message))

    def _decode(self, frame: bytes) -> wire.Message:
        # A broadcast sends one and the same frame to many.
        if self._decoded is None or self._decoded[0] is not frame:
            self._decoded = (frame, wire.decode(frame[4], memoryview(frame)[5:]))
        return self._decoded[1]

    def _arrive(self, link: Link, message: wire.Message) -> None:
        if link.is_established:
            link.target.take(link.back, message)

    # Clocks

    def clock_offset_of(self, node: Node) -> int | None:
        """Median of the peers' clocks minus the node's own, in milliseconds (protocol.md 9)."""
        mine = node.now_ms()
        offsets = sorted([link.target.now_ms() - mine for link in node.links.values()])
        return offsets[len(offsets) // 2] if len(offsets) >= CLOCK_PEERS else None

    # Faults

    def before_write(self, node: Node) -> None:
        """A write is about to be done; raise ``Crash`` to end the node here."""

    def after_write(self, node: Node) -> None:
        """A write was done, and nobody knows yet; raise ``Crash`` to end the node here."""

    def died(self, node: Node) -> None:
        """A node crashed by itself: somebody starts it again."""
        self.clock.after(SECOND, lambda: None if node.up else node.boot())

    def stopped(self, node: Node) -> None:
        """A node halted for good (R12)."""
