"""The log: levels, one line per event."""

from __future__ import annotations

import io

from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

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
