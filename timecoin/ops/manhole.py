"""The operator's shell as a service: an SSH server in the daemon, on this machine only, for public keys only.

Whoever is let in has a Python shell in the node's process, and with it all the power that the node has. So it is off by
default, listens on loopback or a unix socket and nowhere else, knows no passwords, and writes down who did what.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import UNIXServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from timecoin.ops.manhole_access import AuthorizedKeys, fingerprint
from timecoin.ops.manhole_hostkeys import host_keys
from timecoin.ops.manhole_server import ManholeFactory
from timecoin.ops.manhole_watch import Watch


class ManholeService(Service):
    """Serves ``namespace`` on endpoint strings; which ones are allowed the configuration has checked."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoints: Sequence[str],
        authorized_keys: Path,
        data_dir: Path,
        namespace: Callable[[], dict[str, Any]],
        *,
        idle_seconds: float = 900,
        banner: str = "",
    ) -> None:
        self._reactor = reactor
        self._endpoints = tuple(endpoints)
        self._authorized = AuthorizedKeys(authorized_keys)
        self._data_dir = data_dir
        self._namespace = namespace
        self._banner = banner
        self.idle_seconds = idle_seconds
        self.watch = Watch()
        self.factory: ManholeFactory | None = None
        self.ports: list[IListeningPort] = []

    def startService(self) -> Deferred[None]:
        """Make or read the host keys and listen. Fails with HostKeyError, KeysFileError, CannotListenError."""
        Service.startService(self)
        return Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        """Stop listening and end every session."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def set_idle_seconds(self, seconds: float) -> None:
        """Close connections after so many seconds without a key pressed; from each one's next key on."""
        self.idle_seconds = seconds
        if self.factory is not None:
            self.factory.idle_seconds = seconds

    async def _start(self) -> None:
        grants, problems = self._authorized.read()
        for each in problems:
            self._log.warn("{path}: {problem}", path=self._authorized.path, problem=each)
        if not grants:
            self._log.warn("{path}: lets nobody in", path=self._authorized.path)
        keys = await deferToThread(host_keys, self._data_dir)
        self.factory = ManholeFactory(
            self._reactor,
            keys,
            self._authorized,
            self._namespace,
            watch=self.watch,
            idle_seconds=self.idle_seconds,
            banner=self._banner,
        )
        for endpoint in self._endpoints:
            self.ports.append(await self._listen(endpoint, self.factory))
        for key in keys.values():
            self._log.info("host key {name} {key}", name=key.sshType().decode(), key=fingerprint(key.public()))

    async def _listen(self, endpoint: str, factory: ManholeFactory) -> IListeningPort:
        if not endpoint.startswith("unix:"):
            port: IListeningPort = await serverFromString(self._reactor, endpoint).listen(factory)
            return port
        # Nobody else may connect, not even in the moment between bind and chmod.
        before = os.umask(0o177)
        try:
            path = endpoint.removeprefix("unix:")
            listening = UNIXServerEndpoint(self._reactor, path, mode=0o600, wantPID=True).listen(factory)
        finally:
            os.umask(before)
        opened: IListeningPort = await listening
        return opened

    async def _stop(self) -> None:
        ports, self.ports = self.ports, []
        await gatherResults([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)
        if self.factory is not None:
            self.factory.close_all()
