"""Asks cities where requests stand (C3): each about once an hour, a provider's one after the other, 300 ms apart.

What was asked is in the rows (``checked_at``): whoever takes over goes on with whichever was asked longest ago. One
server does it for all, a slice at a time.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from lakefront import tracing
from lakefront.adapters.base311 import Base311Adapter
from lakefront.adapters.service_requests import ServiceRequestDTO
from lakefront.db.database import Transaction
from lakefront.domain.service_requests.changes import Doing, change
from lakefront.domain.service_requests.filing import adapter_of, news
from lakefront.domain.service_requests.reading import read_one
from lakefront.domain.service_requests.request import ServiceRequest
from lakefront.domain.service_requests.states import Cause
from lakefront.domain.services import Services
from lakefront.errors import (
    LakefrontError,
    NotConfigured,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamDenied,
    UpstreamRejected,
    ValidationError,
    loggable,
)
from lakefront.eventlog.lake.locks import Locks
from lakefront.eventlog.pace import Rests

LOCK: Final = "service requests' poller"

SLICE: Final = 100
"""Requests of one provider and city that are asked after before others get their turn, and the lock may go."""

SLICE_SECONDS: Final = 60.0
LOOK: Final = 15.0
"""Seconds between looks for requests that are due."""

IN_A_ROW: Final = 3
"""Failures after which a provider is left alone for a while: one request that fails may be to blame itself."""

FAILED: Final = 600.0
"""Seconds for which a request is left alone whose question failed."""

DAY: Final = 86_400.0
KEPT: Final = timedelta(days=30)
"""How long it is known who reported a request that its city has not taken."""

FOLLOWED: Final = timedelta(days=365)
"""How long, from its report on, it is known who asked to be told of a request, should it not end before."""

_OPEN: Final = (
    "FROM lakefront.service_requests WHERE source = 'lakefront' AND state IN ('OPEN', 'IN_PROGRESS') "
    "AND filed_at IS NOT NULL"
)
_LINES: Final = f"""
SELECT coalesce(json_agg(json_build_array(provider, city, tenant_id, lag, due)
  ORDER BY provider, city, tenant_id), '[]')
FROM (SELECT provider, city, tenant_id, count(*) FILTER (WHERE coalesce(checked_at, filed_at) <= now() - $1::interval)
  AS due, extract(epoch FROM now() - min(coalesce(checked_at, filed_at)))::float8 AS lag
  {_OPEN} GROUP BY provider, city, tenant_id) q
"""  # noqa: S608 - texts of our own
_DUE: Final = f"""
SELECT request_id {_OPEN} AND tenant_id = $1 AND provider = $2 AND city = $3
  AND (checked_at IS NULL OR checked_at <= now() - $4::interval) AND request_id <> ALL($5::text[])
ORDER BY checked_at NULLS FIRST, request_id LIMIT $6
"""
_CHECKED: Final = """
UPDATE lakefront.service_requests SET checked_at = greatest(checked_at, $3), told_at = greatest(told_at, $4)
WHERE tenant_id = $1 AND request_id = $2
"""
_OLD_CALLERS: Final = """
SELECT coalesce(json_agg(DISTINCT tenant_id), '[]') FROM lakefront.service_request_callers
WHERE created_at < now() - $1::interval
"""
_FORGET: Final = """
DELETE FROM lakefront.service_request_callers c WHERE tenant_id = $1 AND created_at < now() - $2::interval
  AND NOT (notify AND created_at >= now() - $3::interval AND EXISTS (
    SELECT FROM lakefront.service_requests r
    WHERE r.tenant_id = $1 AND r.request_id = c.request_id AND r.filed_at IS NOT NULL))
