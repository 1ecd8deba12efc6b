"""How the pipelines do (P7): what came in, what was sealed, what is stored, and who is behind."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import orjson

from lakefront.actor import METRICS_READ, Actor
from lakefront.domain.meters import Stored
from lakefront.domain.services import Services
from lakefront.domain.tally import RETENTION_DAYS
from lakefront.errors import NotFound, Unavailable, ValidationError
from lakefront.eventlog.lake.manifest import CONSUMER as SEALER
from lakefront.eventlog.projections.permits import PERMITS, STREAM

CONSUMERS: Final = {STREAM: (PERMITS.name, SEALER)}
"""stream -> who reads its log to its end, whether they have begun or not: the projection, the sealer."""

DEFAULT_MINUTES: Final = 60
PACE: Final = 5
MAX_PACE: Final = 60
"""Seconds between two deliveries to who watches."""

MOST_POINTS: Final = 180
STEPS: Final = (60, 300, 900, 3600, 21_600, 86_400)
"""Seconds that a point may stand for: the least that makes at most MOST_POINTS points."""

MAX_STREAM: Final = 200
"""Characters of a stream's name; a longer one is nobody's."""

_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Range:
    """From the minute ``since`` on, to before ``until``."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()

    @property
    def step(self) -> int:
        """Seconds that one point stands for."""
        return next((step for step in STEPS if self.seconds <= step * MOST_POINTS), STEPS[-1])


@dataclass(frozen=True, slots=True)
class Intake:
    """What came in through the doors; ``seconds`` is their sum to the acknowledgement, without failed requests."""

    requests: int
    failed_requests: int
    accepted: int
    duplicates: int
    rejected: int
    seconds: float

    @property
    def received(self) -> int:
        """Events on which there was a verdict."""
        return self.accepted + self.duplicates + self.rejected

    @property
    def error_rate(self) -> float | None:
        """Failed requests of all; None without a request."""
        return self.failed_requests / self.requests if self.requests else None

    @property
    def rejection_rate(self) -> float | None:
        """Rejected events of all received; None without an event."""
        return self.rejected / self.received if self.received else None

    @property
    def average_seconds(self) -> float | None:
        """Seconds to the acknowledgement of an average request; None when none succeeded."""
        succeeded = self.requests - self.failed_requests
        return self.seconds / succeeded if succeeded else None


@dataclass(frozen=True, slots=True)
class Point:
    """The intake of ``step`` seconds from ``start`` on."""

    start: datetime
    intake: Intake


