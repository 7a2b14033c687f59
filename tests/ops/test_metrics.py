"""Figures: the reactor's lateness, the text that Prometheus reads."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from timecoin.ops.metrics import MetricsResource, MetricsService, NodeMetrics
from timecoin.ops.ticks import ReactorTickMonitor


class LateClock(Clock):
    """A clock that runs everything ``late`` seconds after its time."""

    def turn(self, late: float) -> None:
        self.rightNow = min(call.getTime() for call in self.getDelayedCalls()) + late
        self.advance(0)


class TickTests(SynchronousTestCase):
    def test_lateness(self) -> None:
        clock, seen = LateClock(), []
        monitor = ReactorTickMonitor(clock, observe=seen.append)
        monitor.startService()
        for _ in range(99):
            clock.turn(0.001)
        clock.turn(0.25)
        report = monitor.report()
        self.assertEqual(report.samples, 100)
        self.assertAlmostEqual(report.p50_ms, 1.0, 3)
        self.assertAlmostEqual(report.p99_ms, 250.0, 3)
        self.assertAlmostEqual(report.max_ms, 250.0, 3)
        self.assertEqual(len(seen), 100)

    def test_the_window_is_bounded_and_can_be_emptied(self) -> None:
        clock = LateClock()
        monitor = ReactorTickMonitor(clock, window=10)
        monitor.startService()
        for _ in range(50):
            clock.turn(0.0)
        self.assertEqual(monitor.report().samples, 10)
        monitor.reset()
        self.assertEqual((monitor.report().samples, monitor.report().p99_ms), (0, 0.0))

    def test_stopping_leaves_no_call_behind(self) -> None:
        clock = Clock()
        monitor = ReactorTickMonitor(clock)
        monitor.startService()
        monitor.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])


class MetricsTests(SynchronousTestCase):
    def test_figures(self) -> None:
        metrics, other = NodeMetrics(), NodeMetrics()
        metrics.time_to_final.observe(0.04)
        metrics.transactions.labels("final").inc(3)
        metrics.gauge("height", "Height of the tip.", lambda: 7.0)
        text = metrics.render().decode()
        self.assertIn('timecoin_transactions_total{status="final"} 3.0', text)
        self.assertIn('timecoin_time_to_final_seconds_bucket{le="0.05"} 1.0', text)
        self.assertIn("timecoin_height 7.0", text)
        self.assertNotIn("timecoin_height", other.render().decode())

    def test_the_resource(self) -> None:
        request = DummyRequest([b"metrics"])
        body = MetricsResource(NodeMetrics()).render_GET(request)
        self.assertIn(b"timecoin_reactor_lateness_seconds_count 0.0", body)
        self.assertIn(b"text/plain", request.responseHeaders.getRawHeaders(b"content-type")[0])

    def test_without_endpoints_nothing_listens(self) -> None:
        service = MetricsService(None, NodeMetrics(), ())  # type: ignore[arg-type]
        self.successResultOf(service.startService())
        self.assertEqual(service.ports, [])
        self.successResultOf(service.stopService())
