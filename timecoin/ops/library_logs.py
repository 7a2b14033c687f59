"""What libraries tell Python's ``logging`` (ZODB does), in the node's log with its level and origin.

Without this Python writes it on standard error, and twistd logs all that comes there as errors.
"""

from __future__ import annotations

import logging

from twisted.logger import Logger, LogLevel

_LEVELS = ((logging.CRITICAL, LogLevel.critical), (logging.ERROR, LogLevel.error), (logging.WARNING, LogLevel.warn))


class LibraryLog(logging.Handler):
    """Passes records of level warning and above on to ``twisted.logger``."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record as an event, a traceback included."""
        level = next((ours for least, ours in _LEVELS if record.levelno >= least), LogLevel.info)
        Logger(record.name).emit(level, "{text}", text=self.format(record))


def hear_libraries() -> None:
    """Take part in Python's logging from now on; a second call changes nothing."""
    root = logging.getLogger()
    if not any(isinstance(each, LibraryLog) for each in root.handlers):
        root.addHandler(LibraryLog())
