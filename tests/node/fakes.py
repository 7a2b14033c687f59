"""Threads that run when told, a clock that takes calls from them, peers that only take notes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from twisted.internet.task import Clock
from twisted.python.failure import Failure

from timecoin.node.exit_status import ExitStatus
from timecoin.p2p import messages as wire
from timecoin.p2p.framing import HEADER_SIZE
from timecoin.p2p.peer import Peer

M = TypeVar("M", bound=wire.Message)


class NoExit(ExitStatus):
    """Only notes the status: the real one would end the whole test run with it."""

    def fail(self, code: int = 1) -> None:
        self.code = self.code or code


class ThreadClock(Clock):
    """A clock that is also called from threads: at once."""

    def callFromThread(self, work: Callable[..., object], *arguments: object) -> None:
        work(*arguments)


class Pool:
    """A thread pool whose work is done on the spot, or by :meth:`run` while ``held``."""

    def __init__(self, minthreads: int = 0, maxthreads: int = 1, name: str = "") -> None:
        self.max, self.name = maxthreads, name
        self.held = False
        self.started = False
        self.waiting: deque[tuple[Callable[..., Any], Callable[..., Any], tuple[object, ...]]] = deque()

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def callInThreadWithCallback(self, told: Callable[..., Any], work: Callable[..., Any], *arguments: object) -> None:
        self.waiting.append((told, work, arguments))
        if not self.held:
            self.run()

    def run(self, count: int | None = None) -> None:
        """Do what waits, or the first ``count``."""
        while self.waiting and count != 0:
            told, work, arguments = self.waiting.popleft()
            count = None if count is None else count - 1
            try:
                result = work(*arguments)
            except Exception:
                told(False, Failure())
            else:
                told(True, result)


class Pools:
    """The pools that a module makes, by name."""

    def __init__(self, case: Any, module: ModuleType) -> None:
        self.made: dict[str, Pool] = {}
        case.patch(module, "ThreadPool", self._make)

    def _make(self, minthreads: int, maxthreads: int, name: str) -> Pool:
        self.made[name] = Pool(minthreads, maxthreads, name)
        return self.made[name]

    def __getitem__(self, name: str) -> Pool:
        return self.made[name]


class NotedPeer(Peer):
    """A connected peer that keeps what is sent to it and what is said of it."""

    is_established = True  # type: ignore[assignment]
    queued_bytes = 0  # type: ignore[assignment]

    def __init__(self, number: int, masternode_id: bytes | None = None) -> None:
        self.node_id = b"peer %d" % number
        self.masternode_id = masternode_id
        self.sent: list[wire.Message] = []
        self.accused: list[str] = []
        self.paused = False

    def send(self, message: wire.Message | bytes) -> bool:
        if isinstance(message, bytes):
            message = wire.decode(message[4], memoryview(message)[HEADER_SIZE:])
        self.sent.append(message)
        return True

    def misbehaved(self, code: str) -> None:
        self.accused.append(code)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def take(self, kind: type[M]) -> list[M]:
        """What came of one kind, forgotten with all the rest."""
        sent, self.sent = self.sent, []
        return [message for message in sent if isinstance(message, kind)]

    def __repr__(self) -> str:
        return self.node_id.decode()
