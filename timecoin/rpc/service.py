"""The RPC server as a service: cookie file and listening ports from start to stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater

from timecoin.rpc.cookie import Cookie
from timecoin.rpc.dispatch import Dispatcher
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.methods import all_methods
from timecoin.rpc.server import Limits, RpcFactory
from timecoin.rpc.table import Context

_FAREWELL, _LOOK = 0.5, 0.02


class RpcService(Service):
    """Serves ``node`` on Twisted server endpoint strings, with the password in ``cookie_path``."""

    def __init__(
        self,
        reactor: Any,
        node: NodeFacade,
        endpoints: Sequence[str],
        cookie_path: Path,
        limits: Limits | None = None,
        max_batch: int = 1000,
    ) -> None:
        self._reactor = reactor
        self._endpoints = tuple(endpoints)
        self._cookie = Cookie(cookie_path)
        self.context = Context(node, all_methods())
        self.factory = RpcFactory(
            reactor, Dispatcher(reactor, self.context, max_batch), self._cookie, limits or Limits()
        )
        self.ports: list[IListeningPort] = []

    def startService(self) -> Deferred[None]:
        """Write the cookie and listen; fails with OSError or CannotListenError."""
        Service.startService(self)
        return Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        """Stop listening, let clients read their last answers for half a second, take the cookie away."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        if not self._endpoints:
            return
        for endpoint in self._endpoints:
            self.ports.append(await serverFromString(self._reactor, endpoint).listen(self.factory))
        self._cookie.write()

    async def _stop(self) -> None:
        if not self._endpoints:
            return
        self._cookie.remove()
        for port in self.ports:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped
        self.ports = []
        for channel in list(self.factory.channels):
            channel.transport.loseConnection()
        waited = 0.0
        while self.factory.channels and waited < _FAREWELL:
            await deferLater(self._reactor, _LOOK)
            waited += _LOOK
        for channel in list(self.factory.channels):
            channel.transport.abortConnection()
