"""How long the network takes to go on after a fault, measured against two rounds of its own time-outs."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater

from tests.functional.chaos.network import ChaosNet, ChaosNode
from tests.functional.chaos.payments import Payments
from tests.functional.load import SETTLED
from tests.functional.support import together
from timecoin.ledger.params import Parameters

reactor: Any = _reactor
_POLL = 0.1
LIMIT = 60.0


def round_seconds(params: Parameters, number: int) -> float:
    """The longest that round ``number`` of a height takes when its proposer is away."""
    stages = params.timeout_propose + params.timeout_prevote + params.timeout_precommit
    return (stages + 3 * number * params.timeout_delta) / 1000


def two_rounds(params: Parameters) -> float:
    """Rounds 0 and 1 of a height."""
    return round_seconds(params, 0) + round_seconds(params, 1)


@dataclass(frozen=True)
class Recovery:
    """Seconds from the end of a fault; None: not within ``LIMIT``.

    ``final``: a fresh payment is final at a quorum of nodes; ``closed``: the epoch is closed there, counted from
    its slot if that comes later; ``everywhere``: the slower of both at all nodes, the victims among them.
    """

    final: float | None
    closed: float | None
    everywhere: float | None

    @property
    def network(self) -> float | None:
        """The slower of ``final`` and ``closed``."""
        return None if self.final is None or self.closed is None else max(self.final, self.closed)


async def recover(net: ChaosNet, payments: Payments, healthy: Collection[ChaosNode]) -> Recovery:
    """Measure from now on: ``healthy`` take the fresh payment, if there are any."""
    began = reactor.seconds()
    slot, epoch = await _open_epoch(net)
    due = max(began, began + slot - time.time())
    finals, closes = _Arrivals(net), _Arrivals(net)
    payment = await payments.one(list(healthy) or net.nodes)

    async def look(node: ChaosNode) -> None:
        if node not in finals.at:
            shown = await node.ask("gettxstatus", payment.txid)
            finals.note(node, shown is not None and shown["status"] in SETTLED)
        if node not in closes.at:
            info = await node.ask("getconsensusinfo")
            closes.note(node, info is not None and info["epoch"] > epoch)

    while reactor.seconds() < due + LIMIT and not (finals.complete and closes.complete):
        await together(look(node) for node in net.up_nodes())
        await deferLater(reactor, _POLL)
    everywhere = _later(finals.all(began), closes.all(due))
    return Recovery(finals.quorum(began), closes.quorum(due), everywhere)


async def _open_epoch(net: ChaosNet) -> tuple[int, int]:
    """The next slot and the epoch of the node that is furthest."""
    infos = await together(node.ask("getconsensusinfo") for node in net.up_nodes())
    return max((info["epoch"], info["next_slot"]) for info in infos if info is not None)[::-1]


class _Arrivals:
    """When something was first seen at each node."""

    def __init__(self, net: ChaosNet) -> None:
        self.at: dict[ChaosNode, float] = {}
        self._count = len(net.nodes)

    def note(self, node: ChaosNode, seen: bool) -> None:
        if seen:
            self.at[node] = reactor.seconds()

    @property
    def complete(self) -> bool:
        return len(self.at) == self._count

    def all(self, since: float) -> float | None:
        return self._nth(self._count, since)

    def quorum(self, since: float) -> float | None:
        return self._nth(2 * self._count // 3 + 1, since)

    def _nth(self, count: int, since: float) -> float | None:
        times = sorted(self.at.values())
        return max(0.0, times[count - 1] - since) if len(times) >= count else None


def _later(*seconds: float | None) -> float | None:
    known = [each for each in seconds if each is not None]
    return max(known) if len(known) == len(seconds) else None
