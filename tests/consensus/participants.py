"""Networks of participants over virtual time: real machines, ledger and gossip; disks, wires and clocks in
memory.

Everything is decided by one integer seed. A crash loses all but the disk; every message that is sent and
every block that is stored is looked at by :mod:`tests.consensus.watch`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence

from tests.consensus.virtual_node import Link, Node
from tests.consensus.watch import Watch
from tests.ledger import builders
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.params import Parameters
from timecoin.p2p import messages as wire

__all__ = ["Link", "Network", "Node", "Route"]

Route = Callable[[Link, wire.Message], Sequence[int]]
"""The delays in milliseconds after which copies of a message arrive; none: it is lost."""


class Network:
    """Nodes on one virtual clock. ``followers`` have no key. Start them with :meth:`start`."""

    def __init__(
        self,
        masternodes: int = 4,
        *,
        seed: int = 0,
        followers: int = 0,
        genesis: Genesis | None = None,
        parameters: Parameters | None = None,
        accounts: int = 8,
        verifies: bool = False,
    ) -> None:
        parameters = parameters or Parameters.for_epoch_seconds(8)
        self.genesis = genesis or builders.network(masternodes, accounts=accounts, parameters=parameters)
        self.random = random.Random(seed)
        self.verifies = verifies
        self.now = self.genesis.slot_time * 1000 + 500
        self.restart_after: int | None = 300
        self.groups: list[set[int]] = []
        self.route: Route = lambda link, message: (self.random.randint(5, 15),)
        self.disk_ms: Callable[[], int] = lambda: self.random.randint(0, 3)
        self.job_ms: Callable[[], int] = lambda: self.random.randint(0, 5)
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self.watch = Watch(self.genesis)
        self.nodes: list[Node] = []
        for index in range(masternodes + followers):
            secret = builders.operator(index).secret if index < masternodes else None
            self.nodes.append(Node(self, index, secret))

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def start(self, *indexes: int) -> Network:
        for index in indexes or range(len(self.nodes)):
            self.nodes[index].boot()
        return self

    # Time

    def after(self, delay: int, work: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (self.now + delay, self._sequence, work))

    def run(self, milliseconds: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, until a condition holds; tells whether it did."""
        end = self.now + milliseconds
        while not until():
            if not self._heap or self._heap[0][0] > end:
                self.now = end
                return until()
            self.now, _, work = heapq.heappop(self._heap)
            work()
        return True

    def run_to_height(self, height: int, limit: int = 60_000, nodes: Iterable[Node] | None = None) -> bool:
        chosen = list(self.nodes if nodes is None else nodes)
        return self.run(limit, lambda: all(node.height >= height for node in chosen))

    def run_to_epoch(self, epoch: int, limit: int = 60_000, nodes: Iterable[Node] | None = None) -> bool:
        chosen = list(self.nodes if nodes is None else nodes)
        return self.run(limit, lambda: all(node.participant.height.epoch >= epoch for node in chosen))

    # Wires

    def carry(self, link: Link, message: wire.Message) -> None:
        self.watch.sent(link.source.index, message)
        if self.groups and not any({link.source.index, link.target.index} <= group for group in self.groups):
            return
        for delay in self.route(link, message):
            self.after(delay, lambda: self._arrive(link, message))

    def _arrive(self, link: Link, message: wire.Message) -> None:
        target = link.target
        back = target.links.get(link.source.index)
        if target.up and back is not None and link.lives == (back.lives[1], back.lives[0]):
            target.guard(lambda: target.intake.message(back, message))  # type: ignore[arg-type]

    def close(self) -> None:
        """The checks that need the end of a run."""
        self.watch.finish(self.nodes)
