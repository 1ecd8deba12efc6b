"""What ``/metrics`` shows of calls (C13). Labels are providers, of which there are a few, never tenants."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BUCKETS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""

_BOUNDS: Final = [*map(str, BUCKETS), "+Inf"]


class CallMetrics(Collector):
    """Counts of this process. One thread calls and counts, so that this needs no lock."""

    def __init__(
        self, remaining: Callable[[], Mapping[str, int]], open_seconds: Callable[[], Mapping[str, float]]
    ) -> None:
        """``remaining``: requests left of the day; ``open_seconds``: how long a breaker is open; both by provider."""
        self._remaining = remaining
        self._open_seconds = open_seconds
        self.calls: Counter[tuple[str, str]] = Counter()
        """By provider and status."""
        self._retries: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = {}

    def call(self, provider: str, status: str) -> None:
        """A call ended: ``ok``, or with an error's code."""
        self.calls[provider, status] += 1

    def retry(self, provider: str) -> None:
        """A request is sent again."""
        self._retries[provider] += 1

    def answered(self, provider: str, seconds: float) -> None:
        """A request was answered, or failed, after so long."""
        self._seconds[provider] += seconds
        buckets = self._buckets.get(provider)
        if buckets is None:
            buckets = self._buckets[provider] = [0] * len(_BOUNDS)
        buckets[bisect_left(BUCKETS, seconds)] += 1

    def collect(self) -> Iterator[Metric]:
        """All of it, as a scraper wants it."""
        calls = CounterMetricFamily(
            "adapter_calls", "Calls of outside systems: ok, or their error's code.", labels=["provider", "status"]
        )
        for labels, count in self.calls.items():
            calls.add_metric(labels, count)
        retries = CounterMetricFamily("adapter_retries", "Requests that were sent again.", labels=["provider"])
        for provider, count in self._retries.items():
            retries.add_metric([provider], count)
        latency = HistogramMetricFamily("adapter_latency_seconds", "Seconds of one request.", labels=["provider"])
        for provider, buckets in self._buckets.items():
            upto = list(accumulate(buckets))
            latency.add_metric([provider], list(zip(_BOUNDS, upto, strict=True)), self._seconds[provider])
        yield from (calls, retries, latency)
        yield self._gauge("quota_remaining", "Requests left of the day, least of all integrations.", self._remaining())
        yield self._gauge("adapter_breaker_open_seconds", "For how long a breaker is open.", self._open_seconds())

    @staticmethod
    def _gauge(name: str, meaning: str, values: Mapping[str, float]) -> Metric:
        family = GaugeMetricFamily(name, meaning, labels=["provider"])
        for provider, value in values.items():
            family.add_metric([provider], value)
        return family
