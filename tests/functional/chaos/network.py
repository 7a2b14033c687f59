"""A devnet with links that can be cut, disks that fill up and clocks that go wrong."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, TimeoutError

from tests.functional.chaos.clock import Clock, sweep
from tests.functional.chaos.cuts import Links
from tests.functional.chaos.disk import Disk
from tests.functional.processes import Child
from tests.functional.support import Devnet, Node, is_free
from timecoin.cli.devnet_files import HOST, DevnetError, DevnetFiles, NodeFiles, make_devnet
from timecoin.cli.devnet_node import child_environment, command_line
from timecoin.rpc.client import RpcFailure, RpcUnreachable

reactor: Any = _reactor
_PORTS = range(20_000, 32_000, 40)
_ASK_SECONDS = 5.0


class ChaosNode(Node):
    """A node with a clock and a disk of its own; ``number`` is its place in the network."""

    def __init__(self, number: int, files: NodeFiles, megabytes: int) -> None:
        super().__init__(files)
        self.number = number
        self.clock = Clock(files.directory / "clock")
        self.disk = Disk(files.data_dir, megabytes)
        self.paused = False
        self.pids: list[int] = []

    @property
    def is_up(self) -> bool:
        """Whether its process runs and is not stopped."""
        return self.runs and not self.paused

    def start(self) -> None:
        """Start its process with its own clock."""
        assert not self.runs
        self.child = Child(
            command_line(self.files),
            self.files.console,
            cwd=self.files.directory,
            environment=child_environment() | self.clock.environment(),
            stdin=True,
        )
        self.pids.append(self.child.pid)

    def kill(self) -> None:
        """kill -9."""
        super().kill()
        self.paused = False
        sweep(self.pids)

    def pause(self) -> None:
        """SIGSTOP."""
        assert self.child is not None
        self.child.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        assert self.child is not None
        self.child.signal(signal.SIGCONT)
        self.paused = False

    async def ask(self, method: str, *params: Any, seconds: float = _ASK_SECONDS) -> Any:
        """The result of an RPC; None when the node is not there, does not answer or refuses."""
        if not self.is_up:
            return None
        answer = Deferred.fromCoroutine(self._client.call(method, *params))
        try:
            return await answer.addTimeout(seconds, reactor)
        except (RpcUnreachable, RpcFailure, TimeoutError):
            return None

    async def tell(self, raw: str, seconds: float) -> None:
        """sendrawtransaction. Raises RpcFailure, RpcUnreachable, TimeoutError."""
        answer = Deferred.fromCoroutine(self._client.call("sendrawtransaction", raw))
        await answer.addTimeout(seconds, reactor)


class ChaosNet(Devnet):
    """All nodes, and ``links`` between them."""

    nodes: list[ChaosNode]  # type: ignore[assignment]

    def __init__(self, files: DevnetFiles, links: Links, megabytes: int) -> None:
        super().__init__(files)
        real = [replace(each, p2p_port=links.real_port(n)) for n, each in enumerate(files.nodes)]
        self.files = replace(files, nodes=tuple(real))
        self.nodes = [ChaosNode(n, each, megabytes) for n, each in enumerate(real)]
        self.links = links

    @property
    def tolerated(self) -> int:
        """How many nodes may be faulty while the others are a quorum."""
        return (len(self.nodes) - 1) // 3

    @classmethod
    def build(
        cls,
        directory: Path,
        count: int,
        epoch_seconds: int,
        seed: int,
        *,
        megabytes: int,
        funds: int,
        **parameters: int,
    ) -> ChaosNet:
        """A fresh network in ``directory``; ``parameters`` replace those of its genesis.

        Addresses in the genesis and in hellos lead nowhere: a node knows the others only by its own ports to them.
        """
        bases = list(_PORTS)
        random.SystemRandom().shuffle(bases)
        for base in bases:
            span = range(base, base + 3 * count)
            if all(is_free(port) for port in span):
                break
        else:
            raise DevnetError("no free ports")
        files = make_devnet(directory, count, epoch_seconds, base, funds, **parameters)
        links = Links(span[-count:], seed)
        dialled = links.open()
        for n, node in enumerate(files.nodes):
            _rewire(n, node, files.nodes, links.real_port(n), dialled)
        net = cls(files, links, megabytes)
        for each in net.nodes:
            each.disk.prepare()
        return net

    def kill(self) -> None:
        """kill -9 for all that run, and take the disks away; the files stay."""
        super().kill()
        for node in self.nodes:
            node.disk.keep()

    def up_nodes(self) -> list[ChaosNode]:
        """Those that run and are not stopped."""
        return [node for node in self.nodes if node.is_up]

    def others(self, victims: Iterable[ChaosNode]) -> list[ChaosNode]:
        """All but these."""
        left_out = {each.number for each in victims}
        return [node for node in self.nodes if node.number not in left_out]


def _rewire(
    number: int, node: NodeFiles, nodes: Iterable[NodeFiles], port: int, dialled: dict[tuple[int, int], int]
) -> None:
    """Let a node listen at ``port`` and dial the others by its own ports to them."""
    peers = " ".join(f"{other.node_id}@{HOST}:{dialled[(number, n)]}" for n, other in enumerate(nodes) if n != number)
    lines = node.config.read_text(encoding="utf-8").splitlines()
    changed = [
        f"listen = tcp:{port}:interface={HOST}"
        if line.startswith(f"listen = tcp:{node.p2p_port}:")
        else f"peers = {peers}"
        if line.startswith("peers = ")
        else line
        for line in lines
    ]
    node.config.write_text("\n".join([*changed, ""]), encoding="utf-8")
