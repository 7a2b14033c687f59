"""The root service: order, waiting, failing, stopping."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.node.fakes import NoExit
from timecoin.node.readiness import Readiness
from timecoin.node.root import Phase, RootService, StartRefused, Step


class FakeReactor(Clock):
    """A clock that can be stopped, as twistd's reactor is: stopping stops the root."""

    root: RootService | None = None
    stops = 0

    def callWhenRunning(self, call: Any, *arguments: Any) -> None:
        self.callLater(0, call, *arguments)

    def stop(self) -> None:
        self.stops += 1
        assert self.root is not None
        self.root.stopService()


class Child:
    """Notes what happens to it; starts and stops when told to, or at once."""

    def __init__(self, name: str, events: list[str], slow: bool = False) -> None:
        self.name, self.events, self.slow = name, events, slow
        self.starting: Deferred[None] = Deferred()
        self.stopping: Deferred[None] = Deferred()

    def startService(self) -> Deferred[None] | None:
        self.events.append(f"start {self.name}")
        return self.starting if self.slow else None

    def stopService(self) -> Deferred[None] | None:
        self.events.append(f"stop {self.name}")
        return self.stopping if self.slow else None


class Announcements:
    def __init__(self, events: list[str]) -> None:
        self.events = events

    def ready(self) -> None:
        self.events.append("ready")

    def stopping(self) -> None:
        self.events.append("stopping")


