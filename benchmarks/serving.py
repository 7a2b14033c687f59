"""What readers cost those who pay: finality with and without heavy reading, turn by turn in one run.

``python -m benchmarks.serving`` prints one JSON object. A devnet of real processes archives blocks as large as it makes
them; then payments come at a steady rate, in quiet turns and in turns in which a process of its own reads from one
node: it asks for a full block with all transactions decoded again and again, and once a second for the status of
1,000 payments, all at the same time. The ratio is that of the 99th percentiles over all turns of each kind.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor_module
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from benchmarks.figures import percentile
from benchmarks.finality import Load, start_devnet, stop_devnet
from benchmarks.payments import Payment, make_payments
from timecoin.cli.payment import OwnedCoin
from timecoin.primitives.hashes import hash160, parse_display
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.cookie import basic, read_cookie

reactor: Any = _reactor_module
PARALLEL = 1_000
CONNECTIONS = 100
"""Below the limit of clients that a node has by default; each carries its share of the calls, one behind the other."""
FILL_RATE = 700


class Asker(Protocol):
    """A connection that asks prepared requests one after the other and only counts what comes back: the reader must
    not take the processor from the nodes."""

    def __init__(self) -> None:
        self._requests: deque[bytes] = deque()
        self._done: Deferred[None] | None = None
        self._head = b""
        self._left = 0
        self.answers = self.errors = self.bytes = 0

    def ask(self, requests: Iterable[bytes]) -> Deferred[None]:
        """Fires when all are answered."""
        self._requests.extend(requests)
        self._done = Deferred()
        self._next()
        return self._done

    def _next(self) -> None:
        if self._requests:
            assert self.transport is not None
            self.transport.write(self._requests.popleft())
        elif self._done is not None:
            done, self._done = self._done, None
            done.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Part of an answer."""
        self.bytes += len(data)
        if not self._left:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            self._head = b""
            self.errors += not head.startswith(b"HTTP/1.1 200")
            self._left = int(head.lower().rpartition(b"content-length:")[2].split()[0])
        self._left -= len(data)
        if self._left <= 0:
            self.answers += 1
            self._next()


class Reader:
    """The process that reads: until SIGTERM, then it prints what it read."""

    def __init__(self, node: dict[str, Any], block: str, txids: list[str], kinds: list[str]) -> None:
        self._kinds = kinds
        self._endpoint = clientFromString(reactor, "tcp:" + node["rpc"].removeprefix("http://"))
        self._head = b"POST / HTTP/1.1\r\nHost: node\r\nAuthorization: %b\r\n" % basic(
            read_cookie(Path(node["cookie"]))
        )
        self._block = self._request("getblock", [block, 2])
        self._statuses_asked = [self._request("gettxstatus", [txid]) for txid in txids]
        self._stopped = False
        self.counts = {"blocks": 0, "statuses": 0, "bytes": 0, "errors": 0, "slowest_round_ms": 0}

    def _request(self, method: str, params: list[Any]) -> bytes:
        body = json.dumps({"method": method, "params": params, "id": 1}).encode()
        return self._head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

    def stop(self, *_: object) -> None:
        """SIGTERM."""
        self._stopped = True

    async def run(self) -> None:
        """Both kinds of reading side by side."""
        askers = [await connectProtocol(self._endpoint, Asker()) for _ in range(CONNECTIONS + 1)]
        works = []
        if "blocks" in self._kinds:
            works.append(Deferred.fromCoroutine(self._blocks(askers[0])))
        if "statuses" in self._kinds:
            works.append(Deferred.fromCoroutine(self._rounds(askers[1:])))
        await gatherResults(works)
        self.counts["blocks"] = askers[0].answers
        self.counts["statuses"] = sum(each.answers for each in askers[1:])
        self.counts["bytes"] = sum(each.bytes for each in askers)
        self.counts["errors"] = sum(each.errors for each in askers)

    async def _blocks(self, asker: Asker) -> None:
        while not self._stopped:
            await asker.ask([self._block])

    async def _rounds(self, askers: list[Asker]) -> None:
        while not self._stopped:
            begun = time.monotonic()
            await gatherResults([asker.ask(self._statuses_asked[n::CONNECTIONS]) for n, asker in enumerate(askers)])
            took = time.monotonic() - begun
            self.counts["slowest_round_ms"] = max(self.counts["slowest_round_ms"], round(1000 * took))
            await deferLater(reactor, max(0.0, 1.0 - took))


def read(order: dict[str, Any]) -> None:
    """The child: read as ordered."""
    reader = Reader(order["node"], order["block"], order["txids"], order["kinds"])

    def begin() -> None:
        signal.signal(signal.SIGTERM, reader.stop)
        done = Deferred.fromCoroutine(reader.run())
        done.addErrback(lambda failure: reader.counts.update(failure=failure.getErrorMessage()))
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    print(json.dumps(reader.counts))


