"""Open-loop load on a devnet of real processes: from submission to final on every node.

``python -m benchmarks.finality --nodes 4 --rate 1000 --seconds 60`` prints one JSON object. All payments are signed
before
the clock starts; each is submitted at its time whatever became of the earlier ones, to the node that its chain
belongs to.
Latency runs from the time at which a payment was due to the time at which the last node reports it final.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from benchmarks.figures import cpu_seconds, peak_rss_mb, percentile, rss_mb
from benchmarks.payments import Payment, make_payments
from timecoin.cli.payment import OwnedCoin
from timecoin.primitives.hashes import hash160, parse_display
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.client import BlockingClient

BURST, LIGHT_BURST = 0.02, 0.004
"""Seconds between two submissions to a node under load, and with at most 200 payments a second; what is due by then
goes in one
request."""
CONNECTIONS = 8
"""Connections to each node in turn: a node answers a submission when it is on disk, and one connection after the
other."""
DRAIN = 30.0
"""Seconds that the last payments may take."""


class Load:
    """One run: submits, follows every node's events, counts."""

    def __init__(self, reactor: Any, network: dict[str, Any], payments: list[Payment], rate: float) -> None:
        self._reactor = reactor
        self._rate = rate
        self._payments = payments
        self._bodies = [
            b'{"method":"sendrawtransaction","params":["%b"],"id":%d}' % (each.tx.raw.hex().encode(), number)
            for number, each in enumerate(payments)
        ]
        self._nodes = network["nodes"]
        self._index = {each.tx.txid[::-1].hex(): number for number, each in enumerate(payments)}
        self._due: list[list[int]] = [[] for _ in self._nodes]
        self._next = 0
        self._start = 0.0
        self._refused: list[str] = []
        self._final_at: list[float] = [0.0] * len(payments)
        self._final_on = [0] * len(payments)
        self.submitted = 0
        self.done = 0
        self.memory: list[float] = []
        self.missed = 0
        self.stragglers: list[dict[str, Any]] = []

    def _client(self, node: dict[str, Any]) -> AsyncClient:
        return AsyncClient(self._reactor, node["rpc"], Path(node["cookie"]))

    async def run(self, seconds: float) -> None:
        """Submit everything in its time, then wait for the stragglers."""
        senders = [[self._client(node) for _ in range(CONNECTIONS)] for node in self._nodes]
        pollers = [self._client(node) for node in self._nodes]
        since = [(await poller.call("getfinalityevents", 0, 0, 1))["last"] for poller in pollers]
        follow = [
            Deferred.fromCoroutine(self._follow(poller, number))
            for poller, number in zip(pollers, since, strict=True)
        ]
        for deferred in follow:
            deferred.addErrback(lambda failure: failure.trap(Exception) and None)
        self._start = time.time()
        loops = []
        for number, sender in enumerate(senders):
            loop = task.LoopingCall(self._submit, sender, number)
            loop.clock = self._reactor
            loop.start(BURST if self._rate > 200 else LIGHT_BURST)
            loops.append(loop)
        watch = task.LoopingCall(self._watch_memory)
        watch.clock = self._reactor
        watch.start(max(1.0, seconds / 10))
        await self._until(lambda: self._next >= len(self._payments), seconds + 10)
        watch.stop()
        await self._until(lambda: self.done + len(self._refused) >= len(self._payments), DRAIN)
        for loop in loops:
            loop.stop()
        await self._look_at_stragglers()
        for client in (*[each for several in senders for each in several], *pollers):
            client.close()

    async def _until(self, condition: Any, limit: float) -> None:
        end = time.time() + limit
        while not condition() and time.time() < end:
            await task.deferLater(self._reactor, 0.05)

    async def _look_at_stragglers(self) -> None:
        late = [number for number, count in enumerate(self._final_on) if count < len(self._nodes)]
        for node in self._nodes:
            client = self._client(node)
            for number in late[:3]:
                status = await client.call("gettxstatus", self._payments[number].tx.txid[::-1].hex())
                self.stragglers.append({"node": node["name"], "seen_final": self._final_on[number], **status})
            client.close()

    def _watch_memory(self) -> None:
        self.memory.append(rss_mb(self._nodes[0]["pid"]))

    def _submit(self, senders: list[AsyncClient], node: int) -> None:
        due = min(len(self._payments), 1 + int((time.time() - self._start) * self._rate))
        while self._next < due:
            self._due[self._payments[self._next].chain % len(self._nodes)].append(self._next)
            self._next += 1
        mine, self._due[node] = self._due[node], []
        if mine:
            body = b"[" + b",".join([self._bodies[number] for number in mine]) + b"]"
            senders.append(senders.pop(0))
            Deferred.fromCoroutine(self._post(senders[0], body)).addErrback(self._failed)

    async def _post(self, sender: AsyncClient, body: bytes) -> None:
        _, answer = await sender.post(body)
        for each in json.loads(answer):
            if each.get("error") is not None:
                self._refused.append(str(each["error"]))
            else:
                self.submitted += 1

    def _failed(self, failure: Any) -> None:
        self._refused.append(failure.getErrorMessage())

    async def _follow(self, poller: AsyncClient, since: int) -> None:
        while True:
            page = await poller.call("getfinalityevents", since, 1_000, 10_000, "final")
            since = page["next"]
            self.missed += page["missed"]
            for event in page["events"]:
                self._final(event["txid"], event["time_ms"] / 1000)

    def _final(self, txid: str, when: float) -> None:
        number = self._index.get(txid)
        if number is None:
            return
        self._final_on[number] += 1
        self._final_at[number] = max(self._final_at[number], when)
        self.done += self._final_on[number] == len(self._nodes)

    def complete(self) -> list[int]:
        """Numbers of the payments that are final on every node."""
        return [n for n, count in enumerate(self._final_on) if count == len(self._nodes)]

    def latencies(self) -> list[float]:
        """Milliseconds from when each of them was due to when the last node reported it final, ascending."""
        return sorted(1000 * (self._final_at[n] - self._start - n / self._rate) for n in self.complete())

    def report(self) -> dict[str, Any]:
        """Counts and latencies in milliseconds."""
        complete, late = self.complete(), self.latencies()
        span = max((self._final_at[n] for n in complete), default=self._start) - self._start
        return {
            "submitted": self.submitted,
            "refused": len(self._refused),
            "first_refusals": self._refused[:3],
            "final": len(complete),
            "lost": self.submitted - len(complete),
            "tps": round(len(complete) / span, 1) if span else 0.0,
            "p50_ms": round(percentile(late, 500), 1),
            "p95_ms": round(percentile(late, 950), 1),
            "p99_ms": round(percentile(late, 990), 1),
            "max_ms": round(late[-1], 1) if late else 0.0,
            "first_node_rss_mb": self.memory,
            "event_pages_missed": self.missed,
            "stragglers": self.stragglers,
        }


