"""An alert: from its firing, over somebody who looks after it, to its end. Every change of it is written here."""

from base64 import b32encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from secrets import token_bytes
from typing import Any, Final
from uuid import UUID, uuid5

from lakefront import tracing
from lakefront.db.database import Transaction
from lakefront.domain import outbox
from lakefront.domain.alerts.readings import Reading
from lakefront.domain.alerts.rules import TOLD, Metric, Rule

EVALUATOR: Final = "lakefront"
"""Who fires and resolves: the server itself."""

PAGE: Final = "alert.page"
TELL: Final = "alert.tell"
"""Kinds of jobs of the outbox: whoever is on call is paged, the tenant's own server is told."""

CARRIERS: Final = {PAGE: "pagerduty", TELL: "webhook"}
"""By which provider a job of the kind goes out, where the tenant has that integration."""

_JOBS: Final = UUID("5a6cb0b6-51a5-4c0e-9c57-5f3a7c1f0a38")
"""Of the names of jobs: the same change is told once, however often it is enqueued."""


class AlertState(StrEnum):
    """Where an alert stands."""

    FIRING = "FIRING"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of ``alerts``."""

    alert_id: str
    dedup_key: str
    rule_id: str
    metric: Metric
    provider: str
    city: str
    level: int
    summary: str
    state: AlertState
    value: float
    threshold: float
    fired_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    updated_at: datetime
    version: int


_FIND: Final = "SELECT * FROM lakefront.alerts WHERE tenant_id = $1 AND alert_id = $2 FOR UPDATE"
_OPEN: Final = "SELECT * FROM lakefront.alerts WHERE tenant_id = $1 AND state <> 'RESOLVED'"

_FIRE: Final = """
INSERT INTO lakefront.alerts (tenant_id, alert_id, dedup_key, rule_id, metric, provider, city, level, summary, state,
  value, threshold, fired_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'FIRING', $10, $11, now(), now(), 1)
ON CONFLICT (tenant_id, rule_id, provider, city) WHERE state <> 'RESOLVED' DO NOTHING RETURNING *
"""

_ACKNOWLEDGE: Final = """
UPDATE lakefront.alerts SET state = 'ACKNOWLEDGED', acknowledged_at = now(), acknowledged_by = $3, updated_at = now(),
  version = version + 1
WHERE tenant_id = $1 AND alert_id = $2 AND state = 'FIRING' RETURNING *
"""

_RESOLVE: Final = """
UPDATE lakefront.alerts SET state = 'RESOLVED', resolved_at = now(), resolved_by = $3, value = $4, updated_at = now(),
  version = version + 1
WHERE tenant_id = $1 AND alert_id = $2 AND state <> 'RESOLVED' RETURNING *
"""

_NOTE: Final = """
INSERT INTO lakefront.alert_changes (tenant_id, alert_id, version, state, value, changed_at, changed_by, trace_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


def summary(rule: Rule, reading: Reading) -> str:
    """What an alert says, in a line; nothing personal is in metrics."""
    where = f"{reading.provider} of {reading.city}" if reading.city else reading.provider
    return TOLD[rule.metric].summary.format(value=f"{reading.value:.0f}", where=where or "an outside system")


async def find(transaction: Transaction, tenant: str, alert_id: str) -> Alert | None:
    """The alert, None if there is none; nobody else changes it while the transaction lasts."""
    if "\0" in alert_id:
        return None
    rows = await transaction.fetch(_FIND, tenant, alert_id)
    return _alert(rows[0]) if rows else None


async def unresolved(transaction: Transaction, tenant: str) -> list[Alert]:
    """The tenant's alerts that are not over."""
    return [_alert(row) for row in await transaction.fetch(_OPEN, tenant)]


async def fire(
    transaction: Transaction, tenant: str, rule: Rule, reading: Reading, carriers: Collection[str]
) -> Alert | None:
    """A new alert; None where one of that rule, provider and city is open."""
    alert_id = f"al-{b32encode(token_bytes(12)).decode().lower().rstrip('=')}"
    rows = await transaction.fetch(
        _FIRE,
        *(tenant, alert_id, f"lakefront/{tenant}/{alert_id}", rule.rule_id, rule.metric, reading.provider),
        *(reading.city, rule.level, summary(rule, reading), reading.value, rule.threshold),
    )
    return await _changed(transaction, tenant, rows, EVALUATOR, carriers, tracing.new_trace_id())


async def acknowledge(
    transaction: Transaction, tenant: str, alert_id: str, by: str, carriers: Collection[str], trace_id: str
) -> Alert | None:
    """Somebody looks after it; None where it does not fire."""
    rows = await transaction.fetch(_ACKNOWLEDGE, tenant, alert_id, by)
    return await _changed(transaction, tenant, rows, by, carriers, trace_id)


async def resolve(
    transaction: Transaction, tenant: str, alert: Alert, value: float | None, carriers: Collection[str]
) -> Alert | None:
    """It is over, with the ``value`` that says so, if there is one; None where it was over before."""
    rows = await transaction.fetch(_RESOLVE, tenant, alert.alert_id, EVALUATOR, alert.value if value is None else value)
    return await _changed(transaction, tenant, rows, EVALUATOR, carriers, tracing.new_trace_id())


async def _changed(
    transaction: Transaction, tenant: str, rows: list[Any], by: str, carriers: Collection[str], trace_id: str
) -> Alert | None:
    """Write who made the change, and the jobs that tell the outside of it: all of it is there, or nothing (C2)."""
    if not rows:
        return None
    alert = _alert(rows[0])
    await transaction.execute(
        _NOTE, tenant, alert.alert_id, alert.version, alert.state, alert.value, alert.updated_at, by, trace_id
    )
    for kind, provider in CARRIERS.items():
        # Who is in trouble is not asked to tell of it.
        if provider in carriers and provider != alert.provider:
            job = outbox.NewJob(
                kind=kind,
                key=f"{kind}:{alert.alert_id}",
                provider=provider,
                city="",
                payload={"alertId": alert.alert_id, "version": alert.version},
                trace_id=trace_id,
                job_id=uuid5(_JOBS, f"{tenant}/{kind}/{alert.alert_id}/{alert.version}"),
            )
            await outbox.enqueue(transaction, tenant, job)
    return alert


def _alert(row: Any) -> Alert:
    values = {name: row[name] for name in Alert.__slots__}
    return Alert(**{**values, "metric": Metric(row["metric"]), "state": AlertState(row["state"])})
