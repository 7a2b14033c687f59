"""When the journal is written."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from timecoin.consensus.outbox import Urgency
from timecoin.node.pacing import FLUSH_MAX, FLUSH_MIN, RECORD_PAUSE, REPORT_PAUSE, FlushPace


class PaceTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.pace = FlushPace()
        self.assertTrue(self.pace.taken(100.0))

    def test_votes_wait_for_nothing(self) -> None:
        self.assertLessEqual(self.pace.due(Urgency.AT_ONCE), 100.0)

    def test_bundles_wait_for_the_pause(self) -> None:
        self.assertEqual(self.pace.due(Urgency.IN_TIME), 100.0 + FLUSH_MIN)
        self.assertFalse(self.pace.taken(100.0 + FLUSH_MIN / 2))
        self.assertEqual(self.pace.due(Urgency.IN_TIME), 100.0 + FLUSH_MIN)
        self.assertTrue(self.pace.taken(100.0 + FLUSH_MIN))

    def test_reports_wait_less_while_there_is_little_to_do(self) -> None:
        self.pace.taken(100.004)
        self.assertEqual(self.pace.due(Urgency.SOON), 100.004 + REPORT_PAUSE)
        self.pace.wrote(20, 0.0)
        self.assertEqual(self.pace.due(Urgency.SOON), 100.0 + 20 * RECORD_PAUSE)

    def test_the_pause_grows_with_load_and_disk_and_is_bounded(self) -> None:
        self.pace.wrote(1, 0.0)
        self.assertEqual(self.pace.pause, FLUSH_MIN)
        self.pace.wrote(1, 0.03)
        self.assertEqual(self.pace.pause, 0.03)
        self.pace.wrote(10_000, 0.03)
        self.assertEqual(self.pace.pause, FLUSH_MAX)
