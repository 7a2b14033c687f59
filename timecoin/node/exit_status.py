"""A non-zero exit status from under twistd.

twistd returns from its reactor and exits with 0 whatever happened. The status chosen here is set by an
``atexit`` hook, which runs after twistd has removed its pidfile and Python has joined its threads, and before
anything could change the outcome.
"""

from __future__ import annotations

import atexit
import os
import sys


class ExitStatus:
    """The status that the process will end with; 0 until ``fail`` is called, and the first failure stays."""

    def __init__(self) -> None:
        self.code = 0

    def fail(self, code: int = 1) -> None:
        """End the process with ``code`` (1 to 255) when it ends; only the first call counts."""
        if self.code == 0:
            self.code = code
            atexit.register(self._leave)

    def _leave(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)
