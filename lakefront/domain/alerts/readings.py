"""What rules look at: read from PostgreSQL, so that all servers see the same, whoever looks."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from secrets import token_hex
from typing import Any, Final, NamedTuple

from lakefront.adapters.endpoint import Key
from lakefront.db.database import Transaction
from lakefront.domain.alerts.rules import Metric
from lakefront.domain.services import Services
from lakefront.errors import Unavailable

_log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """A metric of one integration."""

    metric: Metric
    provider: str
    city: str
    value: float


_READ: Final = """
SELECT 'QUOTA_REMAINING_PERCENT', provider, city, min(greatest(quota - used, 0) * 100.0 / quota)::float8
FROM lakefront.provider_quotas
WHERE tenant_id = $1 AND quota > 0 AND day = (now() AT TIME ZONE 'UTC')::date GROUP BY provider, city
UNION ALL
SELECT metric, provider, city, max(value) FROM lakefront.alert_sightings
WHERE tenant_id = $1 AND seen_at > now() - $2::interval GROUP BY metric, provider, city
UNION ALL
SELECT 'POLLER_LAG_SECONDS', provider, city, extract(epoch FROM now() - min(coalesce(checked_at, filed_at)))::float8
FROM lakefront.service_requests
WHERE tenant_id = $1 AND source = 'lakefront' AND state IN ('OPEN', 'IN_PROGRESS')
  AND filed_at IS NOT NULL GROUP BY provider, city
UNION ALL
SELECT 'UNCERTAIN_REQUESTS', provider, city, count(*)::float8 FROM lakefront.service_requests
WHERE tenant_id = $1 AND source = 'lakefront' AND state = 'UNCERTAIN' GROUP BY provider, city
UNION ALL
SELECT 'DEAD_LETTERS', provider, city, count(*)::float8 FROM lakefront.dead_letters
WHERE tenant_id = $1 AND state = 'WAITING' GROUP BY provider, city
UNION ALL
SELECT 'OUTBOX_WAITING_SECONDS', provider, city, extract(epoch FROM now() - min(created_at))::float8
FROM lakefront.outbox WHERE tenant_id = $1 AND due_at IS NOT NULL AND due_at < now() GROUP BY provider, city
"""


async def read(transaction: Transaction, tenant: str, *, fresh: timedelta) -> list[Reading]:
    """All that is measured of the tenant now; of what single servers see, what they saw within ``fresh``.

    Where there is nothing to be measured (no request is open, no letter waits) there is no reading.
    """
    known = frozenset(Metric)
    rows = await transaction.fetch(_READ, tenant, fresh)
    return [Reading(Metric(metric), *rest) for metric, *rest in rows if metric in known]


_SEEN: Final = """
INSERT INTO lakefront.alert_sightings (tenant_id, metric, provider, city, replica, value, seen_at)
SELECT $1, metric, provider, city, $2, value, now()
FROM unnest($3::text[], $4::text[], $5::text[], $6::float8[]) AS seen (metric, provider, city, value)
ON CONFLICT (tenant_id, metric, provider, city, replica)
DO UPDATE SET value = EXCLUDED.value, seen_at = EXCLUDED.seen_at
"""

_GONE: Final = """
DELETE FROM lakefront.alert_sightings WHERE tenant_id = $1 AND (seen_at < now() - interval '1 hour'
  OR replica = $2 AND (metric, provider, city) NOT IN
    (SELECT metric, provider, city FROM unnest($3::text[], $4::text[], $5::text[]) AS seen (metric, provider, city)))
"""


class Sightings:
    """What this server alone sees, told to the others: breakers that are not closed, credentials that were refused.

    They are local, as what fails from here may be well from there. An alert is about all servers: it is over when none
    of them sees it any more.
    """

    def __init__(self, services: Services, *, replica: str | None = None) -> None:
        """``replica``: what tells this server from the others; made up unless given."""
        self._services = services
        self._replica = replica or token_hex(8)
        self._told: set[str] = set()

    async def tell(self) -> None:
        """Write what is seen now in place of what was. Raises ``Unavailable``: then it is told the next time."""
        seen = {tenant: list(found) for tenant, found in groupby(sorted(self._seen()), key=itemgetter(0))}
        for tenant in sorted(self._told | seen.keys()):
            try:
                await self._tell(tenant, [(key, one) for _, key, one in seen.get(tenant, ())])
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001 - one tenant's must not keep the others' from being told
                _log.exception("what this server sees of tenant=%s could not be told", tenant)

    async def _tell(self, tenant: str, seen: list[tuple["_Version", Reading]]) -> None:
        self._told.add(tenant)
        if await self._write(tenant, [one for key, one in seen if await self._holds(key)]) == 0:
            self._told.discard(tenant)

    async def close(self) -> None:
        """This server sees nothing any more."""
        for tenant in sorted(self._told):
            try:
                await self._write(tenant, [])
            except Unavailable:
                _log.info("what this server saw was not taken back: it counts for nothing in a while")
                return

    def _seen(self) -> Iterable[tuple[str, "_Version", Reading]]:
        for state in self._services.calls.breakers():
            tenant, provider, city = state.key
            found = Reading(Metric.BREAKER_OPEN_SECONDS, provider, city, state.open_seconds)
            yield tenant, _Version(state.key, state.version), found
        for denied in self._services.calls.denied():
            tenant, provider, city = denied.key
            found = Reading(Metric.CREDENTIALS_REFUSED, provider, city, float(denied.times))
            yield tenant, _Version(denied.key, denied.version), found

    async def _holds(self, seen: "_Version") -> bool:
        """Whether the integration is still as it was: one that was disabled or changed begins anew.

        A registered webhook is none: a receiver that does not answer is its owner's affair, and shows as dead letters.
        """
        found = await self._services.endpoints.find(*seen.key)
        return found is not None and found.version == seen.version

    async def _write(self, tenant: str, readings: list[Reading]) -> int:
        columns: list[list[Any]] = [list(column) for column in zip(*readings, strict=True)] or [[], [], [], []]
        metrics, providers, cities, values = columns
        async with self._services.database.transaction(tenant) as transaction:
            await transaction.execute(_GONE, tenant, self._replica, metrics, providers, cities)
            if readings:
                await transaction.execute(_SEEN, tenant, self._replica, metrics, providers, cities, values)
        return len(readings)


class _Version(NamedTuple):
    key: Key
    version: int