class RootTests(SynchronousTestCase):
    def make(self, *slow: bool) -> None:
        self.events: list[str] = []
        self.reactor, self.status, self.said = FakeReactor(), NoExit(), []
        self.children = [Child("abc"[n], self.events, each) for n, each in enumerate(slow)]
        self.root = RootService(
            self.reactor,  # type: ignore[arg-type]
            [Step(child.name, child, 10.0) for child in self.children],
            Announcements(self.events),
            exit_status=self.status,
            complain=self.said.append,
            greeting="timecoin 1.2.3 starts",
        )
        self.reactor.root = self.root

    def test_starts_in_order_and_stops_in_reverse(self) -> None:
        self.make(False, False, False)
        self.root.startService()
        self.assertIs(self.root.phase, Phase.RUNNING)
        self.successResultOf(self.root.stopService())
        self.assertEqual(
            self.events, ["start a", "start b", "start c", "ready", "stopping", "stop c", "stop b", "stop a"]
        )
        self.assertIs(self.root.phase, Phase.STOPPED)

    def test_the_log_begins_with_what_starts(self) -> None:
        self.make(False)
        with capturedLogs() as events:
            self.root.startService()
        told = [formatEvent(each) for each in events]
        self.assertEqual((told[0], told[-1]), ("timecoin 1.2.3 starts", "timecoin is ready"))

    def test_waits_for_each_start_and_each_stop(self) -> None:
        self.make(True, True)
        a, b = self.children
        self.root.startService()
        self.assertEqual(self.events, ["start a"])
        a.starting.callback(None)
        self.assertEqual(self.events, ["start a", "start b"])
        b.starting.callback(None)
        self.assertEqual(self.events[-1], "ready")
        stopped = self.root.stopService()
        self.assertEqual(self.events[-1], "stop b")
        self.assertNoResult(stopped)
        b.stopping.callback(None)
        self.assertEqual(self.events[-1], "stop a")
        a.stopping.callback(None)
        self.successResultOf(stopped)

    def test_a_refused_start_stops_what_had_started_and_fails_the_process(self) -> None:
        self.make(False, True, False)
        self.root.startService()
        self.children[1].starting.errback(StartRefused("the coins\nare gone"))
        self.reactor.advance(0)
        self.assertEqual(self.events, ["start a", "start b", "stopping", "stop a"])
        self.assertEqual(self.said, ["timecoin: cannot start b: the coins are gone\n"])
        self.assertEqual((self.status.code, self.reactor.stops), (1, 1))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_port_in_use_is_a_line_without_a_traceback(self) -> None:
        self.make(False)
        problem = CannotListenError("127.0.0.1", 24100, OSError(98, "Address already in use"))
        self.children[0].startService = lambda: fail(problem)  # type: ignore[method-assign]
        self.root.startService()
        self.reactor.advance(0)
        self.assertIn("cannot start a: Couldn't listen on 127.0.0.1:24100", self.said[0])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_an_unexpected_failure_is_logged_with_its_traceback(self) -> None:
        self.make(False)
        self.children[0].startService = lambda: 1 // 0  # type: ignore[assignment,method-assign,return-value]
        self.root.startService()
        self.reactor.advance(0)
        self.assertEqual(
            self.said, ["timecoin: cannot start a: ZeroDivisionError: integer division or modulo by zero\n"]
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_stop_that_hangs_does_not_keep_the_others_from_stopping(self) -> None:
        self.make(False, True)
        self.root.startService()
        self.children[1].starting.callback(None)
        stopped = self.root.stopService()
        self.reactor.advance(9.9)
        self.assertNoResult(stopped)
        self.reactor.advance(0.2)
        self.successResultOf(stopped)
        self.assertEqual(self.events[-1], "stop a")
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_a_stop_that_fails_is_logged_and_the_others_stop(self) -> None:
        self.make(False, False)
        self.root.startService()
        self.children[1].stopService = lambda: 1 // 0  # type: ignore[assignment,method-assign,return-value]
        self.successResultOf(self.root.stopService())
        self.assertEqual(self.events[-1], "stop a")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_stop_during_the_start_lets_the_step_at_hand_end(self) -> None:
        self.make(True, True)
        self.root.startService()
        stopped = self.root.stopService()
        self.children[0].starting.callback(None)
        self.assertEqual(self.events, ["start a", "stopping", "stop a"])
        self.children[0].stopping.callback(None)
        self.successResultOf(stopped)

    def test_a_stop_during_a_start_that_hangs_gives_up_on_it(self) -> None:
        self.make(False, True)
        self.root.startService()
        stopped = self.root.stopService()
        self.reactor.advance(5.1)
        self.successResultOf(stopped)
        self.assertEqual(self.events, ["start a", "start b", "stopping", "stop a"])

    def test_stopping_twice_is_stopping_once(self) -> None:
        self.make(True)
        self.root.startService()
        self.children[0].starting.callback(None)
        first, second = self.root.stopService(), self.root.stopService()
        self.children[0].stopping.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.events.count("stop a"), 1)

    def test_abort_ends_the_process_with_its_status(self) -> None:
        self.make(False)
        self.root.startService()
        self.root.abort("two blocks at one height", 3)
        self.reactor.advance(0)
        self.assertEqual((self.status.code, self.reactor.stops, self.events[-1]), (3, 1, "stop a"))

    def test_prepend(self) -> None:
        self.make(False)
        self.root.prepend(Step("z", Child("z", self.events)))
        self.root.startService()
        self.assertEqual(self.events, ["start z", "start a", "ready"])


class ReadinessTests(SynchronousTestCase):
    def test_the_file_is_there_while_ready(self) -> None:
        path = Path(self.mktemp())
        readiness = Readiness(path, {})
        readiness.ready()
        self.assertEqual(path.read_text(), f"{os.getpid()}\n")
        readiness.stopping()
        self.assertFalse(path.exists())
        readiness.stopping()

    def test_the_file_of_another_process_stays(self) -> None:
        path = Path(self.mktemp())
        path.write_text("1\n")
        Readiness(path, {}).stopping()
        self.assertTrue(path.exists())

    def test_systemd_is_told(self) -> None:
        import socket
        import tempfile

        with (
            tempfile.TemporaryDirectory() as directory,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        ):
            systemd.bind(f"{directory}/notify")
            readiness = Readiness(Path(directory) / "ready", {"NOTIFY_SOCKET": f"{directory}/notify"})
            readiness.ready()
            readiness.stopping()
            self.assertEqual([systemd.recv(64), systemd.recv(64)], [b"READY=1", b"STOPPING=1"])

    def test_a_systemd_that_is_gone_is_no_failure(self) -> None:
        readiness = Readiness(Path(self.mktemp()), {"NOTIFY_SOCKET": "/nowhere/at/all"})
        readiness.ready()
