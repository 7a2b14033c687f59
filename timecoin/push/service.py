"""Push as a service: it serves on the ports of RPC, from its start to its stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from timecoin.push.gate import PushGate
from timecoin.push.hub import Hub
from timecoin.push.sockets import LEAVE_TIME
from timecoin.rpc.auth import Grant
from timecoin.rpc.server import RpcFactory, RpcRequest
from timecoin.rpc.service import STREAMS

PATHS = (b"/ws", b"/events")
_LOOK = 0.02


class PushService(Service):
    """Serves ``hub`` on the paths of ``factory``; ``origins`` are web pages that may come."""

    def __init__(self, reactor: Any, hub: Hub, factory: RpcFactory, origins: Sequence[str]) -> None:
        # autobahn takes the reactor that is installed when it is imported.
        from timecoin.push.websocket import PushFactory

        self._reactor = reactor
        self.hub = hub
        self._factory = factory
        self.sockets = PushFactory(reactor, hub)
        self.gate = PushGate(reactor, hub, origins, self.sockets.take)

    def startService(self) -> None:
        """Take clients."""
        Service.startService(self)
        self.hub.start()
        self.gate.open = True
        for path in PATHS:
            self._factory.streams[path] = self._take

    def _take(self, request: RpcRequest, grant: Grant) -> None:
        self.gate.take(request, grant.forbids(STREAMS))

    def stopService(self) -> Deferred[None]:
        """Send every client away, and wait a moment until they are gone."""
        Service.stopService(self)
        self.gate.open = False
        self.hub.stop()
        return Deferred.fromCoroutine(self._wait())

    async def _wait(self) -> None:
        end = self._reactor.seconds() + 2 * LEAVE_TIME
        while (self.sockets.protocols or self.gate.streams) and self._reactor.seconds() < end:
            await deferLater(self._reactor, _LOOK)
        for protocol in tuple(self.sockets.protocols):
            protocol.transport.abortConnection()
