"""What ``/metrics`` shows, in Prometheus' text form; one registry a server.

Counters of the doors are this process's own and cost nothing to read. What all servers share (the numbers of
``pipelineMetrics``) is read from PostgreSQL when it is scraped, but not more often than Prometheus scrapes.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.actor import system_actor
from lakefront.domain import pipelines
from lakefront.domain.services import Services
from lakefront.domain.tally import Counts, Tally
from lakefront.domain.tenants.allowances import Allowances
from lakefront.errors import LakefrontError
from lakefront.eventlog.backlog import Backlog, Size
from lakefront.server.alert_metrics import AlertMetrics
from lakefront.server.outbox_metrics import OutboxMetrics

SERVICE: Final = "lakefront"
"""The label ``service`` (L12)."""

NO_ROUTE: Final = "(none)"
"""The route of requests that reach none: their paths are what clients made up."""

BUCKETS: Final = (0.01, 0.05, 0.1, 0.5)
"""Seconds (L12)."""

_BOUNDS: Final = [*map(str, BUCKETS), "+Inf"]

REFRESH: Final = 9.5
"""Seconds between two reads of PostgreSQL: one for each scrape at L12's ten, which are never exactly ten."""

PATIENCE: Final = 3.0
"""Seconds that a scrape waits for PostgreSQL; without it the pipelines' numbers are left out."""


