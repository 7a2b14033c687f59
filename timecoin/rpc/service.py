"""The RPC server as a service: cookie file and listening ports from start to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from timecoin.rpc.access import is_local
from timecoin.rpc.auth import Gate, Users
from timecoin.rpc.cookie import Cookie
from timecoin.rpc.dispatch import Bounds, Dispatcher
from timecoin.rpc.facade import NodeFacade
from timecoin.rpc.methods import all_methods
from timecoin.rpc.server import Limits, RpcFactory
from timecoin.rpc.slices import Slices
from timecoin.rpc.table import Context

_FAREWELL, _LOOK = 0.5, 0.02
_THREADS, _SWEEP = 2, 1.0


STREAMS = "subscribe"
"""What a white list names for push, which is no method."""


class RpcService(Service):
    """Serves ``node`` on Twisted server endpoint strings, with the password in ``cookie_path`` and for ``users``.

    ``factory.limits`` and ``dispatcher.bounds`` may be replaced while it runs.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        node: NodeFacade,
        endpoints: Sequence[str],
        cookie_path: Path,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
        users: Users | None = None,
    ) -> None:
        self._reactor = reactor
        self._endpoints = tuple(endpoints)
        self._cookie = Cookie(cookie_path)
        self.gate = Gate(self._cookie, users)
        self._threads = ThreadPool(0, _THREADS, name="rpc")
        self.context = Context(node, all_methods(), in_thread=self._in_thread, slices=Slices(reactor).collect)
        self.dispatcher = Dispatcher(reactor, self.context, bounds)
        self.factory = RpcFactory(reactor, self.dispatcher, self.gate, limits or Limits())
        self._sweep = LoopingCall(self.dispatcher.cut_late)
        self._sweep.clock = reactor
        self.ports: list[IListeningPort] = []

    def startService(self) -> Deferred[None]:
        """Write the cookie and listen; fails with OSError or CannotListenError."""
        Service.startService(self)
        return Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        """Stop listening, let clients read their last answers for half a second, take the cookie away."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def _in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._threads, function, *args, **kwargs)

    async def _start(self) -> None:
        if not self._endpoints:
            return
        self._warn()
        for endpoint in self._endpoints:
            self.ports.append(await serverFromString(self._reactor, endpoint).listen(self.factory))
            self._log.info("RPC is served on {endpoint}", endpoint=endpoint)
        self._cookie.write()
        self._threads.start()
        self._sweep.start(_SWEEP, now=False)

    def _warn(self) -> None:
        unknown = sorted(self.gate.listed() - set(self.context.methods) - {STREAMS})
        if unknown:
            self._log.warn("white lists of RPC name unknown methods: {methods}", methods=", ".join(unknown))
        open_wide = [each for each in self._endpoints if each.startswith("tcp") and not is_local(each)]
        for each in open_wide:
            self._log.warn("RPC on {endpoint} is plain HTTP: passwords can be read on the way", endpoint=each)

    async def _stop(self) -> None:
        if not self._endpoints:
            return
        if self._sweep.running:
            self._sweep.stop()
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
        if self._threads.started:
            self._threads.stop()
