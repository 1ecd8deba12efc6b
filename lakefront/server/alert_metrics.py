"""What ``/metrics`` shows of alerts: how many are open, of all tenants together (C13)."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lakefront.db.database import Database
from lakefront.domain import alerts
from lakefront.errors import LakefrontError

REFRESH: Final = 9.5
"""Seconds between two reads of PostgreSQL, as the pipelines' numbers."""

PATIENCE: Final = 3.0
"""Seconds that a scrape waits for PostgreSQL; without it the numbers are left out."""


class AlertMetrics(Collector):
    """As they were when PostgreSQL was last asked; while it is away there are none rather than old ones."""

    def __init__(self, provisioner: Database) -> None:
        self._provisioner = provisioner
        self._open: Mapping[int, int] = {}
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
                    self._open = await alerts.open_by_level(self._provisioner)
            except (LakefrontError, TimeoutError):
                self._open = {}

    def collect(self) -> Iterator[Metric]:
        """The gauge: firing, whether somebody looks after it or not."""
        family = GaugeMetricFamily("alerts_firing", "Alerts that are not over, of all tenants.", labels=["level"])
        for level, count in self._open.items():
            family.add_metric([str(level)], count)
        yield family
