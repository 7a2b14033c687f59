"""The log's own path, which ``getrpcinfo`` shows as Core's does."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from timecoin.ops.logs import Levels, observer_for_twistd


class PathTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        self.levels = Levels("info")

    def test_a_file(self) -> None:
        path = Path(self.mktemp())
        observer_for_twistd(str(path), True, self.levels)
        self.assertEqual(self.levels.file_path(), str(path.absolute()))

    def test_standard_output(self) -> None:
        observer_for_twistd(None, True, self.levels)
        self.assertEqual(self.levels.file_path(), "")