class Turns:
    """The run: blocks first, then turns."""

    def __init__(self, arguments: argparse.Namespace, network: dict[str, Any], directory: Path) -> None:
        self._arguments = arguments
        self._network = network
        self._directory = directory
        coins = [
            OwnedCoin(make_outpoint(parse_display(f["txid"]), f["vout"]), f["amount"], bytes.fromhex(f["secret"]))
            for f in network["funds"]
        ]
        self._each = int(arguments.rate * arguments.seconds)
        count = arguments.fill + 2 * arguments.turns * self._each
        self._payments = make_payments(coins, count, p2wpkh(hash160(b"serving")))
        self._spent = 0
        self.reads: list[dict[str, Any]] = []
        self.late: dict[str, list[float]] = {"quiet": [], "reading": []}
        self.block: dict[str, Any] = {}

    async def run(self) -> None:
        """Fill blocks, then a quiet and a reading turn after the other."""
        filling = Load(reactor, self._network, self._take(self._arguments.fill), FILL_RATE)
        await filling.run(self._arguments.fill / FILL_RATE)
        txids = [each.tx.txid[::-1].hex() for each in self._payments[:PARALLEL]]
        await self._find_block(txids)
        for _ in range(self._arguments.turns):
            await self._turn("quiet")
            child = self._reader(txids)
            await deferLater(reactor, 1.0)
            await self._turn("reading")
            child.terminate()
            self.reads.append(json.loads(child.communicate(timeout=60)[0]))

    def _take(self, count: int) -> list[Payment]:
        self._spent += count
        return self._payments[self._spent - count : self._spent]

    async def _turn(self, kind: str) -> None:
        load = Load(reactor, self._network, self._take(self._each), self._arguments.rate)
        await load.run(self._arguments.seconds)
        self.late[kind] += load.latencies()

    async def _find_block(self, txids: list[str]) -> None:
        client = AsyncClient(reactor, self._network["nodes"][0]["rpc"], Path(self._network["nodes"][0]["cookie"]))
        end = time.time() + 3 * self._arguments.epoch_seconds
        while (await client.call("gettxstatus", txids[-1]))["status"] != "archived" and time.time() < end:
            await deferLater(reactor, 0.5)
        for height in range(1 + await client.call("getblockcount")):
            block = await client.call("getblock", await client.call("getblockhash", height))
            if block["nTx"] > self.block.get("transactions", 0):
                self.block = {"hash": block["hash"], "transactions": block["nTx"], "bytes": block["size"]}
        client.close()

    def _reader(self, txids: list[str]) -> Any:
        order = {"node": self._network["nodes"][0], "block": self.block["hash"], "txids": txids}
        order["kinds"] = self._arguments.kinds.split(",")
        path = self._directory / "order.json"
        path.write_text(json.dumps(order))
        command = [sys.executable, "-m", "benchmarks.serving", "--read", str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def report(self) -> dict[str, Any]:
        """Percentiles of both kinds, and the ratio."""
        found: dict[str, Any] = {"block": self.block, "reads": self.reads}
        for kind, late in self.late.items():
            ordered = sorted(late)
            found[kind] = {
                "payments": len(ordered),
                "p50_ms": round(percentile(ordered, 500), 1),
                "p99_ms": round(percentile(ordered, 990), 1),
                "max_ms": round(ordered[-1], 1) if ordered else None,
            }
        found["p99_ratio"] = round(found["reading"]["p99_ms"] / found["quiet"]["p99_ms"], 2)
        return found


def measure(arguments: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """The whole run on a new devnet."""
    devnet, network = start_devnet(directory, 4, arguments.epoch_seconds, 2_000)
    failures: list[Any] = []
    turns = Turns(arguments, network, directory)

    def begin() -> None:
        work = Deferred.fromCoroutine(turns.run())
        work.addErrback(failures.append).addBoth(lambda _: reactor.stop())

    try:
        reactor.callWhenRunning(begin)
        reactor.run()
    finally:
        stop_devnet(devnet)
    if failures:
        failures[0].raiseException()
    return turns.report()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=20.0, help="payments a second")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of each turn: as long as an epoch, so that one closes in each"
    )
    parser.add_argument("--turns", type=int, default=2, help="of each kind")
    parser.add_argument("--fill", type=int, default=12_000, help="payments that fill the blocks to be read")
    parser.add_argument("--epoch-seconds", type=int, default=60)
    parser.add_argument("--kinds", default="blocks,statuses", help="what is read: blocks, statuses or both")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read is not None:
        read(json.loads(arguments.read.read_text()))
        return
    directory = Path(tempfile.mkdtemp(prefix="timecoin-bench-"))
    try:
        print(json.dumps(measure(arguments, directory), indent=1))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
