"""Networks of real ``twistd timecoin`` processes on loopback, made by the devnet command's own functions."""

from __future__ import annotations

import inspect
import random
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.functional.processes import Child
from timecoin.cli.devnet_files import HOST, DevnetError, DevnetFiles, NodeFiles, make_devnet
from timecoin.cli.devnet_node import child_environment, command_line
from timecoin.cli.new_network import GENESIS_FILE
from timecoin.ledger.genesis import Genesis
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.client import RpcFailure, RpcUnreachable

reactor: Any = _reactor
T = TypeVar("T")

#: Below the range from which kernels take ports for outgoing connections.
_PORTS = range(20_000, 32_000, 40)
_ANSWER_SECONDS = 15.0
_TAIL_LINES = 25
POLL = 0.05


async def until(
    condition: Callable[[], T | Awaitable[T]], what: str, seconds: float = 60.0, poll: float = POLL
) -> T:
    """The condition's first true value; AssertionError after ``seconds``. No answer of a node is false."""
    end = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            found = condition()
            last = await found if inspect.isawaitable(found) else found
        except (RpcUnreachable, RpcFailure) as problem:
            last = None if time.monotonic() < end else problem
        if last and not isinstance(last, Exception):
            return last  # type: ignore[return-value]
        if time.monotonic() >= end:
            raise AssertionError(f"not within {seconds:g} s: {what}; at last {last!r}")
        await deferLater(reactor, poll)


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """The results of several coroutines that run side by side."""
    return await gatherResults([Deferred.fromCoroutine(work) for work in works], consumeErrors=True)  # type: ignore[arg-type]


class Node:
    """One node: its files, its process while it runs, and calls to it."""

    def __init__(self, files: NodeFiles) -> None:
        self.files = files
        self.child: Child | None = None
        self._client = AsyncClient(reactor, files.rpc_url, files.cookie)

    @property
    def name(self) -> str:
        """Its name, such as node0."""
        return self.files.name

    @property
    def runs(self) -> bool:
        """Whether its process is alive."""
        return self.child is not None and self.child.status is None

    def start(self) -> None:
        """Start its process; :meth:`answers` waits until it is of use."""
        assert not self.runs
        self.child = Child(
            command_line(self.files),
            self.files.console,
            cwd=self.files.directory,
            environment=child_environment(),
            stdin=True,
        )

    def kill(self) -> None:
        """kill -9."""
        self._client.close()
        if self.child is not None:
            self.child.kill_all()

    async def stop(self, seconds: float = 10.0) -> int:
        """SIGTERM; its exit status, which must come within ``seconds`` and be a clean one."""
        assert self.child is not None
        self.child.signal(signal.SIGTERM)
        status = await self.child.ended(seconds)
        self._client.close()
        # twistd ends by the signal that stopped it, after everything has been stopped.
        assert status in (0, -signal.SIGTERM), f"{self.name} ended with {status}: {self.tail()}"
        return status

    async def call(self, method: str, *params: Any) -> Any:
        """The result of an RPC. Raises ``RpcFailure``, ``RpcUnreachable``, TimeoutError."""
        answer = Deferred.fromCoroutine(self._client.call(method, *params))
        return await answer.addTimeout(_ANSWER_SECONDS, reactor)

    async def patiently(self, method: str, *params: Any) -> Any:
        """The result of an RPC that waits in the node, over a connection of its own."""
        client = AsyncClient(reactor, self.files.rpc_url, self.files.cookie)
        try:
            return await Deferred.fromCoroutine(client.call(method, *params)).addTimeout(60, reactor)
        finally:
            client.close()

    async def answers(self, seconds: float = 40.0) -> None:
        """Wait until it serves RPC; AssertionError when its process ends meanwhile."""

        async def up() -> bool:
            assert self.runs, f"{self.name} ended: {self.tail()}"
            await self.call("getblockcount")
            return True

        await until(up, f"{self.name} answers", seconds)

    async def height(self) -> int:
        """Its height."""
        return int(await self.call("getblockcount"))

    async def epoch(self) -> int:
        """The epoch that it has open."""
        return int((await self.call("getblockchaininfo"))["epoch"])

    async def status(self, txid: str) -> str:
        """gettxstatus's word; ``unknown`` when it does not know the transaction."""
        try:
            return str((await self.call("gettxstatus", txid))["status"])
        except RpcFailure as failure:
            if failure.code != -5:
                raise
            return "unknown"

    async def reaches(self, height: int, seconds: float = 60.0) -> None:
        """Wait until it is at ``height`` or above."""

        async def there() -> bool:
            return await self.height() >= height

        await until(there, f"{self.name} at height {height}", seconds)

    def tail(self) -> str:
        """The ends of its log and of what it printed."""
        return f"{_tail(self.files.log)}\n{_tail(self.files.console)}"


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join([f"--- {path}", *lines[-_TAIL_LINES:]])