"""

_log = logging.getLogger("lakefront.integrations")


class Line(NamedTuple):
    """A tenant's open requests with one provider of one city.

    ``lag``: seconds since that was asked after which waits longest; ``due``: how many are to be asked after.
    """

    provider: str
    city: str
    tenant: str
    lag: float
    due: int


class Poller:
    """Every server has one; the one that gets the lock asks. All know how far it is behind."""

    def __init__(self, services: Services, locks: Locks, *, interval: float, pause: float, look: float = LOOK) -> None:
        """``interval``: seconds between two questions after a request; ``pause``: between two calls of a provider."""
        self._services = services
        self._locks = locks
        self._interval = timedelta(seconds=interval)
        self._pause = pause
        self._look = look
        self._resting = Rests(look, interval)
        self._failed: dict[str, float] = {}
        self._callers_at = float("-inf")

    async def run(self) -> None:
        """Poll for ever; what fails is asked again, and holds up its own provider alone."""
        while True:
            more = False
            try:
                more = await self.step()
            except Unavailable:
                _log.info("service requests are not polled: PostgreSQL is away")
            except Exception:  # noqa: BLE001 - the worker must outlive it
                _log.exception("polling service requests failed")
            if not more:
                await asyncio.sleep(self._look)

    async def step(self) -> bool:
        """Ask after a slice of what is due, unless another server is at it; whether there may be more."""
        lines = await self._lines()
        lags: dict[str, float] = {}
        for line in lines:
            lags[line.provider] = max(lags.get(line.provider, 0.0), line.lag)
        self._services.meters.poller_lag = lags
        due = [line for line in lines if line.due and not self._resting.has(_name(line))]
        async with self._locks.hold(LOCK) as held:
            if not held:
                return False
            await self._forget_callers()
            chains = [list(chain) for _, chain in groupby(due, key=attrgetter("provider", "city"))]
            asked = await asyncio.gather(*(self._chain(chain) for chain in chains))
        return any(asked)

    async def _lines(self) -> list[Line]:
        return msgspec.json.decode(await self._services.provisioner.text(_LINES, self._interval), type=list[Line])

    async def _chain(self, lines: Iterable[Line]) -> bool:
        """A slice of the requests of one provider and city, whoever's; whether there may be more."""
        until, more = time.monotonic() + SLICE_SECONDS, False
        for line in lines:
            try:
                more |= await self._ask_after(line, until)
                self._resting.end(_name(line))
            except Exception as away:  # noqa: BLE001 - whatever it is, it holds up no other line
                told = loggable(away)
                _log.warning("requests are not polled integration.provider=%s city=%s: %s", *line[:2], told)
                self._resting.begin(_name(line))
        return more

    async def _ask_after(self, line: Line, until: float) -> bool:
        """A slice of a line's; whether all of it was asked. Raises what stops all of the provider's questions."""
        adapter = await adapter_of(self._services, line.tenant, line.provider, line.city)
        due = await self._due(line)
        failures = 0
        for request_id in due:
            if time.monotonic() > until:
                return True
            try:
                await self._ask(adapter, line.tenant, request_id)
                failures = 0
            except (NotConfigured, UpstreamDenied, RateLimited, Unavailable):
                raise
            except Exception as failed:  # whatever it is, it holds up no other request
                _log.warning("a request was not polled integration.provider=%s: %s", line.provider, loggable(failed))
                self._failed[request_id] = time.monotonic() + FAILED
                failures += 1
                if failures >= IN_A_ROW:
                    raise Unavailable(f"{failures} questions in a row failed") from failed
            await asyncio.sleep(self._pause)
        return len(due) == SLICE

    async def _due(self, line: Line) -> list[str]:
        """Ids of those that were asked after longest ago, but for those that just failed."""
        now = time.monotonic()
        self._failed = {request_id: until for request_id, until in self._failed.items() if until > now}
        async with self._services.database.transaction(line.tenant) as transaction:
            rows = await transaction.fetch(
                _DUE, line.tenant, line.provider, line.city, self._interval, list(self._failed), SLICE
            )
        return [row["request_id"] for row in rows]

    async def _ask(self, adapter: Base311Adapter, tenant: str, request_id: str) -> None:
        """Ask after one request, and write what is new of it. Raises what asking it again may mend."""
        trace_id = tracing.new_trace_id()
        async with self._services.database.transaction(tenant) as transaction:
            request = await read_one(transaction, tenant, request_id)
        if request is None:
            return
        told: ServiceRequestDTO | LakefrontError | None
        try:
            told = await _told(adapter, request, trace_id)
        except (NotFound, UpstreamRejected, ValidationError) as unknown:
            told = unknown
        self._services.meters.polled[request.provider] += 1
        async with self._services.database.transaction(tenant) as transaction:
            request = await read_one(transaction, tenant, request_id, lock=True)
            if request is not None:
                await _write(transaction, tenant, request, told, trace_id)

    async def _forget_callers(self) -> None:
        """Forget who reported what was never filed, or does not end, once a day."""
        if time.monotonic() < self._callers_at:
            return
        found = await self._services.provisioner.text(_OLD_CALLERS, KEPT)
        for tenant in msgspec.json.decode(found, type=list[str]):
            async with self._services.database.transaction(tenant) as transaction:
                await transaction.execute(_FORGET, tenant, KEPT, FOLLOWED)
        self._callers_at = time.monotonic() + DAY


async def _told(adapter: Base311Adapter, request: ServiceRequest, trace_id: str) -> ServiceRequestDTO | None:
    """What the city tells of the request; None where it has no number for it, yet or ever."""
    external_id = request.external_id
    if external_id is None and request.external_token is not None:
        external_id = await adapter.identify(request.external_token, trace_id=trace_id)
    if external_id is None:
        return None
    told = await adapter.status(external_id, trace_id=trace_id)
    return told.model_copy(update={"external_id": external_id})


async def _write(
    transaction: Transaction,
    tenant: str,
    request: ServiceRequest,
    told: ServiceRequestDTO | LakefrontError | None,
    trace_id: str,
) -> None:
    now = datetime.now(UTC)
    values: dict[str, Any]
    match told:
        case ServiceRequestDTO():
            values = news(request, told) | {"external_id": told.external_id}
        case LakefrontError():
            values = {"error_code": told.code, "error_message": told.message, "checked_at": now}
        case None:
            values = {"checked_at": now}
    if await change(transaction, tenant, request, values, Doing(Cause.CITY, trace_id)) is request:
        await transaction.execute(_CHECKED, tenant, request.request_id, now, values.get("told_at"))


def _name(line: Line) -> str:
    return f"{line.tenant}|{line.provider}|{line.city}"
