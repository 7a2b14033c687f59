"""Whole nodes in one process: P2P services on one clock, joined by in-memory wires."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer

from tests.p2p.support import BACKEND, Listener, identity
from tests.p2p.wire import Wire, pump_all
from timecoin.p2p.config import P2PConfig
from timecoin.p2p.dialer import DialPolicy
from timecoin.p2p.netaddress import from_host
from timecoin.p2p.service import P2PService


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, net: Net, source: str, host: str, port: int) -> None:
        self.net, self.source, self.host, self.port = net, source, host, port

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        done: Deferred[IProtocol] = Deferred(lambda d: self.net.waiting.remove(entry))
        entry = (done, self, factory)
        self.net.waiting.append(entry)
        self.net.dials.append((self.source, f"{self.host}:{self.port}"))
        return done


class Net:
    """Nodes by name; each listens at an address of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.nodes: dict[str, P2PService] = {}
        self.listeners: dict[str, Listener] = {}
        self.at: dict[tuple[str, int], str] = {}
        self.wires: list[Wire] = []
        self.waiting: list[tuple[Deferred[IProtocol], _Endpoint, IProtocolFactory]] = []
        self.dials: list[tuple[str, str]] = []
        self._ports = 50_000

    def node(
        self, name: str, host: str, *, config: dict[str, Any] | None = None, seed: str = "", **arguments: Any
    ) -> P2PService:
        """Add a node that listens at ``host``:24100; not started yet."""
        values: dict[str, Any] = {"allow_private": True, "dialling": DialPolicy(outbound=4)}
        arguments.setdefault("identity", identity(name, listen=from_host(host, 24100)))
        listener = Listener()
        service = P2PService(
            self.clock,
            Random(name + seed),
            arguments.pop("identity"),
            BACKEND,
            listener,
            P2PConfig(**(values | (config or {}))),
            connector=lambda to, port: _Endpoint(self, host, to, port),
            **arguments,
        )
        self.nodes[name], self.listeners[name] = service, listener
        self.at[(host, 24100)] = name
        return service

    def start(self, *names: str) -> None:
        for name in names or tuple(self.nodes):
            self.nodes[name].startService()

    def run(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass and everything be carried."""
        while seconds > 0:
            self.clock.advance(step)
            self.settle()
            seconds -= step

    def settle(self) -> None:
        for _ in range(500):
            self.clock.advance(0)
            busy = self._connect() | pump_all(self.wires)
            self.wires = [wire for wire in self.wires if wire.open]
            if not busy:
                self.clock.advance(0)
                if not pump_all(self.wires) and not self.waiting:
                    return
        raise AssertionError("the network never came to rest")

    def _connect(self) -> bool:
        waiting, self.waiting = self.waiting, []
        for done, endpoint, factory in waiting:
            name = self.at.get((endpoint.host, endpoint.port))
            if name is None or not self.nodes[name].running:
                done.errback(ConnectionRefusedError())
                continue
            self._ports += 1
            near = IPv4Address("TCP", endpoint.source, self._ports)
            far = IPv4Address("TCP", endpoint.host, endpoint.port)
            server = self.nodes[name].accept_factory().buildProtocol(near)
            if server is None:
                done.errback(ConnectionRefusedError())
                continue
            client = factory.buildProtocol(far)
            assert client is not None
            self.wires.append(Wire(client, server, near, far))
            done.callback(client)
        return bool(waiting)

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.nodes):
            if self.nodes[name].running:
                done = self.nodes[name].stopService()
                self.settle()
                self.run(4, step=1)
                assert done.called

    def ids(self, name: str) -> set[str]:
        """The names of those to whom a node is connected."""
        names = {service.identity.node_key: other for other, service in self.nodes.items()}
        return {names[peer.node_id] for peer in self.nodes[name].peers}
