"""Counting what comes in through the doors (P7): in memory on the request's path, in PostgreSQL every few seconds."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

from lakefront.db.database import Database, Transaction
from lakefront.errors import Unavailable

FLUSH_INTERVAL: Final = 5.0
"""Seconds between two writes."""

RETENTION_DAYS: Final = 30
"""Days for which minutes are kept (L12)."""

CLOSE_TIMEOUT: Final = 3.0
"""Seconds that the last write may take."""

PRUNE_INTERVAL: Final = 3600.0
"""Seconds between two looks at minutes that are too old."""

MOST_MINUTES: Final = 10_000
"""Minutes that wait in memory for PostgreSQL to come back: a week of one stream's; the oldest are given up first."""

_log = logging.getLogger(__name__)

_WRITE: Final = """
INSERT INTO lakefront.pipeline_minutes AS m
  (tenant_id, stream, minute, writer, requests, failed_requests, accepted, duplicates, rejected, seconds)
SELECT $1, r.stream, to_timestamp(r.minute * 60), $2, r.requests, r.failed, r.accepted, r.duplicates, r.rejected,
  r.seconds
FROM unnest(
  $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::float8[]
) AS r(stream, minute, requests, failed, accepted, duplicates, rejected, seconds)
ON CONFLICT (tenant_id, stream, minute, writer) DO UPDATE SET
  requests = excluded.requests, failed_requests = excluded.failed_requests, accepted = excluded.accepted,
  duplicates = excluded.duplicates, rejected = excluded.rejected, seconds = excluded.seconds
"""

_PRUNE: Final = """
DELETE FROM lakefront.pipeline_minutes WHERE tenant_id = $1 AND minute < now() - make_interval(days => $2)
"""


@dataclass(slots=True)
class Counts:
    """Requests and what became of their events; ``seconds``: to the acknowledgement, of those that did not fail."""

    requests: int = 0
    failed: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    seconds: float = 0.0

    def add(self, other: "Counts") -> None:
        """Add ``other``."""
        self.requests += other.requests
        self.failed += other.failed
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.seconds += other.seconds


Stream = tuple[str, str]
"""(tenant, stream)."""


@dataclass(slots=True)
class _Minute:
    counts: Counts = field(default_factory=Counts)
    written: bool = False


class Tally:
    """This process's counts: ``totals`` since it started, and the minutes that ``flush`` writes.

    A minute is written whole, under this process's own name: writing it twice, as after a connection that was lost
    while it committed, changes nothing.
    """

    def __init__(self, *, most_minutes: int = MOST_MINUTES) -> None:
        self.totals: dict[Stream, Counts] = {}
        self._writer = token_hex(8)
        self._now = _minute()
        self._minutes: dict[tuple[str, str, int], _Minute] = {}
        self._most_minutes = most_minutes
        self._writing = asyncio.Lock()

    @contextmanager
    def request(self, tenant: str, stream: str) -> Iterator[Counts]:
        """Count one request: as failed if the block raises. The block enters its events into what it gets."""
        counts = Counts(requests=1, failed=1)
        started = time.perf_counter()
        try:
            yield counts
            counts.failed, counts.seconds = 0, time.perf_counter() - started
        finally:
            self._enter(tenant, stream, counts)

    def _enter(self, tenant: str, stream: str, counts: Counts) -> None:
        # Never back: a clock that is set back must not start a minute anew that was written already.
        self._now = max(self._now, _minute())
        key = (tenant, stream, self._now)
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = _Minute()
            if len(self._minutes) > self._most_minutes:
                del self._minutes[next(iter(self._minutes))]
        minute.counts.add(counts)
        minute.written = False
        self.totals.setdefault((tenant, stream), Counts()).add(counts)

    async def flush(self, database: Database) -> None:
        """Write what was not written yet; raises ``Unavailable`` when PostgreSQL is away: the next flush has it all."""
        async with self._writing:
            waiting = {key: minute for key, minute in self._minutes.items() if not minute.written}
            for tenant in {tenant for tenant, _, _ in waiting}:
                mine = {key: minute for key, minute in waiting.items() if key[0] == tenant}
                rows = [(key[1], key[2], *_columns(minute.counts)) for key, minute in mine.items()]
                for minute in mine.values():
                    minute.written = True  # what is counted from here on clears it again
                try:
                    async with database.transaction(tenant) as transaction:
                        await transaction.execute(_WRITE, tenant, self._writer, *zip(*rows, strict=True))
                except BaseException:
                    for minute in mine.values():
                        minute.written = False
                    raise
            for key, minute in list(self._minutes.items()):
                if minute.written and key[2] < self._now:
                    del self._minutes[key]

    async def keep_writing(self, database: Database, *, interval: float = FLUSH_INTERVAL) -> None:
        """Flush every ``interval`` seconds, for ever; prune now and then."""
        prune_at = time.monotonic()
        while True:
            await asyncio.sleep(interval)
            try:
                await self.flush(database)
                if time.monotonic() >= prune_at:
                    await self._prune(database)
                    prune_at = time.monotonic() + PRUNE_INTERVAL
            except Unavailable:
                pass  # the doors say so already; the counts wait
            except Exception:  # noqa: BLE001 - counting must outlive it
                _log.exception("the pipelines' counts were not written and will be tried again")

    async def close(self, database: Database) -> None:
        """Write what is left, if PostgreSQL takes it soon."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.flush(database)
        except (Unavailable, TimeoutError):
            _log.warning("PostgreSQL is away: pipelineMetrics will lack what came in since the last write")

    async def _prune(self, database: Database) -> None:
        for tenant in {tenant for tenant, _ in self.totals}:
            async with database.transaction(tenant) as transaction:
                await prune(transaction, tenant)


async def prune(transaction: Transaction, tenant: str, *, days: int = RETENTION_DAYS) -> None:
    """Delete the minutes of ``tenant`` that are older than ``days``."""
    await transaction.execute(_PRUNE, tenant, days)


def _columns(counts: Counts) -> tuple[int | float, ...]:
    return counts.requests, counts.failed, counts.accepted, counts.duplicates, counts.rejected, counts.seconds


def _minute() -> int:
    """The minute that it is, counted from the epoch."""
    return int(time.time() // 60)
