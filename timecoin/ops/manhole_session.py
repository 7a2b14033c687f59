"""What one SSH channel of the manhole does: a shell on a terminal, lines from a pipe, or one command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.interfaces import ISession
from twisted.conch.manhole_ssh import TerminalSessionTransport
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from timecoin.ops.manhole_console import FAILED, MAX_SOURCE, Console, Outcome
from timecoin.ops.manhole_shell import Shell

EXEC_SECONDS = 120.0
"""How long ``ssh host command`` waits for a result that takes its time."""
_LOGGED = 500


class _Input:
    """The transport that a channel writes the client's bytes to."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self.write = received

    def loseConnection(self) -> None:
        """The channel closes; :meth:`Session.closed` does what is to be done."""


@implementer(ISession)
class Session:
    """One channel of a user. ``user`` is its :class:`~timecoin.ops.manhole_server.User`."""

    _log = Logger()

    def __init__(self, user: Any) -> None:
        self._user = user
        self._name = user.next_session()
        self._console: Console = user.make_console()
        self._shell: Shell | None = None
        self._size = (80, 24)
        self._has_pty = False
        self._process: Any = None
        self._lines: list[str] = []
        self._partial = b""
        self._at_end = False
        self._running: Deferred[Outcome] | None = None
        self._took = 0.0

    # ISession

    def getPty(self, term: bytes, windowSize: tuple[int, int, int, int], modes: object) -> None:
        """A terminal is wanted; that the key allows it the channel has seen."""
        self._has_pty = True
        self._size = windowSize[1], windowSize[0]

    def openShell(self, proto: Any) -> None:
        """``ssh host``: a shell on the terminal, or without one the commands that come as lines."""
        self._process = proto
        self._note("opened")
        if not self._has_pty:
            proto.makeConnection(_Input(self._take))
            return
        self._shell = Shell(self._console, self._run, self._leave, self._user.banner)
        TerminalSessionTransport(proto, ServerProtocol(lambda: self._shell), self._user, *self._size)

    def execCommand(self, proto: Any, cmd: bytes) -> None:
        """``ssh host command``: one command and its exit status."""
        self._process = proto
        self._note("opened")
        proto.makeConnection(_Input(lambda data: None))
        self._running = self._run(cmd.decode("utf-8", "replace"), self._write)
        self._running.addTimeout(EXEC_SECONDS, self._user.reactor)
        self._running.addCallbacks(lambda outcome: self._leave(outcome.status), lambda _: self._leave(FAILED))

    def windowChanged(self, newWindowSize: tuple[int, int, int, int]) -> None:
        """The terminal has another size (rows, columns)."""
        self._size = newWindowSize[1], newWindowSize[0]
        if self._shell is not None:
            self._shell.terminalSize(*self._size)

    def eofReceived(self) -> None:
        """The client sends nothing more."""
        if self._has_pty:
            self._leave(0)
        elif self._running is None or self._lines:
            self._at_end = True
            self._take(b"\n")
        else:
            self._at_end = True

    def closed(self) -> None:
        """The channel is gone."""
        self._note("closed")
        self._lines.clear()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        if self._shell is not None:
            self._shell.connectionLost(None)

    # Lines from a pipe

    def _take(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._lines += [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        if len(self._partial) + sum(map(len, self._lines)) > MAX_SOURCE:
            self._write("too much at once\n")
            self._leave(FAILED)
        elif self._running is None:
            self._next()

    def _next(self, last: Outcome | None = None) -> None:
        self._running = None
        if last is not None and (last.leave or last.status):
            self._leave(last.status)
            return
        while self._lines and self._process is not None:
            command = self._console.push(self._lines.pop(0))
            if command is not None and command.strip():
                self._running = self._run(command, self._write)
                self._running.addCallback(self._rest)
                return
        if self._at_end:
            self._leave(0)

    def _rest(self, last: Outcome) -> None:
        """The node has its turn between two lines, however many came together."""
        self._running = deferLater(self._user.reactor, self._took, lambda: last)
        self._running.addCallbacks(self._next, lambda _: None)

    # Commands

    def _run(self, command: str, write: Callable[[str], None]) -> Deferred[Outcome]:
        self._note("runs {what}", what=_bounded(command))
        began = self._user.reactor.seconds()

        def done(outcome: Outcome) -> Outcome:
            self._took = took = self._user.reactor.seconds() - began
            self._note("{word} after {took:.3f} s", word=outcome.word, took=took)
            return outcome

        return self._console.run(command, write).addCallback(done)

    def _note(self, text: str, **what: object) -> None:
        self._log.info("{session}: " + text, session=self._name, **what)

    def _write(self, text: str) -> None:
        if self._process is not None:
            line_end = "\r\n" if self._has_pty else "\n"
            self._process.write(text.replace("\r\n", "\n").replace("\n", line_end).encode("utf-8", "replace"))

    def _leave(self, status: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            reason = ProcessDone(0) if status == 0 else ProcessTerminated(status)
            process.processEnded(Failure(reason))


def _bounded(command: str) -> str:
    """A command as one printable line for the log."""
    cut = len(command) - _LOGGED
    return repr(command[:_LOGGED]) + (f" and {cut} characters more" if cut > 0 else "")