class Metrics:
    """The server's counters and gauges. Labels are paths, streams and outcomes, never what a client made up."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = _Requests()
        self._registry.register(self._requests)
        self._registry.register(_Intake(services.meters.tally))
        self._registry.register(_Refusals(services.allowances))
        self._registry.register(services.calls.metrics)
        self._pipelines = _Pipelines(services)
        self._registry.register(self._pipelines)
        self._outbox = OutboxMetrics(services.provisioner)
        self._registry.register(self._outbox)
        self._alerts = AlertMetrics(services.provisioner)
        self._registry.register(self._alerts)
        database, meters = services.database, services.meters
        lag, asked = "Seconds since the last question after an open request.", "Questions after open requests."
        self.gauges("service_request_poller_lag_seconds", lag, "provider", lambda: meters.poller_lag)
        self.counters("service_request_polls", asked, "provider", lambda: meters.polled)
        self.gauge("lakefront_pool_in_use", "Connections to PostgreSQL in use.", lambda: database.connections[0])
        self.gauge("lakefront_pool_open", "Connections to PostgreSQL that are open.", lambda: database.connections[1])

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show what ``value`` gives when it is scraped."""
        Gauge(name, meaning, registry=self._registry).set_function(value)

    def counter(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show what ``value``, which only grows, gives when it is scraped."""
        self._registry.register(_Growing(name, meaning, value))

    def gauges(self, name: str, meaning: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
        """As ``gauge``, a value for each ``label`` that ``values`` has."""
        self._registry.register(_Labelled(GaugeMetricFamily, name, meaning, label, values))

    def counters(self, name: str, meaning: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
        """As ``counter``, a value for each ``label`` that ``values`` has."""
        self._registry.register(_Labelled(CounterMetricFamily, name, meaning, label, values))

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request (L12); ``route`` is the path as it is declared, not as it was sent."""
        self._requests.add(route, status, seconds)

    def unrouted(self, status: int) -> None:
        """Count a request that was answered before any route: nothing there, not allowed, not our name."""
        self.request(NO_ROUTE, status, 0.0)

    async def text(self) -> bytes:
        """All of it, as a scraper wants it."""
        await self._pipelines.refresh()
        await self._outbox.refresh()
        await self._alerts.refresh()
        return generate_latest(self._registry)


class Counted:
    """An ASGI application whose requests are counted, each when its answer begins: a stream may go on for hours."""

    def __init__(self, app: ASGIApp, metrics: Metrics, route: str) -> None:
        self._app = app
        self._metrics = metrics
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through."""
        started = time.perf_counter()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.request(self._route, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, told)


class _Requests(Collector):
    """Answered requests (L12). One thread answers and counts them, so that this needs no lock."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = {}

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one."""
        self._counts[route, status] += 1
        self._seconds[route] += seconds
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * len(_BOUNDS)
        buckets[bisect_left(BUCKETS, seconds)] += 1

    def collect(self) -> Iterator[Metric]:
        """The counters and the histogram."""
        requests = CounterMetricFamily("lakefront_http_requests", "Answered requests.", labels=["route", "status"])
        for (route, status), count in self._counts.items():
            requests.add_metric([route, str(status)], count)
        rate = CounterMetricFamily("request_rate", "Answered requests.", labels=["service", "endpoint"])
        latency = HistogramMetricFamily("latency", "Seconds to an answer.", labels=["service", "endpoint"])
        for route, buckets in self._buckets.items():
            upto = list(accumulate(buckets))
            rate.add_metric([SERVICE, route], upto[-1])
            latency.add_metric([SERVICE, route], list(zip(_BOUNDS, upto, strict=True)), self._seconds[route])
        yield from (requests, rate, latency)


class _Growing(Collector):
    """A number that somebody else counts."""

    def __init__(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        self._name, self._meaning, self._value = name, meaning, value

    def collect(self) -> Iterator[Metric]:
        """The one number, as it is now."""
        yield CounterMetricFamily(self._name, self._meaning, value=self._value())


class _Labelled(Collector):
    """Numbers that somebody else counts, by one label."""

    def __init__(
        self,
        family: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        meaning: str,
        label: str,
        values: Callable[[], Mapping[str, float]],
    ) -> None:
        self._family, self._name, self._meaning, self._label, self._values = family, name, meaning, label, values

    def collect(self) -> Iterator[Metric]:
        """The numbers, as they are now."""
        family = self._family(self._name, self._meaning, labels=[self._label])
        for value, number in self._values().items():
            family.add_metric([value], number)
        yield family


class _Intake(Collector):
    """What came in through this process's doors, by stream: what ``Tally`` counted since the start."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """The counters."""
        events = CounterMetricFamily(
            "lakefront_ingested_events", "Events by what became of them.", labels=["stream", "outcome"]
        )
        requests = CounterMetricFamily(
            "lakefront_ingest_requests", "Requests that brought events.", labels=["stream", "outcome"]
        )
        seconds = CounterMetricFamily(
            "lakefront_ingest_seconds", "Seconds to the acknowledgement of what did not fail.", labels=["stream"]
        )
        for stream, counts in self._by_stream().items():
            events.add_metric([stream, "accepted"], counts.accepted)
            events.add_metric([stream, "duplicate"], counts.duplicates)
            events.add_metric([stream, "rejected"], counts.rejected)
            requests.add_metric([stream, "ok"], counts.requests - counts.failed)
            requests.add_metric([stream, "failed"], counts.failed)
            seconds.add_metric([stream], counts.seconds)
        yield from (events, requests, seconds)

    def _by_stream(self) -> dict[str, Counts]:
        totals = {stream: Counts() for stream in pipelines.CONSUMERS}
        for (_, stream), counts in self._tally.totals.items():
            totals.setdefault(stream, Counts()).add(counts)
        return totals


class _Refusals(Collector):
    """What this process refused past a tenant's quota: of all tenants together, as their names are no labels."""

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances

    def collect(self) -> Iterator[Metric]:
        """The counter."""
        refused = CounterMetricFamily(
            "lakefront_quota_refusals", "Refused, as a tenant's plan allows no more of it.", labels=["quota"]
        )
        for quota in ("events", "pipelines", "requests", "storage"):
            refused.add_metric([quota], self._allowances.refused[quota])
        yield refused


_GAUGES: Final[dict[str, tuple[str, Callable[[pipelines.PipelineMetrics], float | None]]]] = {
    "lakefront_events_per_batch": ("Events of an average batch, last hour.", lambda it: it.sealed.events_per_batch),
    "lakefront_batches": ("Batches sealed, last hour.", lambda it: it.sealed.batches),
    "lakefront_processing_seconds": (
        "Seconds to the acknowledgement on average, last hour.",
        lambda it: it.intake.average_seconds,
    ),
    "lakefront_seal_seconds": (
        "Seconds from a batch's opening to the lake on average, last hour.",
        lambda it: it.sealed.average_seconds,
    ),
    "lakefront_seal_seconds_max": (
        "Seconds from a batch's opening to the lake at most, last hour.",
        lambda it: it.sealed.max_seconds,
    ),
    "lakefront_error_rate": ("Failed requests of all, last hour.", lambda it: it.intake.error_rate),
    "lakefront_rejection_rate": ("Rejected events of all, last hour.", lambda it: it.intake.rejection_rate),
    "lakefront_lake_objects": ("Objects in the lake.", lambda it: it.objects),
    "lakefront_stored_bytes": ("Bytes in the lake, as stored.", lambda it: it.stored_bytes),
    "lakefront_raw_bytes": ("Bytes in the lake, before compression.", lambda it: it.raw_bytes),
}
"""The gauges of a stream, over all servers; one without a value is left out."""


class _Pipelines(Collector):
    """The numbers of ``pipelineMetrics``, as they were when PostgreSQL was last asked.

    They are the installation's own tenant's: a series for each tenant would be many. Who is behind is told of all.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._backlog = Backlog(services.provisioner)
        self._found: list[pipelines.PipelineMetrics] = []
        self._sizes: dict[tuple[str, str], Size] = {}
        self._answered = False
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask PostgreSQL, unless it was asked just now; while it is away there are no numbers rather than old ones."""
        async with self._asking:
            now = time.monotonic()
            if now - self._asked_at < REFRESH:
                return
            self._asked_at = now
            try:
                async with asyncio.timeout(PATIENCE):
                    self._found = [await self._measure(stream) for stream in pipelines.CONSUMERS]
                    self._sizes = {
                        (stream, consumer): await self._backlog.size(consumer, stream)
                        for stream, consumers in pipelines.CONSUMERS.items()
                        for consumer in consumers
                    }
                self._answered = True
            except (LakefrontError, TimeoutError):
                self._found, self._sizes, self._answered = [], {}, False

    async def _measure(self, stream: str) -> pipelines.PipelineMetrics:
        return await pipelines.measure_shared(self._services, system_actor(), stream)

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        yield GaugeMetricFamily(
            "lakefront_pipelines_measured",
            "Whether PostgreSQL told the pipelines' numbers; without it they are missing here.",
            value=float(self._answered),
        )
        for name, (meaning, value) in _GAUGES.items():
            family = GaugeMetricFamily(name, meaning, labels=["stream"])
            for found in self._found:
                if (number := value(found)) is not None:
                    family.add_metric([found.stream], number)
            yield family
        yield from self._lag()
        yield from self._of_all_tenants()

    def _of_all_tenants(self) -> Iterator[Metric]:
        labels = ["stream", "consumer"]
        tenants = GaugeMetricFamily("lakefront_backlog_tenants", "Tenants whose log has some of them.", labels=labels)
        events = GaugeMetricFamily(
            "lakefront_backlog_events", "Events that a consumer has not taken in, of all tenants.", labels=labels
        )
        for key, size in self._sizes.items():
            tenants.add_metric(key, size.tenants)
            events.add_metric(key, size.events)
        yield from (events, tenants)

    def _lag(self) -> Iterator[Metric]:
        labels = ["stream", "consumer"]
        events = GaugeMetricFamily("lakefront_lag_events", "Events that a consumer has not taken in.", labels=labels)
        seconds = GaugeMetricFamily("lakefront_lag_seconds", "Age of the oldest such event.", labels=labels)
        for found in self._found:
            for lag in found.lag:
                events.add_metric([found.stream, lag.consumer], lag.events)
                seconds.add_metric([found.stream, lag.consumer], lag.seconds)
        yield from (events, seconds)
