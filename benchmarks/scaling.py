"""How finality grows with the number of masternodes, simulated on the wide-area matrix.

``python -m benchmarks.scaling --nodes 4,10,25,50,100 --payments 20`` prints for each size: message delays to final,
virtual milliseconds to final, and what a payment costs in bytes sent and in processor time; then the growth from the
first size to the last. Message delays are counted on wires that take one second each way, so that nothing else weighs:
protocol.md 0 says three. A signature is verified once for all nodes and remembered, so processor time leaves most
verifications out: how many a node asks for stands beside it (32 microseconds each).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.figures import percentile
from timecoin.consensus import effects as fx
from timecoin.consensus.effects import Change
from timecoin.ledger.params import Parameters
from timecoin.ledger.tiers import Tier
from timecoin.simulation.clock import MILLISECOND, SECOND
from timecoin.simulation.genesis import account, make_genesis, operator
from timecoin.simulation.node import Node
from timecoin.simulation.payments import genesis_coins, pay
from timecoin.simulation.wide_area import REGIONS
from timecoin.simulation.world import World

WARM_UP = 4 * SECOND
ONE_DELAY = SECOND
EPOCH_SECONDS = 600
STRIDE = 3
"""Regions are taken by threes, so that even four masternodes are on four continents."""


@dataclass
class Figures:
    """What one size of network needs. Milliseconds are virtual, ``cpu_ms`` is real and of all nodes together."""

    nodes: int
    delays: float
    first_p50_ms: float
    all_p50_ms: float
    all_p99_ms: float
    bytes_per_payment: int
    bytes_per_payment_and_node: int
    messages_per_payment: int
    signatures_per_payment_and_node: int
    cpu_ms_per_payment: float
    cpu_ms_per_payment_and_node: float


class Measured:
    """A quiet network of ``count`` Gold masternodes, one in each region in turn, and a payment every ``pause``."""

    def __init__(self, count: int, *, payments: int, wide_area: bool) -> None:
        parameters = Parameters.for_epoch_seconds(EPOCH_SECONDS)
        genesis = make_genesis([Tier.GOLD] * count, payments, parameters)
        self.world = World(1, genesis, [operator(number) for number in range(count)])
        self.count = count
        self.coins = genesis_coins(genesis, [account(number) for number in range(payments)])
        self.submitted: dict[bytes, int] = {}
        self.final: dict[bytes, list[int]] = {}
        if wide_area:
            self.world.wires.regions = [STRIDE * number % len(REGIONS) for number in range(count)]
        else:
            self.world.wires._travel = lambda link: ONE_DELAY  # type: ignore[method-assign]
        self._judge, self.world.observer.reported = self.world.observer.reported, self._reported  # type: ignore[method-assign]
        for node in self.world.nodes:
            node.boot()
        self.world.clock.run_until(self.world.clock.now + WARM_UP + 20 * SECOND)

    def _reported(self, node: Node, report: fx.Report) -> None:
        if report.change is Change.FINAL:
            self.final.setdefault(report.txid, []).append(self.world.clock.now)
        self._judge(node, report)

    def run(self, pause: int, settle: int) -> None:
        """Submit all payments, one after the other, to one node after the other, and wait."""
        clock = self.world.clock
        for number, coin in enumerate(self.coins):
            tx, _ = pay(coin, account(number), 1_000_000)
            self.world.observer.made(tx)
            self.submitted[tx.txid] = clock.now
            if not self.world.nodes[number % self.count].submit(tx):
                raise SystemExit("a payment was not taken")
            clock.run_until(clock.now + pause)
        clock.run_until(clock.now + settle)
        late = [txid for txid in self.submitted if len(self.final.get(txid, ())) < self.count]
        if late:
            raise SystemExit(f"{len(late)} payments are not final everywhere")

    def milliseconds(self, which: int) -> list[float]:
        """To the report of the first (0) or the last (-1) node, of each payment, ascending."""
        return sorted([(self.final[txid][which] - at) / MILLISECOND for txid, at in self.submitted.items()])


def measure(count: int, payments: int) -> Figures:
    """Run a network of ``count`` twice: with delays of one second, and on the wide-area matrix."""
    counted = Measured(count, payments=1, wide_area=False)
    counted.run(SECOND, 20 * SECOND)
    delays = percentile(counted.milliseconds(-1), 500) * MILLISECOND / ONE_DELAY
    network = Measured(count, payments=payments, wide_area=True)
    world = network.world
    idle = _Meter(world)
    world.clock.run_until(world.clock.now + payments * SECOND + 5 * SECOND)
    idle.stop()
    busy = _Meter(world)
    network.run(SECOND, 5 * SECOND)
    busy.stop()
    size, messages, signatures, cpu = [
        (after - before) / payments for after, before in zip(busy.spent, idle.spent, strict=True)
    ]
    every = network.milliseconds(-1)
    return Figures(
        count,
        round(delays, 2),
        percentile(network.milliseconds(0), 500),
        percentile(every, 500),
        percentile(every, 990),
        round(size),
        round(size / count),
        round(messages),
        round(signatures / count),
        round(1000 * cpu, 1),
        round(1000 * cpu / count, 2),
    )


class _Meter:
    """What passes between two moments; what a quiet network spends by itself is taken off by the caller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = self._now()
        self.spent: tuple[float, ...] = ()

    def _now(self) -> tuple[float, ...]:
        world = self._world
        return world.bytes, world.messages, world.signatures.asked, time.process_time()

    def stop(self) -> None:
        self.spent = tuple(after - before for after, before in zip(self._now(), self._before, strict=True))


def growth(rows: Sequence[Figures]) -> dict[str, str]:
    """The exponent with which each figure grows from the first size to the last: n^x."""
    first, last = asdict(rows[0]), asdict(rows[-1])
    scale = math.log(last["nodes"] / first["nodes"])
    return {
        name: f"n^{math.log(last[name] / first[name]) / scale:.2f}"
        for name in first
        if name != "nodes" and first[name] > 0 and last[name] > 0
    }


def main() -> None:
    """Print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="4,10,25,50,100")
    parser.add_argument("--payments", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for count in map(int, options.nodes.split(",")):
        rows.append(measure(count, options.payments))
        print(json.dumps(asdict(rows[-1])) if options.json else _line(rows[-1]), flush=True)
    if len(rows) > 1:
        print(json.dumps(growth(rows)))


def _line(row: Figures) -> str:
    return "  ".join([f"{name} {value}" for name, value in asdict(row).items()])


if __name__ == "__main__":
    main()
