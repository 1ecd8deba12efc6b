"""Alerts: their rules, what fires, and what became of it (C13); what is left of providers' days (C11)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)

from lakefront.db.tables.base import metadata, tenant, timestamp

_FINITE = "BETWEEN -1e300 AND 1e300"
_STATES = "state IN ('FIRING', 'ACKNOWLEDGED', 'RESOLVED')"

alert_rules = Table(
    "alert_rules",
    metadata,
    *tenant(),
    Column("rule_id", Text, primary_key=True),
    Column("metric", Text, nullable=False),
    Column("comparison", Text, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("for_seconds", Integer, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("provider", Text),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("comparison IN ('LT', 'LTE', 'GT', 'GTE')"),
    CheckConstraint(f"threshold {_FINITE}"),
    CheckConstraint("for_seconds >= 0"),
    CheckConstraint("level BETWEEN 1 AND 3"),
)
"""A tenant's own rules, and what it changed of the built-in ones, which need no row. ``provider`` NULL: of all."""

alerts = Table(
    "alerts",
    metadata,
    *tenant(),
    Column("alert_id", Text, primary_key=True),
    Column("dedup_key", Text, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    timestamp("fired_at", nullable=False),
    timestamp("acknowledged_at"),
    Column("acknowledged_by", Text),
    timestamp("resolved_at"),
    Column("resolved_by", Text),
    timestamp("updated_at", nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("level BETWEEN 1 AND 3"),
    CheckConstraint(_STATES),
    CheckConstraint(f"value {_FINITE}"),
    CheckConstraint(f"threshold {_FINITE}"),
    CheckConstraint("(state = 'RESOLVED') = (resolved_at IS NOT NULL)"),
)
"""One row an alert, from its firing to its end; ``dedup_key`` names it outside. Of one rule, provider and city one is
open at a time, by a unique index. Nothing personal and no credential is in it."""

Index(
    "alerts_open",
    *(alerts.c[name] for name in ("tenant_id", "rule_id", "provider", "city")),
    unique=True,
    postgresql_where=text("state <> 'RESOLVED'"),
)
Index("alerts_fired", alerts.c.tenant_id, alerts.c.fired_at, alerts.c.alert_id)

alert_changes = Table(
    "alert_changes",
    metadata,
    *tenant(),
    Column("alert_id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("value", Double, nullable=False),
    timestamp("changed_at", nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("published", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(_STATES),
    CheckConstraint(f"value {_FINITE}"),
)
"""What became of alerts, a row a version; ``published``: it is in the log."""

Index(
    "alert_changes_unpublished",
    alert_changes.c.tenant_id,
    alert_changes.c.changed_at,
    postgresql_where=text("NOT published"),
)

alert_turns = Table(
    "alert_turns",
    metadata,
    *tenant(),
    Column("rule_id", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    timestamp("since", nullable=False),
)
"""Since when it is other than the alert says: bad and none open, or well and one open. What lasts becomes a change."""

alert_sightings = Table(
    "alert_sightings",
    metadata,
    *tenant(),
    Column("metric", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    Column("replica", Text, primary_key=True),
    Column("value", Double, nullable=False),
    timestamp("seen_at", nullable=False),
    CheckConstraint(f"value {_FINITE}"),
)
"""What single servers see and the others cannot: an open breaker, a refused credential. Old ones count for nothing."""

provider_quotas = Table(
    "provider_quotas",
    metadata,
    *tenant(),
    Column("provider", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("quota", BigInteger, nullable=False),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    CheckConstraint("used >= 0"),
    CheckConstraint("quota >= 0"),
)
"""Calls of a UTC day that servers made, or took in advance; ``lane`` is one of several keys."""
