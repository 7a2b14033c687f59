"""How long the network takes to go on after a fault, measured against two rounds of its own time-outs."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
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
    its slot if that comes later; ``everywhere``: the slower of both at all nodes, the victims among them;
    ``at_work``: the same, less the share of the time in which a node had work and no processor, which is the
    machine's doing.
    """

    final: float | None
    closed: float | None
    everywhere: float | None
    at_work: float | None

    @property
    def network(self) -> float | None:
        """The slower of ``final`` and ``closed``."""
        return None if self.final is None or self.closed is None else max(self.final, self.closed)


async def recover(net: ChaosNet, payments: Payments, healthy: Collection[ChaosNode]) -> Recovery:
    """Measure from now on: ``healthy`` take the fresh payment, if there are any."""
    began = reactor.seconds()
    slot, epoch = await _open_epoch(net)
    due = max(began, began + slot - time.time())
    looks = [_Look(node, began, due, epoch) for node in net.up_nodes()]
    payment = await payments.one(list(healthy) or net.nodes)
    await together(look.go(payment.txid) for look in looks)
    return Recovery(
        _of_quorum([look.final for look in looks]),
        _of_quorum([look.closed for look in looks]),
        _latest([look.back for look in looks]),
        _latest([look.at_work for look in looks]),
    )


async def _open_epoch(net: ChaosNet) -> tuple[int, int]:
    """The next slot and the epoch of the node that is furthest."""
    infos = await together(node.ask("getconsensusinfo") for node in net.up_nodes())
    return max((info["epoch"], info["next_slot"]) for info in infos if info is not None)[::-1]


class _Look:
    """When a node was seen to be back: ``final`` from ``began``, ``closed`` from ``due``."""

    def __init__(self, node: ChaosNode, began: float, due: float, epoch: int) -> None:
        self._node, self._began, self._due, self._epoch = node, began, due, epoch
        self._waited = waited_for_processor(node)
        self._share = 0.0
        self.final: float | None = None
        self.closed: float | None = None

    async def go(self, txid: str) -> None:
        """Look until it is back."""
        while self.back is None and reactor.seconds() < self._due + LIMIT:
            await self._look(txid)
            await deferLater(reactor, _POLL)
        waited = waited_for_processor(self._node) - self._waited
        self._share = min(1.0, max(0.0, waited) / max(_POLL, reactor.seconds() - self._began))

    async def _look(self, txid: str) -> None:
        if self.final is None:
            shown = await self._node.ask("gettxstatus", txid)
            if shown is not None and shown["status"] in SETTLED:
                self.final = reactor.seconds() - self._began
        if self.closed is None:
            info = await self._node.ask("getconsensusinfo")
            if info is not None and info["epoch"] > self._epoch:
                self.closed = max(0.0, reactor.seconds() - self._due)

    @property
    def back(self) -> float | None:
        """The later of both."""
        return _latest([self.final, self.closed])

    @property
    def at_work(self) -> float | None:
        """The same, less the time without a processor."""
        return None if self.back is None else self.back * (1 - self._share)


def waited_for_processor(node: ChaosNode) -> float:
    """Seconds for which the node's main thread was ready to run and did not, since it started."""
    if node.child is None:
        return 0.0
    try:
        shown = Path(f"/proc/{node.child.pid}/task/{node.child.pid}/schedstat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(shown.split()[1]) / 1e9


def _latest(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return max(known) if known and len(known) == len(seconds) else None


def _of_quorum(seconds: Sequence[float | None]) -> float | None:
    """When the last of the quickest nodes that are a quorum was there."""
    known = sorted(each for each in seconds if each is not None)
    needed = 2 * len(seconds) // 3 + 1
    return known[needed - 1] if len(known) >= needed else None
