"""One node, a network of one, the real disk: from wire bytes to durable final.

``python -m benchmarks.pipeline`` prints one JSON object: payments a second, and where the microseconds of each
payment go.
The figures of the first run are whole; the stages come from a second, as the clock reads that they take cost a fifth
of the
speed. Stages are CPU time of the thread that they run on; ``reactor`` ones exclude each other, ``thread`` ones run
beside them.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from benchmarks.payments import make_payments
from timecoin.cli.new_network import OPERATOR_KEY, NewNetwork, Seat, make_network
from timecoin.cli.payment import OwnedCoin
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.node import config, wiring
from timecoin.p2p import messages as wire
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import hash160
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import make_outpoint

BATCH = 100
reactor: Any = real_reactor


class Stages:
    """CPU microseconds by stage, gathered by wrapping the functions that do the work."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Count the time of ``owner.name`` as ``stage``."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return inner(*arguments, **named)
            finally:
                self.spent[stage] = self.spent.get(stage, 0.0) + time.thread_time() - began

        setattr(owner, name, timed)

    def per_payment(self, count: int) -> dict[str, float]:
        """Microseconds a payment."""
        return {stage: round(1e6 * seconds / count, 1) for stage, seconds in sorted(self.spent.items())}


class FakePeer:
    """A peer that sends the load and takes what is announced."""

    node_id = b"\x02" + bytes(32)
    masternode_id = None
    queued_bytes = 0
    is_established = True

    def send(self, message: Any) -> bool:
        """Take it."""
        return True

    def misbehaved(self, code: str) -> None:
        raise AssertionError(code)


def _network(coins: int) -> NewNetwork:
    seat = Seat(Tier.GOLD, ServiceAddress.parse("127.0.0.1:1"))
    params = Parameters.for_epoch_seconds(10)
    return make_network("devnet", int(time.time()), [seat], params, fund_count=coins, fund_amount=COIN)


def _node(directory: Path, network: NewNetwork) -> wiring.Node:
    network.masternodes[0].write(directory)
    (directory / "genesis.json").write_bytes(network.genesis.encode())
    text = f"""[node]
network = devnet
data_dir = {directory / "data"}
genesis = {directory / "genesis.json"}
[p2p]
listen = none
[rpc]
enabled = no
[masternode]
enabled = yes
operator_key_file = {directory / OPERATOR_KEY}
"""
    (directory / "node.ini").write_text(text)
    settings = config.load(str(directory / "node.ini"))
    return wiring.Node(settings, network.genesis, reactor, reactor.seconds)


def _instrument(stages: Stages, node: wiring.Node) -> None:
    participant = node.consensus.participant
    stages.wrap(wire, "decode", "reactor: frame and transaction bytes")
    stages.wrap(participant, "prepare", "reactor: validate")
    stages.wrap(participant, "admit", "reactor: admit and vote")
    stages.wrap(participant, "take_tick", "reactor: sign bundles, collect records")
    stages.wrap(participant, "persisted", "reactor: count votes and acks")
    stages.wrap(participant, "step", "reactor: apply blocks")
    stages.wrap(node.reports, "add", "reactor: report")
    stages.wrap(node.storage.journal, "append", "thread: journal")
    stages.wrap(node.storage.chain, "commit_block", "thread: store blocks")
    stages.wrap(node.storage.chain, "merge", "thread: merge coins")


async def _run(
    node: wiring.Node, frames: list[bytes], count: int, window: int, staged: bool
) -> dict[str, Any]:
    await _until(lambda: node.root.phase.value == "running" and node.consensus.participant.may_sign)
    stages = Stages()
    if staged:
        _instrument(stages, node)
    peer: Any = FakePeer()
    node.intake.peer_connected(peer)
    number = wire.KIND_OF[wire.Tx].number
    done = [0]
    inner = node.reports.add

    def add(report: Any, now: int) -> None:
        done[0] += report.change.value == "final"
        inner(report, now)

    node.reports.add = add  # type: ignore[method-assign]
    began, cpu = time.perf_counter(), time.process_time()
    main = time.thread_time()
    fed = 0
    for frame in frames:
        while fed - done[0] > window:
            await deferLater(reactor, 0.001)
        node.intake.message(peer, wire.decode(number, frame))
        fed += BATCH
        await deferLater(reactor, 0)
    await _until(lambda: done[0] >= count)
    wall = time.perf_counter() - began
    return {
        "payments": count,
        "payments_per_second": round(count / wall, 1),
        "cpu_microseconds_per_payment": round(1e6 * (time.process_time() - cpu) / count, 1),
        "reactor_thread_microseconds_per_payment": round(1e6 * (time.thread_time() - main) / count, 1),
        "blocks": node.consensus.participant.ledger.height,
        "stages": stages.per_payment(count),
        "reactor_late_max_ms": node.ticks.report().max_ms,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


async def _until(condition: Callable[[], bool], limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it took too long")
        await deferLater(reactor, 0.002)


def measure(count: int, coins: int, window: int, staged: bool) -> dict[str, Any]:
    """Run a node in this process and feed it."""
    directory = Path(tempfile.mkdtemp(prefix="timecoin-pipeline-"))
    network = _network(coins)
    owned = [OwnedCoin(make_outpoint(fund.txid, fund.vout), fund.amount, fund.secret) for fund in network.funds]
    payments = make_payments(owned, count, p2wpkh(hash160(b"benchmark")))
    frames = [
        wire.encode_payload(wire.Tx(tuple(each.tx.raw for each in payments[start : start + BATCH])))
        for start in range(0, count, BATCH)
    ]
    node = _node(directory, network)
    found: list[Any] = []

    def begin() -> None:
        node.root.startService()
        Deferred.fromCoroutine(_run(node, frames, count, window, staged)).addBoth(found.append).addBoth(
            lambda _: reactor.stop()
        )

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", node.root.stopService)
    reactor.run()
    shutil.rmtree(directory, ignore_errors=True)
    if not isinstance(found[0], dict):
        found[0].raiseException()
    return dict(found[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payments", type=int, default=20_000)
    parser.add_argument("--coins", type=int, default=4_000, help="coins that the chains of payments begin with")
    parser.add_argument("--window", type=int, default=2_000, help="payments under way at most")
    parser.add_argument("--one-run", choices=("whole", "staged"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_run is not None:
        staged = arguments.one_run == "staged"
        print(json.dumps(measure(arguments.payments, arguments.coins, arguments.window, staged)))
        return
    whole, staged_run = _child("whole"), _child("staged")
    whole["stages"] = staged_run["stages"]
    print(json.dumps(whole, indent=1))


def _child(kind: str) -> dict[str, Any]:
    """A run in a process of its own: a reactor runs once."""
    command = [sys.executable, "-m", "benchmarks.pipeline", *sys.argv[1:], "--one-run", kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
