"""A network of simulated nodes on one clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Protocol

from timecoin.consensus import effects as fx
from timecoin.ledger.genesis import Genesis
from timecoin.p2p import messages as wire
from timecoin.simulation.chance import Chance
from timecoin.simulation.clock import MILLISECOND, SECOND, Clock
from timecoin.simulation.keys import BACKEND, Key
from timecoin.simulation.link import Link
from timecoin.simulation.node import Node
from timecoin.simulation.observer import Observer
from timecoin.simulation.signatures import SharedSignatures
from timecoin.simulation.trace import Trace
from timecoin.simulation.wires import Wires

RECONNECT = 500 * MILLISECOND
RESTART = SECOND
CLOCK_PEERS = 3

NodeMaker = Callable[["World", int, Key | None], Node]


class Adversary(Protocol):
    """Who decides how long each message between nodes takes, as long as it takes its time at all."""

    def takes(self, link: Link, message: wire.Message, size: int) -> bool:
        """Does it keep this message, to put it on the wires later?"""
        ...

    def end(self) -> None:
        """The faults are over: what was kept goes on, and nothing is kept any more."""
        ...


class World:
    """All nodes, the wires between them, and who watches. One seed decides everything that is left open.

    ``make`` builds node number n with its operator's key (None: a follower). ``trace`` keeps what happens; without one
    nothing is kept. ``digest`` stands for all messages and writes up to now, ``final_at`` tells when a payment was
    first reported final by an honest node (microseconds of the clock).
    """

    def __init__(
        self,
        seed: int,
        genesis: Genesis,
        operators: Sequence[Key | None],
        make: NodeMaker = Node,
        trace: Trace | None = None,
    ) -> None:
        self.chance = Chance(seed)
        self.genesis = genesis
        self.began = genesis.slot_time * SECOND + 500 * MILLISECOND
        self.clock = Clock(self.began)
        self.trace = trace
        if trace is not None:
            trace.began = self.began
        self._digest = sha256()
        self.signatures = SharedSignatures(BACKEND)
        self.verify_time, self.job_time = 50, 2 * MILLISECOND
        self.observer = Observer(self)
        self.wires = Wires(self.chance.stream("wires"), self)
        self.messages = self.bytes = 0
        self.adversary: Adversary | None = None
        self._decoded: tuple[bytes, wire.Message] | None = None
        self._makers: dict[bytes, list[int]] = {}
        self.final_at: dict[bytes, int] = {}
        self.write_faults: list[Callable[[Node, bool], None]] = []
        self.nodes: list[Node] = []
        for index, operator in enumerate(operators):
            self.nodes.append(make(self, index, operator))

    # Watching

    def note(self, node: Node | None, what: str, *things: object) -> None:
        """Keep an event for the trace."""
        if self.trace is not None:
            self.trace.note(self.clock.now, None if node is None else node.index, what, *things)

    def stamp(self, what: bytes) -> None:
        """Something happened now: make it part of the digest."""
        self._digest.update(b"%d %b" % (self.clock.now, what))

    @property
    def digest(self) -> str:
        """A hash over everything that was sent and stored, with its time: equal when two runs are."""
        return self._digest.hexdigest()

    def reported(self, node: Node, report: fx.Report) -> None:
        """Users of a node are told something."""
        self.note(node, "reports", report)
        self.observer.reported(node, report)
        if report.change is fx.Change.FINAL and node.honest:
            self.final_at.setdefault(report.txid, self.clock.now)

    # Connections

    def connect_all(self, node: Node) -> None:
        """Connect a node that started to everybody."""
        for other in self.nodes:
            self.connect(node, other)

    def connect(self, one: Node, two: Node) -> None:
        """Connect two nodes unless they are, or one does not answer."""
        if one is two or not (one.responds and two.responds) or two.index in one.links:
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
        source, target = link.source, link.target
        self._digest.update(b"%d %d %d" % (self.clock.now, source.index, target.index))
        self._digest.update(frame)
        self.observer.sent(link, message)
        if self.adversary is None or not self.adversary.takes(link, message, len(frame)):
            self.pass_on(link, message, len(frame))

    def pass_on(self, link: Link, message: wire.Message, size: int) -> None:
        """Put a message of ``size`` bytes on the wires; so does the adversary with what it took, when it likes."""
        delays = self.wires.copies(link, message, size)
        if self.trace is not None:
            self._note_sent(link, message, delays)
        for delay in delays:
            self.clock.after(delay, lambda: self._arrive(link, message))

    def _note_sent(self, link: Link, message: wire.Message, delays: list[int]) -> None:
        if not delays:
            fate = "LOST"
        elif max(delays) > 400 * MILLISECOND:
            fate = f"arrives after {max(delays) // MILLISECOND} ms"
        else:
            fate = ""
        self.note(link.source, f"-> {link.target.index}", message, fate)

    def _decode(self, frame: bytes) -> wire.Message:
        # A broadcast sends one and the same frame to many.
        if self._decoded is None or self._decoded[0] is not frame:
            self._decoded = (frame, wire.decode(frame[4], memoryview(frame)[5:]))
        return self._decoded[1]

    def _arrive(self, link: Link, message: wire.Message) -> None:
        if link.is_established:
            link.target.take(link.back, message)

    def maker_of(self, node: Node, set_hash: bytes, signer: int) -> int | None:
        """The number of the node whose key member ``signer`` of a set has; for no set that of ``node`` itself."""
        if not set_hash:
            return node.index
        if set_hash not in self._makers and not self._learn_set(node, set_hash):
            return None
        makers = self._makers[set_hash]
        return makers[signer] if signer < len(makers) else None

    def _learn_set(self, node: Node, set_hash: bytes) -> bool:
        ledger = node.disk.ledger
        by_key = {each.operator.public: each.index for each in self.nodes if each.operator is not None}
        for members in (ledger.current, ledger.following, ledger.previous_set):
            if members is not None and members.set_hash == set_hash:
                self._makers[set_hash] = [by_key.get(member.operator_key, -1) for member in members.members]
                return True
        return False

    # Clocks

    def clock_offset_of(self, node: Node) -> int | None:
        """Median of the peers' clocks minus the node's own, in milliseconds (protocol.md 9)."""
        mine = node.now_ms()
        offsets = sorted([link.target.now_ms() - mine for link in node.links.values()])
        return offsets[len(offsets) // 2] if len(offsets) >= CLOCK_PEERS else None

    # Faults

    def before_write(self, node: Node) -> None:
        """A write is about to be done; raises ``Crash`` to end the node here."""
        for strike in list(self.write_faults):
            strike(node, False)

    def after_write(self, node: Node) -> None:
        """A write was done, and nobody knows yet; raises ``Crash`` to end the node here."""
        for strike in list(self.write_faults):
            strike(node, True)

    def died(self, node: Node) -> None:
        """A node crashed by itself: somebody starts it again."""
        self.clock.after(RESTART, lambda: None if node.up else node.boot())

    def stopped(self, node: Node) -> None:
        """A node halted for good (R12)."""