class Devnet:
    """Masternodes of one network as processes, none started yet."""

    def __init__(self, files: DevnetFiles) -> None:
        self.files = files
        self.genesis_file = files.directory / GENESIS_FILE
        self.genesis = Genesis.load(self.genesis_file.read_bytes())
        self.nodes = [Node(each) for each in files.nodes]

    @classmethod
    def make(cls, directory: Path, count: int, epoch_seconds: int, funds: int = 200, **parameters: int) -> Devnet:
        """A fresh network in ``directory`` on ports that are free now; ``parameters`` replace those of the epoch."""
        return cls(make_devnet(directory, count, epoch_seconds, free_ports(2 * count + 8), funds, **parameters))

    def start(self) -> None:
        """Start every node."""
        for node in self.nodes:
            node.start()

    async def up(self, seconds: float = 60.0) -> None:
        """Start every node, and wait until all are connected and vote."""
        self.start()
        await self.votes(self.nodes, seconds)

    async def votes(self, nodes: Iterable[Node], seconds: float = 60.0) -> None:
        """Wait until these nodes vote."""

        async def all_vote() -> bool:
            infos = await together(node.call("getconsensusinfo") for node in nodes)
            return all(info["voting"] for info in infos)

        for node in nodes:
            await node.answers(seconds)
        await until(all_vote, "all nodes vote", seconds)

    def follower(self, pinned: Iterable[Node]) -> Node:
        """Another node, without an operator key, that knows only the nodes ``pinned``."""
        number = len(self.nodes)
        first = self.files.nodes[0].p2p_port
        files = NodeFiles(
            f"node{number}",
            "",
            first + 2 * number,
            first + 2 * number + 1,
            self.files.directory / f"node{number}",
        )
        files.directory.mkdir()
        files.config.write_text(_follower_ini(files, self.files.network, pinned), encoding="utf-8")
        node = Node(files)
        self.nodes.append(node)
        return node

    def kill(self) -> None:
        """kill -9 for all that run."""
        for node in self.nodes:
            node.kill()

    def tails(self) -> str:
        """The ends of all logs."""
        return "\n".join(node.tail() for node in self.nodes)


def _follower_ini(files: NodeFiles, network: str, pinned: Iterable[Node]) -> str:
    peers = " ".join(f"{each.files.node_id}@{HOST}:{each.files.p2p_port}" for each in pinned)
    return f"""\
[node]
network = {network}
data_dir = data
genesis = ../{GENESIS_FILE}
[p2p]
listen = tcp:{files.p2p_port}:interface={HOST}
peers = {peers}
[rpc]
listen = tcp:{files.rpc_port}:interface={HOST}
"""


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on; DevnetError."""
    bases = list(_PORTS)
    random.SystemRandom().shuffle(bases)
    for base in bases:
        if all(is_free(port) for port in range(base, base + count)):
            return base
    raise DevnetError("no free ports")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True


class FunctionalCase(TestCase):
    """A test with processes: they are ended whatever happens, and when it failed their logs are shown."""

    timeout = 150

    def directory(self) -> Path:
        """A fresh directory of this test."""
        path = Path(self.mktemp()).absolute()
        path.mkdir(parents=True)
        return path

    def devnet(self, count: int, epoch_seconds: int, funds: int = 200, **parameters: int) -> Devnet:
        """A network whose nodes are killed when the test is over."""
        return self.watched(Devnet.make(self.directory() / "net", count, epoch_seconds, funds, **parameters))

    def watched(self, net: Devnet) -> Devnet:
        """The same network, to be killed and on failure shown when the test is over."""
        self.addCleanup(self._end, net)
        return net

    def _end(self, net: Devnet) -> None:
        net.kill()
        if not getattr(self, "_passed", True):
            sys.stderr.write(f"\n{self.id()}\n{net.tails()}\n")

    def run_child(self, *arguments: str | Path, cwd: Path | None = None, **environment: str) -> Child:
        """A process that ends with the test."""
        output = self.directory() / "output"
        child = Child(arguments, output, cwd=cwd, environment=child_environment() | environment)
        self.addCleanup(child.kill_all)
        return child


def timecoin(*arguments: str | Path) -> list[str | Path]:
    """A command line of ``timecoin`` with this Python."""
    return [sys.executable, "-c", "from timecoin.cli.main import main; main()", *arguments]


def twistd(*arguments: str | Path) -> list[str | Path]:
    """A command line of twistd with this Python."""
    return [sys.executable, Path(sys.executable).with_name("twistd"), *arguments]
