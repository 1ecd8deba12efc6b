"""Changes of alerts as events of the log, from where they are followed and notices are made of them."""

import logging
from enum import StrEnum
from typing import Any, Final

import orjson

from lakefront.actor import system_actor
from lakefront.domain.alerts.alert import AlertState
from lakefront.domain.services import Services
from lakefront.eventlog.events import NewEvent, Outcome

STREAM: Final = "alert-events"


class AlertEventType(StrEnum):
    """What may happen to an alert."""

    FIRED = "alert.fired"
    ACKNOWLEDGED = "alert.acknowledged"
    RESOLVED = "alert.resolved"


EVENT_TYPES: Final = {
    AlertState.FIRING: AlertEventType.FIRED,
    AlertState.ACKNOWLEDGED: AlertEventType.ACKNOWLEDGED,
    AlertState.RESOLVED: AlertEventType.RESOLVED,
}

PAGE: Final = 500
"""Changes in one append."""

_WAITING: Final = """
SELECT c.alert_id, c.version, c.state, c.value, c.changed_at, c.trace_id, a.rule_id, a.metric, a.provider, a.city,
  a.level, a.summary, a.threshold, a.fired_at
FROM lakefront.alert_changes c JOIN lakefront.alerts a USING (tenant_id, alert_id)
WHERE c.tenant_id = $1 AND NOT c.published ORDER BY a.fired_at, c.alert_id, c.version LIMIT $2
"""

_TOLD: Final = """
UPDATE lakefront.alert_changes SET published = true
WHERE tenant_id = $1 AND (alert_id, version) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))
"""

_log = logging.getLogger(__name__)


async def publish(services: Services, tenant: str) -> int:
    """Append what changed since the last time to the stream ``alert-events``; how many events that were.

    An event's id follows from its change: killed in between, or done by two servers at once, it is in the log once, and
    changes of one alert are in their order. Raises ``Unavailable``: then it is done the next time.
    """
    async with services.database.transaction(tenant) as transaction:
        rows = await transaction.fetch(_WAITING, tenant, PAGE)
    if not rows:
        return 0
    verdicts = await services.log.append(system_actor(tenant), STREAM, [_event(row) for row in rows])
    for row, verdict in zip(rows, verdicts, strict=True):
        if verdict.outcome not in {Outcome.ACCEPTED, Outcome.DUPLICATE}:
            _log.error("alert %s version %d is not in the log: %s", row["alert_id"], row["version"], verdict.outcome)
    async with services.database.transaction(tenant) as transaction:
        await transaction.execute(_TOLD, tenant, [row["alert_id"] for row in rows], [row["version"] for row in rows])
    return len(rows)


def told(row: Any) -> dict[str, Any]:
    """A change as JSON, for events and webhooks. Who made it is not told outside."""
    return {
        "alertId": row["alert_id"],
        "city": row["city"],
        "firedAt": row["fired_at"].isoformat(),
        "level": row["level"],
        "metric": row["metric"],
        "provider": row["provider"],
        "ruleId": row["rule_id"],
        "state": row["state"],
        "summary": row["summary"],
        "threshold": row["threshold"],
        "value": row["value"],
        "version": row["version"],
    }


def _event(row: Any) -> NewEvent:
    return NewEvent(
        event_id=f"{row['alert_id']}:{row['version']}",
        event_type=EVENT_TYPES[AlertState(row["state"])],
        partition_key=row["alert_id"],
        occurred_at=row["changed_at"],
        payload=orjson.dumps(told(row), option=orjson.OPT_SORT_KEYS),
        trace_id=row["trace_id"],
        source="alerts",
    )
