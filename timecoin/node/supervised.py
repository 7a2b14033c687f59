"""A child of a supervisor: it stops by itself when the supervisor is gone, however that one died.

The supervisor holds the write end of a pipe that is this process's standard input; the kernel closes it even
after ``kill -9``, and end-of-file here means: stop.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.node.root import StartRefused


@implementer(IReadDescriptor)
class StdinWatch(Service):
    """Calls ``ended`` once when the pipe on ``fd`` is closed at the other end; input is ignored."""

    _log = Logger()

    def __init__(self, reactor: IReactorFDSet, ended: Callable[[], object], fd: int = 0) -> None:
        self._reactor = reactor
        self._ended = ended
        self._fd = fd

    def startService(self) -> None:
        """Watch; ``StartRefused`` when ``fd`` is neither pipe nor socket."""
        mode = os.fstat(self._fd).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise StartRefused("--supervised needs a pipe as standard input")
        Service.startService(self)
        self._reactor.addReader(self)

    def stopService(self) -> None:
        """Stop watching."""
        Service.stopService(self)
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd

    def doRead(self) -> None:
        """Something to read: end-of-file is what matters."""
        if not os.read(self._fd, 4096):
            self._gone()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the pipe hang up."""
        self._gone()

    def logPrefix(self) -> str:
        """The name in the reactor's own log lines."""
        return "supervised"

    def _gone(self) -> None:
        self._reactor.removeReader(self)
        if self.running:
            self.running = 0
            self._log.warn("the supervisor is gone, stopping")
            self._ended()


def own_process_group() -> None:
    """Leave the supervisor's process group, so that Ctrl-C on its terminal reaches the supervisor alone."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
