"""The one service that twistd starts: its children start in order and stop in the reverse one, each awaited.

``MultiService`` ignores the Deferreds of ``startService`` and stops all children at once; a node needs its
storage open before anything uses it and closed after everything has let go of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from timecoin.node.exit_status import ExitStatus
from timecoin.storage.errors import StorageError


class StartRefused(Exception):
    """A child cannot start for a reason that one line tells the operator; no traceback is logged."""


_EXPECTED = (StartRefused, StorageError, CannotListenError)


class Child(Protocol):
    """A service as the root uses it: both methods may return a Deferred, which is awaited."""

    def startService(self) -> Deferred[None] | None:
        """Start; may fail, best with ``StartRefused``."""

    def stopService(self) -> Deferred[None] | None:
        """Stop; called only after ``startService`` succeeded."""


class RootReactor(IReactorCore, IReactorTime):
    """What the root needs of a reactor."""


class Announcer(Protocol):
    """Told when all children run and when they begin to stop (``readiness.Readiness``)."""

    def ready(self) -> None:
        """All children run."""

    def stopping(self) -> None:
        """The first child is about to be stopped."""


@dataclass(frozen=True, slots=True)
class Step:
    """One child: its name in the log, the service, and how many seconds its stop may take."""

    name: str
    service: Child
    stop_limit: float = 10.0


class Phase(Enum):
    """Where the root is in its life; it never goes back."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class RootService(Service):
    """Starts ``steps`` in order, announces *ready*, stops them in reverse.

    A start that fails prints one line on standard error and in the log, stops what had started, stops the
    reactor and makes the process exit with status 1. A stop during the start lets the step at hand end (or
    cancels it after ``start_grace`` seconds) first. ``greeting`` is the first line of the log.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: RootReactor,
        steps: Sequence[Step],
        announcer: Announcer | None = None,
        *,
        exit_status: ExitStatus | None = None,
        start_grace: float = 5.0,
        complain: Callable[[str], object] = sys.stderr.write,
        greeting: str = "timecoin starts",
    ) -> None:
        self.name = "timecoin"
        self.phase = Phase.NEW
        self.current = ""
        self._reactor = reactor
        self._steps = tuple(steps)
        self._announcer = announcer
        self._exit_status = exit_status or ExitStatus()
        self._start_grace = start_grace
        self._complain = complain
        self._greeting = greeting
        self._started: list[Step] = []
        self._starting: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None

    def prepend(self, step: Step) -> None:
        """Put a child before all others; only before the start."""
        assert self.phase is Phase.NEW
        self._steps = (step, *self._steps)

    def startService(self) -> None:
        """Begin to start the children; returns at once, ``phase`` tells how far it came."""
        Service.startService(self)
        self._log.info("{greeting}", greeting=self._greeting)
        self.phase = Phase.STARTING
        self._starting = Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        """Stop the children; fires when all have ended or their limits passed. May be called again."""
        Service.stopService(self)
        if self._stopped is None:
            self._stopped = Deferred.fromCoroutine(self._stop())
        waiting: Deferred[None] = Deferred()
        self._stopped.addBoth(_tell(waiting))
        return waiting

    def abort(self, reason: str, status: int = 1) -> None:
        """End a node that must not go on (protocol.md R12): one line, an orderly stop, ``status``."""
        self._log.critical("the node stops: {reason}", reason=reason)
        self._complain(f"timecoin: {reason}\n")
        self._exit_status.fail(status)
        self._end_process()

    async def _start(self) -> None:
        for step in self._steps:
            if self.phase is not Phase.STARTING:
                return
            self.current = step.name
            try:
                await maybeDeferred(_call(step.service.startService))
            except CancelledError:
                return
            except Exception:
                self._refuse(step, Failure())
                return
            self._started.append(step)
            self._log.info("started {name}", name=step.name)
        self._become_ready()

    def _become_ready(self) -> None:
        if self.phase is not Phase.STARTING:
            return
        self.phase, self.current = Phase.RUNNING, ""
        self._log.info("timecoin is ready")
        if self._announcer is not None:
            self._announcer.ready()

    def _refuse(self, step: Step, failure: Failure) -> None:
        if failure.check(*_EXPECTED) is None:
            self._log.failure("{name} failed to start", failure, name=step.name)
        self.abort(f"cannot start {step.name}: {_one_line(failure)}")

    def _end_process(self) -> None:
        # Not stop() at once: while twistd still runs startService the reactor is not running yet.
        self._reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        if self.phase in (Phase.STARTING, Phase.RUNNING):
            self._reactor.stop()

    async def _stop(self) -> None:
        self.phase = Phase.STOPPING
        if self._announcer is not None:
            self._announcer.stopping()
        if self._starting is not None:
            await self._limited("the start at hand", self._starting, self._start_grace)
        while self._started:
            step = self._started.pop()
            self.current = step.name
            await self._limited(step.name, maybeDeferred(_call(step.service.stopService)), step.stop_limit)
            self._log.info("stopped {name}", name=step.name)
        self.phase, self.current = Phase.STOPPED, ""

    async def _limited(self, name: str, work: Deferred[None], limit: float) -> None:
        """Wait for ``work`` at most ``limit`` seconds; a failure is logged, so that others still stop."""
        work.addTimeout(limit, self._reactor)
        try:
            await work
        except Exception:
            self._log.failure("{name} did not stop cleanly within {limit} s", name=name, limit=limit)


def _one_line(failure: Failure) -> str:
    text = " ".join(failure.getErrorMessage().split())
    return text if failure.check(*_EXPECTED) else f"{type(failure.value).__name__}: {text}"


def _call(work: Callable[[], Deferred[None] | None]) -> Callable[[], Deferred[None]]:
    def call() -> Deferred[None]:
        return work() or succeed(None)

    return call


def _tell(waiting: Deferred[None]) -> Callable[[object], object]:
    def tell(result: object) -> object:
        waiting.callback(None)
        return result

    return tell
