"""One node of a devnet as a process: started, watched, started again when it crashed, stopped."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import timecoin
from timecoin.cli.devnet_files import NodeFiles

_FIRST_DELAY, _LONGEST_DELAY, _STEADY = 0.5, 30.0, 60.0
_DELIBERATE = (signal.SIGTERM, signal.SIGINT)
TERM_LIMIT = 20.0


class NodeProcess(ProcessProtocol):
    """Runs ``twistd timecoin`` for ``files``; ``report`` gets a line when something happens to it.

    Its standard input is a pipe from here: should this process be killed, the node sees end-of-file and
    stops. A node that ends with status 0 or by SIGTERM was meant to end and stays down; any other end is a
    crash.
    """

    def __init__(self, reactor: Any, files: NodeFiles, report: Callable[[str], object]) -> None:
        self.files = files
        self.crashes = 0
        self._reactor = reactor
        self._report = report
        self._delay = _FIRST_DELAY
        self._started = 0.0
        self._again: IDelayedCall | None = None
        self._stopping: Deferred[None] | None = None
        self._kill: IDelayedCall | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self.transport is None else self.transport.pid

    def start(self) -> None:
        """Start it now."""
        self._again = None
        self._started = self._reactor.seconds()
        with self.files.console.open("ab") as console:
            self._reactor.spawnProcess(
                self,
                sys.executable,
                command_line(self.files),
                env=child_environment(),
                path=str(self.files.directory),
                childFDs={0: "w", 1: console.fileno(), 2: console.fileno()},
            )

    def processEnded(self, reason: Failure) -> None:
        """It has ended."""
        self.transport = None
        if self._stopping is not None:
            self._stopped()
            return
        status: Any = reason.value
        how = f"by signal {status.signal}" if status.signal else f"with status {status.exitCode}"
        if status.exitCode == 0 or status.signal in _DELIBERATE:
            again = f"twistd -n timecoin --config {self.files.config}"
            self._report(f"{self.files.name} was stopped; `{again}` starts it again")
            return
        self.crashes += 1
        if self._reactor.seconds() - self._started > _STEADY:
            self._delay = _FIRST_DELAY
        self._report(
            f"{self.files.name} ended {how}, starting it again in {self._delay:g} s; {last_line(self.files)}"
        )
        self._again = self._reactor.callLater(self._delay, self.start)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def stop(self) -> Deferred[None]:
        """Ask it to end, make it end after ``TERM_LIMIT`` seconds; fires when it has."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.transport is None:
            return succeed(None)
        self._stopping = Deferred()
        self._signal("TERM")
        self._kill = self._reactor.callLater(TERM_LIMIT, self._signal, "KILL")
        return self._stopping

    def _signal(self, name: str) -> None:
        if self.transport is None:
            return
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            return

    def _stopped(self) -> None:
        if self._kill is not None and self._kill.active():
            self._kill.cancel()
        if self._stopping is not None:
            self._stopping.callback(None)


def command_line(files: NodeFiles) -> list[str]:
    """``twistd timecoin`` in the foreground; no pidfile, since a killed node would leave a stale one."""
    script = Path(sys.executable).with_name("twistd")
    twistd = [str(script)] if script.exists() else ["-c", "from twisted.scripts.twistd import run; run()"]
    own = ["timecoin", "--config", str(files.config), "--supervised"]
    return [sys.executable, *twistd, "--nodaemon", "--pidfile=", f"--logfile={files.log}", *own]


def child_environment() -> dict[str, str]:
    """This process's environment, in which the package is found where this process found it."""
    home = str(Path(timecoin.__file__).resolve().parent.parent)
    others = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each and each != home]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, *others])}


def last_line(files: NodeFiles) -> str:
    """The last thing that a node printed, or where its log is."""
    try:
        lines = files.console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:200] if lines else f"see {files.log}"