def _coins(network: dict[str, Any], count: int) -> list[OwnedCoin]:
    return [
        OwnedCoin(
            make_outpoint(parse_display(fund["txid"]), fund["vout"]), fund["amount"], bytes.fromhex(fund["secret"])
        )
        for fund in network["funds"][:count]
    ]


def _clients(network: dict[str, Any]) -> list[BlockingClient]:
    return [BlockingClient(node["rpc"], Path(node["cookie"])) for node in network["nodes"]]


def _snapshot(network: dict[str, Any]) -> list[dict[str, float]]:
    found = []
    for node, client in zip(network["nodes"], _clients(network), strict=True):
        peers = client.call("getpeerinfo")
        found.append(
            {
                "cpu": cpu_seconds(node["pid"]),
                "sent": sum(peer["bytessent"] for peer in peers),
                "height": client.call("getblockcount"),
            }
        )
        client.close()
    return found


def _node_figures(network: dict[str, Any], before: list[dict[str, float]]) -> list[dict[str, Any]]:
    after = _snapshot(network)
    figures = []
    for node, client, old, new in zip(network["nodes"], _clients(network), before, after, strict=True):
        late = client.call("getrpcinfo")["reactor"]
        client.close()
        figures.append(
            {
                "name": node["name"],
                "cpu_seconds": round(new["cpu"] - old["cpu"], 2),
                "rss_mb": rss_mb(node["pid"]),
                "peak_rss_mb": peak_rss_mb(node["pid"]),
                "reactor_late_p99_ms": float(late["late_p99_ms"]),
                "reactor_late_max_ms": float(late["late_max_ms"]),
                "bytes_sent": new["sent"] - old["sent"],
                "blocks": new["height"] - old["height"],
            }
        )
    return figures


def start_devnet(directory: Path, nodes: int, epoch_seconds: int, funds: int) -> tuple[Any, dict[str, Any]]:
    """A devnet of real processes, voting; the supervisor's process and its network.json."""
    command = [sys.executable, "-m", "timecoin", "devnet", "--nodes", str(nodes), "--dir", str(directory)]
    command += ["--epoch-seconds", str(epoch_seconds), "--funds", str(funds)]
    devnet = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    path = directory / "network.json"
    end = time.time() + 120
    while not path.exists():
        if devnet.poll() is not None or time.time() > end:
            raise SystemExit("the devnet did not start")
        time.sleep(0.2)
    return devnet, json.loads(path.read_text())


def stop_devnet(devnet: Any) -> None:
    """Stop it as a service manager does (a shell may have made it deaf to SIGINT)."""
    devnet.terminate()
    devnet.wait(60)


def measure(arguments: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Run the load on a new devnet."""
    devnet, network = start_devnet(directory, arguments.nodes, arguments.epoch_seconds, arguments.funds)
    try:
        coins = _coins(network, arguments.funds)
        count = int(arguments.rate * arguments.seconds)
        payments = make_payments(coins, count, p2wpkh(hash160(b"benchmark")))
        before, own = _snapshot(network), time.process_time()
        load = Load(_reactor(), network, payments, arguments.rate)
        _react(load.run(arguments.seconds))
        figures = _node_figures(network, before)
    finally:
        stop_devnet(devnet)
    sent = sum(each["bytes_sent"] for each in figures)
    report = load.report()
    return {
        "nodes": arguments.nodes,
        "rate": arguments.rate,
        "seconds": arguments.seconds,
        "epoch_seconds": arguments.epoch_seconds,
        **report,
        "blocks": max(each["blocks"] for each in figures),
        "bytes_sent_per_payment": round(sent / max(1, report["final"])),
        "load_cpu_seconds": round(time.process_time() - own, 2),
        "per_node": figures,
    }


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def _react(work: Any) -> None:
    reactor = _reactor()
    failures: list[Any] = []

    def begin() -> None:
        Deferred.fromCoroutine(work).addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if failures:
        failures[0].raiseException()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--rate", type=float, default=20.0, help="payments a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--epoch-seconds", type=int, default=10)
    parser.add_argument("--funds", type=int, default=4_000, help="coins that the chains of payments begin with")
    parser.add_argument("--dir", type=Path, help="keep the devnet here")
    arguments = parser.parse_args()
    directory = arguments.dir or Path(tempfile.mkdtemp(prefix="timecoin-bench-"))
    try:
        print(json.dumps(measure(arguments, directory), indent=1))
    finally:
        if arguments.dir is None:
            shutil.rmtree(directory, ignore_errors=True)


__all__ = ["Load", "main", "start_devnet", "stop_devnet"]

if __name__ == "__main__":
    main()