@dataclass(frozen=True, slots=True)
class Sealed:
    """Batches that were sealed in the range; the seconds are from a batch's opening to its place in the manifest."""

    batches: int
    events: int
    stored_bytes: int
    raw_bytes: int
    average_seconds: float | None
    max_seconds: float | None

    @property
    def events_per_batch(self) -> float | None:
        """None without a batch."""
        return self.events / self.batches if self.batches else None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far ``consumer`` is behind: events not taken in, and seconds since the oldest of them arrived."""

    consumer: str
    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PipelineMetrics:
    """The numbers of one stream; ``objects``, ``stored_bytes`` and ``raw_bytes`` are of all that is in the lake."""

    stream: str
    range: Range
    intake: Intake
    sealed: Sealed
    objects: int
    stored_bytes: int
    raw_bytes: int
    lag: list[Lag]
    points: list[Point]


def time_range(*, minutes: int | None = None, since: datetime | None = None, until: datetime | None = None) -> Range:
    """The last ``minutes`` (60 when nothing is given), or from ``since`` to ``until`` (None: now).

    Counts are kept by the minute: the range is widened to full ones, but ends now at the latest. Raises
    ``ValidationError`` for one that is empty, lies in the future, or begins before what is kept.
    """
    now = datetime.now(UTC)
    if minutes is not None and since is not None:
        raise _refused("minutes", "Give minutes or timeRange, not both.")
    if minutes is not None and not 1 <= minutes <= RETENTION_DAYS * 1440:
        raise _refused(
            "minutes", f"Give 1 to {RETENTION_DAYS * 1440:,} minutes: counts are kept {RETENTION_DAYS} days."
        )
    if since is None:
        since = now - timedelta(minutes=minutes or DEFAULT_MINUTES)
    elif since < now - timedelta(days=RETENTION_DAYS):
        raise _refused("timeRange.from", f"Counts are kept {RETENTION_DAYS} days. Begin later.")
    since = _minute(since)
    until = min(until or now, now)
    if until <= since:
        raise _refused("timeRange", "The range is empty. Let it begin in the past and end after its beginning.")
    return Range(since, min(_minute(until + timedelta(minutes=1, microseconds=-1)), now))


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _not_found(streams: Iterable[str]) -> NotFound:
    return NotFound(f"There is no such stream. The streams are: {', '.join(sorted(streams))}.")


def _refused(field: str, message: str) -> ValidationError:
    return ValidationError("The range of time is not valid.", details=[{"field": field, "message": message}])


async def measure(services: Services, actor: Actor, stream: str, span: Range | None = None) -> PipelineMetrics:
    """The numbers of ``stream`` in ``span`` (None: the last 60 minutes), of all servers.

    Raises ``NotFound`` for a stream that there is not, ``Forbidden``, ``Unavailable``.
    """
    actor.require(METRICS_READ)
    if len(stream) > MAX_STREAM or not stream.isprintable():  # PostgreSQL takes no NUL
        raise _not_found({*CONSUMERS, *services.settings.streams})
    await services.meters.tally.flush(services.database)
    return await _read(services, actor.tenant, stream, span or time_range())


async def measure_shared(services: Services, actor: Actor, stream: str) -> PipelineMetrics:
    """``measure`` of the last 60 minutes, computed once for all who ask at about the same time."""
    actor.require(METRICS_READ)
    make = partial(measure, services, actor, stream)
    metrics: PipelineMetrics = await services.meters.shared((actor.tenant, stream), DEFAULT_MINUTES, make)
    return metrics


async def watch(services: Services, actor: Actor, stream: str, *, every: int = PACE) -> AsyncGenerator[PipelineMetrics]:
    """The numbers of the last 60 minutes: now, every ``every`` seconds, and when a batch was sealed; for ever.

    Raises ``ValidationError``, ``NotFound``, ``Forbidden``; while PostgreSQL is away it waits.
    """
    if not 1 <= every <= MAX_PACE:
        told = {"field": "every", "message": f"Give seconds from 1 to {MAX_PACE}."}
        raise ValidationError("The pace is not valid.", details=[told])
    while True:
        try:
            yield await measure_shared(services, actor, stream)
        except Unavailable:
            await asyncio.sleep(_PAUSE)
            continue
        await services.meters.news((actor.tenant, stream), patience=every)


_COUNTS: Final = """coalesce(sum(requests), 0)::bigint AS requests,
  coalesce(sum(failed_requests), 0)::bigint AS failed_requests, coalesce(sum(accepted), 0)::bigint AS accepted,
  coalesce(sum(duplicates), 0)::bigint AS duplicates, coalesce(sum(rejected), 0)::bigint AS rejected,
  coalesce(sum(seconds), 0) AS seconds
  FROM lakefront.pipeline_minutes WHERE tenant_id = $1 AND stream = $2 AND minute >= $3 AND minute < $4"""

_MEASURE: Final = f"""
SELECT CASE WHEN set_config('lakefront.tenant', $1, true) = $1 THEN (SELECT json_build_object(
'intake', (SELECT row_to_json(q) FROM (SELECT {_COUNTS}) q),
'points', (SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (
  SELECT extract(epoch FROM date_bin(make_interval(secs => $5::int), minute, $3)) AS start, {_COUNTS}
  GROUP BY 1 ORDER BY 1) q),
'sealed', (SELECT row_to_json(q) FROM (
  SELECT count(*) AS batches, coalesce(sum(event_count), 0) AS events,
    coalesce(sum(stored_bytes), 0) AS stored_bytes, coalesce(sum(raw_bytes), 0) AS raw_bytes,
    avg(extract(epoch FROM sealed_at - opened_at))::float8 AS average_seconds,
    max(extract(epoch FROM sealed_at - opened_at))::float8 AS max_seconds
  FROM lakefront.lake_objects WHERE tenant_id = $1 AND stream = $2 AND sealed_at >= $3 AND sealed_at < $4) q),
'stored', (SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (
  SELECT p.shard, s.* FROM (
    SELECT h.shard, coalesce(k.until, 0) AS until FROM lakefront.heads h
    LEFT JOIN unnest($6::smallint[], $7::bigint[]) AS k(shard, until) ON k.shard = h.shard
    WHERE h.tenant_id = $1 AND h.stream = $2 OFFSET 0) p
  CROSS JOIN LATERAL (
    SELECT max(until_offset) AS until, count(*) AS objects, sum(stored_bytes) AS stored_bytes,
      sum(raw_bytes) AS raw_bytes
    FROM lakefront.lake_objects o WHERE o.tenant_id = $1 AND o.stream = $2 AND o.shard = p.shard
      AND o.from_offset >= p.until) s) q),
'lag', (SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (
  SELECT p.consumer, sum(p.next - p.taken) AS events,
    greatest(0, extract(epoch FROM clock_timestamp() - min(e.ingested_at)))::float8 AS seconds
  FROM (
    SELECT h.shard, h.next, c.consumer, coalesce(o.next, 0) AS taken
    FROM lakefront.heads h CROSS JOIN unnest($8::text[]) AS c(consumer)
    LEFT JOIN lakefront.consumer_offsets o ON o.tenant_id = $1 AND o.stream = $2 AND o.shard = h.shard
      AND o.consumer = c.consumer
    WHERE h.tenant_id = $1 AND h.stream = $2 OFFSET 0) p
  LEFT JOIN LATERAL (
    SELECT ingested_at FROM lakefront.events e WHERE e.tenant_id = $1 AND e.stream = $2 AND e.shard = p.shard
      AND e."offset" = p.taken LIMIT 1) e ON true
  GROUP BY p.consumer) q),
'streams', (SELECT coalesce(json_agg(DISTINCT stream), '[]') FROM lakefront.heads WHERE tenant_id = $1)
)) END
"""  # noqa: S608 - made of constants alone
"""OFFSET 0: under row security COALESCE may not come before the policy, so that within the join it would be a filter on
every row, not the bound of an index."""


async def _read(services: Services, tenant: str, stream: str, span: Range) -> PipelineMetrics:
    """All of it in one statement, tenant included; of the manifest only what is newer than the last look."""
    sums = services.meters.sums((tenant, stream))
    shards = sums.shards
    known = {shard: stored.until for shard, stored in shards.items()}
    consumers = CONSUMERS.get(stream, ())
    text = await services.database.text(
        _MEASURE, tenant, stream, span.since, span.until, span.step, list(known), list(known.values()), list(consumers)
    )
    found = orjson.loads(text)
    streams = {*found["streams"], *CONSUMERS, *services.settings.streams}
    if stream not in streams:
        raise _not_found(streams)
    services.meters.keep((tenant, stream), sums)
    for row in found["stored"]:
        # Of two looks at once, the one that ends second finds the sum moved on, and leaves it.
        stored = shards.setdefault(row["shard"], Stored())
        if row["objects"] and stored.until == known.get(row["shard"], 0):
            _add(stored, row)
    lag = {row["consumer"]: Lag(row["consumer"], row["events"], row["seconds"] or 0.0) for row in found["lag"]}
    return PipelineMetrics(
        stream,
        span,
        Intake(**found["intake"]),
        Sealed(**found["sealed"]),
        sum(stored.objects for stored in shards.values()),
        sum(stored.stored_bytes for stored in shards.values()),
        sum(stored.raw_bytes for stored in shards.values()),
        [lag.get(consumer, Lag(consumer, 0, 0.0)) for consumer in consumers],
        [_point(row) for row in found["points"]],
    )


def _add(stored: Stored, row: dict[str, Any]) -> None:
    stored.until = row["until"]
    stored.objects += row["objects"]
    stored.stored_bytes += row["stored_bytes"]
    stored.raw_bytes += row["raw_bytes"]


def _point(row: dict[str, Any]) -> Point:
    start = datetime.fromtimestamp(math.floor(row.pop("start")), UTC)
    return Point(start, Intake(**row))
