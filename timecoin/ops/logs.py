"""The node's log: one line per event, from a chosen level up, to where twistd's options say.

A line is ``2026-01-31T12:00:00.123Z info timecoin.node.root: text``. Line breaks inside an event (tracebacks)
become `` | ``, so that a line is an event for every tool that reads lines.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
)
from twisted.python.logfile import LogFile

LEVELS = ("debug", "info", "warn", "error", "critical")
#: Rooms of the code whose loggers can have a level of their own.
ROOMS = ("consensus", "node", "ops", "p2p", "rpc", "storage", "wallet")
_ROTATE_BYTES = 50_000_000
_ROTATED_FILES = 10


def format_event(event: LogEvent) -> str:
    """One event as one line with its end; events without a text become nothing."""
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    if not text:
        return ""
    when = (
        datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
    level = _level(event)
    line = " | ".join(part.strip() for part in text.splitlines() if part.strip())
    return f"{when} {level} {event.get('log_namespace', '-')}: {line}\n"


def _level(event: LogEvent) -> str:
    """The level of an event; what twistd itself calls an error without saying what failed, such as a stale pid
    file that it removed, is a warning."""
    level = event.get("log_level", LogLevel.info)
    legacy = event.get("log_namespace") == "log_legacy" and event.get("log_failure") is None
    return "warn" if legacy and level is LogLevel.critical else str(level.name)


class Levels:
    """Which events are logged; may change while the node runs. Levels are the words of ``LEVELS``."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._rooms: dict[str, str] = {}
        self._path = ""
        self.predicate = LogLevelFilterPredicate()
        self._apply()

    def goes_to(self, path: str) -> None:
        """Remember that the log goes to the file of that path."""
        self._path = path

    def file_path(self) -> str:
        """The file that is written, with its whole path; empty when the log goes elsewhere."""
        return self._path

    def set_level(self, level: str) -> None:
        """Log events of ``level`` and above, but for rooms with a level of their own."""
        self._level = level
        self._apply()

    def set_room(self, room: str, level: str | None) -> None:
        """Give the loggers of ``timecoin.ROOM`` a level of their own; None takes it away."""
        self._rooms.pop(room, None)
        if level is not None:
            self._rooms[room] = level
        self._apply()

    def _apply(self) -> None:
        # The default is the level of the empty namespace.
        wanted = {"": self._level} | {f"timecoin.{room}": level for room, level in self._rooms.items()}
        # twistd's and Twisted's own notes (a factory starting, a connection lost) are of interest to who debugs
        # only.
        wanted["twisted"] = wanted["log_legacy"] = "debug" if self._level == "debug" else "warn"
        self.predicate.clearLogLevels()
        for namespace, level in wanted.items():
            self.predicate.setLogLevelForNamespace(namespace, LogLevel.levelWithName(level))


def observer_to(file: IO[str], levels: Levels) -> ILogObserver:
    """An observer that writes the events that ``levels`` lets through."""
    return FilteringLogObserver(FileLogObserver(file, format_event), [levels.predicate])


def observer_for_twistd(logfile: str | None, nodaemon: bool, levels: Levels) -> ILogObserver:
    """What twistd would make of ``--logfile`` and ``--nodaemon``, with levels and one line per event.

    Standard output in the foreground without a file; otherwise ``logfile`` (``twistd.log``), rotated by size
    and on SIGUSR1.
    """
    if logfile == "-" or (nodaemon and not logfile):
        return observer_to(sys.stdout, levels)
    file = LogFile.fromFullPath(logfile or "twistd.log", rotateLength=_ROTATE_BYTES, maxRotatedFiles=_ROTATED_FILES)
    _rotate_on_signal(file)
    levels.goes_to(str(Path(file.path).absolute()))
    return observer_to(cast(IO[str], file), levels)


def _rotate_on_signal(file: LogFile) -> None:
    if signal.getsignal(signal.SIGUSR1) not in (None, signal.SIG_DFL):
        return

    def rotate(number: int, frame: object) -> None:
        from twisted.internet import reactor

        run_soon = cast(Callable[..., Any], cast(Any, reactor).callFromThread)
        run_soon(file.rotate)

    signal.signal(signal.SIGUSR1, rotate)
