"""The nodes of a devnet together: started, polled, described in network.json once they vote, stopped."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall

from timecoin.cli.devnet_display import Display, NodeView
from timecoin.cli.devnet_files import DevnetFiles, write_file
from timecoin.cli.devnet_node import NodeProcess, last_line
from timecoin.rpc.async_client import AsyncClient
from timecoin.rpc.client import RpcFailure, RpcUnreachable

_POLL = 0.5
_HOPELESS = 5
_QUESTIONS: list[tuple[str, list[Any]]] = [
    ("getconsensusinfo", []),
    ("getblockcount", []),
    ("getconnectioncount", []),
    ("getmempoolinfo", []),
]


class Supervisor:
    """Runs the nodes of ``files``. ``ready`` fires when all are connected and voting for the first time.

    It fails with RuntimeError when a node crashes again and again before that.
    """

    def __init__(self, reactor: Any, files: DevnetFiles, display: Display) -> None:
        self.ready: Deferred[None] = Deferred()
        self._files = files
        self._display = display
        self._nodes = [NodeProcess(reactor, each, display.line) for each in files.nodes]
        self._clients = [AsyncClient(reactor, each.rpc_url, each.cookie) for each in files.nodes]
        self._polling = LoopingCall(lambda: Deferred.fromCoroutine(self._poll()))
        self._polling.clock = reactor
        self._written: list[int | None] | None = None

    def start(self) -> None:
        """Start all nodes."""
        self._files.network_json.unlink(missing_ok=True)
        for node in self._nodes:
            node.start()
        self._polling.start(_POLL, now=False)

    def stop(self) -> Deferred[None]:
        """Stop all nodes; fires when none runs. Whoever waits for network.json must not find this run's."""
        self._files.network_json.unlink(missing_ok=True)
        if self._polling.running:
            self._polling.stop()
        for client in self._clients:
            client.close()
        stopping: Deferred[Any] = gatherResults([node.stop() for node in self._nodes])
        return stopping.addCallback(lambda _: None)

    async def _poll(self) -> None:
        views = await gatherResults([Deferred.fromCoroutine(self._view(n)) for n in range(len(self._nodes))])
        if not self._polling.running:
            return
        self._display.update(views)
        if self._written is None and not self.ready.called:
            self._judge(views)
        elif self._written is not None and self._written != self._pids():
            self._describe()

    def _judge(self, views: list[NodeView]) -> None:
        others = len(views) - 1
        if all(view.voting and (view.connections or 0) >= others for view in views):
            self._describe()
            self.ready.callback(None)
            return
        for node in self._nodes:
            if node.crashes >= _HOPELESS:
                self.ready.errback(RuntimeError(f"{node.files.name} does not start: {last_line(node.files)}"))
                return

    def _pids(self) -> list[int | None]:
        return [node.pid for node in self._nodes]

    def _describe(self) -> None:
        """Write network.json, with the process ids of now."""
        self._written = self._pids()
        shown = json.dumps(self._files.describe(self._written), indent=1) + "\n"
        write_file(self._files.network_json, shown.encode("utf-8"))

    async def _view(self, number: int) -> NodeView:
        node = self._nodes[number]
        nothing = NodeView(node.files.name, node.pid)
        if node.pid is None:
            return nothing
        try:
            answers = await self._clients[number].batch(_QUESTIONS)
        except RpcUnreachable:
            return nothing
        if any(isinstance(each, RpcFailure) for each in answers):
            return nothing
        consensus, height, connections, pool = answers
        return NodeView(
            name=node.files.name,
            pid=node.pid,
            height=height,
            epoch=consensus["epoch"],
            connections=connections,
            voting=consensus["voting"],
            abstains=consensus["abstains"],
            waiting=pool["size"],
        )
