"""What ``/metrics`` shows, in Prometheus' text form; one registry a server."""

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest

from lakefront.domain.permits import IngestReport

BUCKETS = (0.01, 0.05, 0.1, 0.5)
"""Seconds (L12)."""


class Metrics:
    """The server's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "lakefront_http_requests", "Answered requests.", ["route", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "lakefront_http_seconds", "Seconds to an answer.", ["route"], buckets=BUCKETS, registry=self._registry
        )
        self._events = Counter(
            "lakefront_ingested_events",
            "Events by what became of them.",
            ["stream", "outcome"],
            registry=self._registry,
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def ingested(self, stream: str, report: IngestReport) -> None:
        """Count what became of a request's events."""
        self._events.labels(stream, "accepted").inc(report.accepted)
        self._events.labels(stream, "duplicate").inc(report.duplicates)
        self._events.labels(stream, "rejected").inc(report.rejected)

    def text(self) -> bytes:
        """All of it, as a scraper wants it."""
        return generate_latest(self._registry)
