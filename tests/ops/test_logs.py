"""The log: levels, one line per event."""

from __future__ import annotations

import io
import logging

from twisted.logger import Logger, LogLevel, LogPublisher, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ops.library_logs import hear_libraries
from timecoin.ops.logs import Levels, observer_to


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = io.StringIO()

    def log(self, level: str, namespace: str = "timecoin.node") -> Logger:
        return Logger(namespace, observer=LogPublisher(observer_to(self.file, Levels(level))))

    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    def test_a_line(self) -> None:
        self.log("info").info("started {name}", name="storage")
        self.assertRegex(
            self.file.getvalue(),
            r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info timecoin\.node: started storage\n\Z",
        )

    def test_twistds_own_words_are_not_critical(self) -> None:
        publisher = LogPublisher(observer_to(self.file, Levels("info")))
        with_failure = {"log_failure": Failure(ValueError("gone"))}
        for more in ({}, with_failure):
            event = {"log_namespace": "log_legacy", "log_level": LogLevel.critical, "log_format": "stale pidfile"}
            publisher(event | more)
        self.assertEqual([line.split(" ")[1] for line in self.lines()], ["warn", "critical"])

    def test_libraries_are_heard_with_their_levels(self) -> None:
        root = logging.getLogger()
        self.patch(root, "handlers", [])
        hear_libraries()
        hear_libraries()
        self.assertEqual(len(root.handlers), 1)
        with capturedLogs() as events:
            # Not by ZODB's own name: the tests of storage silence that for their process.
            logging.getLogger("library.FileStorage").warning("Ignoring index for %s", "blocks.fs")
            logging.getLogger("library.FileStorage").info("quiet")
        told = [(each["log_namespace"], each["log_level"], formatEvent(each)) for each in events]
        self.assertEqual(told, [("library.FileStorage", LogLevel.warn, "Ignoring index for blocks.fs")])

    def test_levels(self) -> None:
        log = self.log("warn")
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(log, level)(level)
        self.assertEqual([line.split(" ")[1] for line in self.lines()], ["warn", "error", "critical"])

    def test_levels_change_while_it_runs(self) -> None:
        levels = Levels("warn")
        publisher = LogPublisher(observer_to(self.file, levels))
        p2p, rpc = (Logger(f"timecoin.{room}.part", observer=publisher) for room in ("p2p", "rpc"))
        for change in (
            lambda: levels.set_room("p2p", "debug"),
            lambda: levels.set_level("info"),
            lambda: levels.set_room("p2p", None),
        ):
            change()
            for log in (p2p, rpc):
                log.debug("fine")
                log.info("note")
        texts = [line.split(" ", 1)[1] for line in self.lines()]
        self.assertEqual(
            texts,
            [
                "debug timecoin.p2p.part: fine",
                "info timecoin.p2p.part: note",
                "debug timecoin.p2p.part: fine",
                "info timecoin.p2p.part: note",
                "info timecoin.rpc.part: note",
                "info timecoin.p2p.part: note",
                "info timecoin.rpc.part: note",
            ],
        )

    def test_twisted_is_quieter(self) -> None:
        log = self.log("info", "twisted.internet.tcp")
        log.info("starting factory")
        log.error("trouble")
        self.assertEqual(len(self.lines()), 1)

    def test_an_event_is_a_line_whatever_is_in_it(self) -> None:
        self.log("info").info("a\nb\r\n  c\u2028d {x}", x="1\n2")
        try:
            raise ValueError("bad\nvalue")
        except ValueError:
            self.log("info").failure("it failed")
        self.assertEqual(len(self.lines()), 2)
        self.assertIn("a | b | c | d 1 | 2", self.lines()[0])
        self.assertIn("ValueError: bad | value", self.lines()[1])
