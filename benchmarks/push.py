"""Push: what an event costs, how long a final payment takes to a subscriber, and what idle subscribers cost.

``python -m benchmarks.push [--idle 1000] [--payments 300]``: one masternode on loopback, payments at 25 a second, one
WebSocket subscriber measured, first alone, then beside the idle ones (each of them subscribed to an address).
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.functional.load import Wallet
from tests.functional.push_clients import Socket, authorization
from tests.functional.support import Devnet, Node
from tests.push.fakes import script
from timecoin.cli.devnet_node import child_environment, command_line
from timecoin.consensus.status import Status
from timecoin.node.event_service import ScriptsOf
from timecoin.node.feed import Feed, TransactionChanged
from timecoin.primitives import address
from timecoin.rpc.client import BlockingClient
from timecoin.storage.event_log import EventLog
from timecoin.storage.event_record import TransactionRecord

RATE = 25


def _best(work: Callable[[], int]) -> float:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        count = work()
        took.append(1e6 * (time.perf_counter() - began) / count)
    return round(min(took), 2)


class _Queue:
    def __init__(self) -> None:
        self.events: list[TransactionChanged] = []

    def transaction(self, event: TransactionChanged) -> None:
        self.events.append(event)

    def block(self, event: object) -> None:
        """Nothing."""


def costs(wallet: Wallet, directory: Path) -> dict[str, float]:
    """Microseconds an event, on the reactor and in the log's thread."""
    count = 100_000

    def tell(feed: Feed) -> int:
        for _ in range(count):
            feed.transaction(b"t" * 32, Status.FINAL, 5)
        return count

    listened = Feed()
    queue = _Queue()
    listened.listen(queue)
    txs = [wallet.payment() for _ in range(200)]
    log = EventLog.open(directory / "events", max_bytes=64 << 20, max_events=1_000_000, height=0)

    def write() -> int:
        scripts = ScriptsOf()
        for start in range(0, 2_000, 50):
            events = [
                TransactionChanged(log.last + 1 + index, tx.txid, status, 5, tx)
                for index, (tx, status) in enumerate(
                    (txs[(start // 4 + index // 4) % 200], list(Status)[index % 4]) for index in range(50)
                )
            ]
            records = [TransactionRecord(e.number, 5, e.txid, e.status.value, None, None, scripts(e)) for e in events]
            log.append(records)
        return 2_000

    return {
        "feed, nobody listens": _best(lambda: tell(Feed())),
        "feed, the event log listens": _best(lambda: tell(listened)),
        "log's thread: scripts, encoding, write (batches of 50)": _best(write),
    }


def _pay(client: BlockingClient, wallet: Wallet, count: int) -> None:
    due = time.monotonic()
    for _ in range(count):
        due += 1 / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        client.call("sendrawtransaction", wallet.payment().raw.hex())


class _Timed(Socket):
    def _take(self, message: dict[str, Any]) -> None:
        if message["method"] == "event":
            self.arrived.append(time.time())
        super()._take(message)


def latency(node: Node, wallet: Wallet, count: int) -> dict[str, float]:
    """Milliseconds from the moment at which a payment became final in the node to its event at the client."""
    client = BlockingClient(node.files.rpc_url, node.files.cookie)
    reader = _Timed(node, ["finality:final"])
    _pay(client, wallet, count)
    time.sleep(1)
    reader.end()
    waits = sorted(1000 * at - event["time_ms"] for at, event in zip(reader.arrived, reader.events, strict=False))
    latest: Any = client.call("getfinalityevents", 0, 0, 10_000)
    finals = [
        client.call("gettxstatus", each["txid"])["final_ms"]
        for each in latest["events"][-count:]
        if each["status"] == "final"
    ]
    finals = [each for each in finals if each is not None]
    return {
        "events": len(waits),
        "push_ms_p50": round(statistics.median(waits), 1),
        "push_ms_p99": round(waits[int(0.99 * len(waits))], 1),
        "time_to_final_ms_p50": statistics.median(finals),
        "time_to_final_ms_p99": sorted(finals)[int(0.99 * len(finals))],
    }


def idle_clients(node: Node, count: int, hrp: str) -> list[socket.socket]:
    """Subscribers of an address each, of which nothing is heard."""
    host, port = node.files.rpc_url.removeprefix("http://").rstrip("/").split(":")
    made = []
    for number in range(count):
        client = socket.create_connection((host, int(port)))
        client.sendall(
            f"GET /events?topic=address:{address.encode(script(number), hrp)} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {authorization(node)}\r\n\r\n".encode()
        )
        assert client.recv(4_096).startswith(b"HTTP/1.1 200")
        made.append(client)
    return made


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--idle", type=int, default=1_000)
    parser.add_argument("--payments", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        net = Devnet.make(Path(name) / "net", 1, 600)
        node, wallet = net.nodes[0], Wallet(net)
        with node.files.config.open("a") as ini:
            ini.write(f"\n[push]\nmax_clients = {given.idle + 10}\n")
        figures: dict[str, Any] = {"microseconds_an_event": costs(Wallet(net), Path(name))}
        process = subprocess.Popen(
            command_line(node.files), cwd=node.files.directory, env=child_environment(), stdin=subprocess.PIPE
        )
        try:
            while not (node.files.directory / "data" / "ready").exists():
                time.sleep(0.1)
            figures["alone"] = latency(node, wallet, given.payments)
            idle = idle_clients(node, given.idle, net.genesis.network_info.hrp)
            figures[f"beside {given.idle} idle ones"] = latency(node, wallet, given.payments)
            for each in idle:
                each.close()
        finally:
            process.terminate()
            process.wait()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
