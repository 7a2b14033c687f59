"""Figures for Prometheus: one registry per node, and the HTTP resource that shows it.

prometheus_client's own Twisted resource renders in a thread pool, where gauges that ask the node would race
with the reactor; rendering takes about a millisecond and is done in the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorCore
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

_LATENESS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_FINAL_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


Labelled: TypeAlias = tuple[Sequence[str], float]


class _Totals(Collector):
    def __init__(
        self, name: str, text: str, labels: Sequence[str], read: Callable[[], Iterable[Labelled]]
    ) -> None:
        self._name, self._text, self._labels, self._read = name, text, labels, read

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, figure in self._read():
            family.add_metric(values, figure)
        yield family


class NodeMetrics:
    """The node's figures, in a registry of their own so that several nodes live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.reactor_lateness = Histogram(
            "timecoin_reactor_lateness_seconds",
            "Delay of a timer: how long events wait.",
            buckets=_LATENESS_BUCKETS,
            registry=self.registry,
        )
        self.time_to_final = Histogram(
            "timecoin_time_to_final_seconds",
            "From first sight of a payment to final.",
            buckets=_FINAL_BUCKETS,
            registry=self.registry,
        )
        self.transactions = Counter(
            "timecoin_transactions", "Transactions that reached a status.", ["status"], registry=self.registry
        )
        self.blocks = Counter("timecoin_blocks", "Blocks applied.", ["kind"], registry=self.registry)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add ``timecoin_NAME``, a figure that is asked for when somebody looks."""
        Gauge(f"timecoin_{name}", text, registry=self.registry).set_function(read)

    def totals(self, name: str, text: str, labels: Sequence[str], read: Callable[[], Iterable[Labelled]]) -> None:
        """Add ``timecoin_NAME_total``, counted elsewhere: (label values, figure), asked for when somebody looks."""
        self.registry.register(_Totals(f"timecoin_{name}", text, labels, read))

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)


class MetricsResource(Resource):
    """``GET /metrics``."""

    isLeaf = False

    def __init__(self, metrics: NodeMetrics) -> None:
        Resource.__init__(self)
        self._metrics = metrics
        self.putChild(b"metrics", self)

    def render_GET(self, request: Request) -> bytes:
        """All figures as text."""
        request.setHeader(b"content-type", CONTENT_TYPE_LATEST.encode("ascii"))
        return self._metrics.render()


class MetricsService(Service):
    """Serves ``metrics`` on Twisted server endpoint strings; with none it does nothing."""

    def __init__(self, reactor: IReactorCore, metrics: NodeMetrics, endpoints: Sequence[str]) -> None:
        self._reactor = reactor
        self._metrics = metrics
        self._endpoints = tuple(endpoints)
        self.ports: list[IListeningPort] = []

    async def _listen(self) -> None:
        site = Site(MetricsResource(self._metrics))
        site.noisy = False
        for endpoint in self._endpoints:
            self.ports.append(await serverFromString(self._reactor, endpoint).listen(site))

    def startService(self) -> Deferred[None]:
        """Listen; fails with CannotListenError."""
        Service.startService(self)
        return Deferred.fromCoroutine(self._listen())

    def stopService(self) -> Deferred[None]:
        """Stop listening."""
        Service.stopService(self)
        closing = [Deferred.fromCoroutine(_close(port)) for port in self.ports]
        self.ports = []
        return gatherResults(closing).addCallback(lambda _: None)


async def _close(port: IListeningPort) -> None:
    stopped = port.stopListening()
    if stopped is not None:
        await stopped
