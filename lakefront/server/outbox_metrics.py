"""What ``/metrics`` shows of what waits for outside systems: of all servers and tenants, by provider (C12, C13)."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lakefront.db.database import Database
from lakefront.domain import outbox
from lakefront.errors import LakefrontError

REFRESH: Final = 9.5
"""Seconds between two reads of PostgreSQL, as the pipelines' numbers."""

PATIENCE: Final = 3.0
"""Seconds that a scrape waits for PostgreSQL; without it the numbers are left out."""


class OutboxMetrics(Collector):
    """As they were when PostgreSQL was last asked; while it is away there are none rather than old ones."""

    def __init__(self, provisioner: Database) -> None:
        self._provisioner = provisioner
        self._found = outbox.Numbers([], [])
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask PostgreSQL, unless it was asked just now."""
        async with self._asking:
            now = time.monotonic()
            if now - self._asked_at < REFRESH:
                return
            self._asked_at = now
            try:
                async with asyncio.timeout(PATIENCE):
                    self._found = await outbox.measure(self._provisioner)
            except (LakefrontError, TimeoutError):
                self._found = outbox.Numbers([], [])

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        jobs = GaugeMetricFamily(
            "lakefront_outbox_jobs", "Jobs for outside systems, not done yet.", labels=["provider"]
        )
        oldest = GaugeMetricFamily(
            "lakefront_outbox_oldest_seconds", "For how long the oldest of them waits.", labels=["provider"]
        )
        for each in self._found.jobs:
            jobs.add_metric([each.provider], each.waiting)
            oldest.add_metric([each.provider], each.oldest)
        letters = GaugeMetricFamily(
            "lakefront_dead_letters", "Dead letters that nobody decided on.", labels=["provider", "uncertain"]
        )
        for one in self._found.letters:
            letters.add_metric([one.provider, "true" if one.uncertain else "false"], one.waiting)
        yield from (jobs, oldest, letters)
