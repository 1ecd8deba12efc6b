"""Alerts, what became of them, and their rules."""

from datetime import datetime
from typing import Self

import strawberry
from msgspec import UNSET as LEFT_OUT
from strawberry import UNSET

from lakefront.actor import METRICS_READ
from lakefront.db.query import Source
from lakefront.db.tables import log
from lakefront.db.tables.alerts import alert_changes, alerts
from lakefront.domain import alerts as domain
from lakefront.graphql.alerts.enums import AlertEventType, AlertState, Comparison, Metric
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import Record, column, connection, record, relation
from lakefront.graphql.fields import attribute
from lakefront.graphql.node import Node
from lakefront.graphql.reports import DryRunReport

ALERTS = Source("Alert", alerts, key=("alert_id",), scope=METRICS_READ, order=("fired_at",))
CHANGES = Source(
    "AlertChange",
    alert_changes,
    key=("alert_id", "version"),
    scope=METRICS_READ,
    hidden=frozenset({"published"}),
)
EVENTS = Source(
    "AlertEvent",
    log.events,
    key=("shard", "offset"),
    scope=METRICS_READ,
    order=("occurred_at",),
    only={"stream": domain.STREAM},
    hidden=frozenset({"stream"}),
)


@record(CHANGES)
class AlertChange(Record):
    """What became of an alert: it fired, somebody looks after it, it is over."""

    alert_id: strawberry.ID = column("The alert.")
    version: int = column("Counts the alert's changes, from 1.")
    state: AlertState = column("Where it stands since then.")
    value: float = column("What was measured.")
    changed_at: datetime = column("When that was.")
    changed_by: str = column("Who did it; 'lakefront': the server, by a rule.")
    trace_id: str = column("The trace in which it happened.")


@record(ALERTS)
class Alert(Node):
    """Something that somebody has to look after (C13)."""

    alert_id: strawberry.ID = column("Its name here.")
    dedup_key: str = column("Its name at the pager: told again, it stays one alert.")
    rule_id: strawberry.ID = column("The rule by which it fired.")
    metric: Metric = column("What the rule looks at.")
    provider: strawberry.ID = column("The outside system that it is about.")
    city: strawberry.ID = column("The city of that, by its slug; empty for a system of no city.")
    level: int = column("How bad it is: 1 is worst, then 2 and 3.")
    summary: str = column("What is wrong, in a line.")
    state: AlertState = column("Where it stands.")
    value: float = column("What was measured when it fired; once it is over, then.")
    threshold: float = column("What the rule held it against.")
    fired_at: datetime = column("When it fired.")
    acknowledged_at: datetime | None = column("When somebody said that they look after it.")
    acknowledged_by: str | None = column("Who that was.")
    resolved_at: datetime | None = column("When it was over.")
    resolved_by: str | None = column("By whom; 'lakefront': the server, as all is well again.")
    updated_at: datetime = column("When it was last changed.")
    version: int = column("Grows by 1 with each change.")
    history: Connection[AlertChange] = connection("What became of it, oldest first.", on={"alert_id": "alert_id"})


@record(EVENTS)
class AlertEvent(Node):
    """A change of an alert, as it stands in the log."""

    event_id: strawberry.ID = column("The change: the alert and its version.")
    event_type: AlertEventType = column("What happened.")
    alert_id: strawberry.ID = column("The alert.", name="partition_key")
    occurred_at: datetime = column("When it happened.")
    ingested_at: datetime = column("When it was taken into the log.")
    trace_id: str = column("The trace in which it happened.")
    alert: Alert | None = relation("The alert as it is by now.", on={"partition_key": "alert_id"})


@strawberry.type(description="A rule: when an alert fires.")
class AlertRule:
    """A rule, built in or one's own."""

    rule_id: strawberry.ID = attribute("Its name.")
    metric: Metric = attribute("What it looks at.")
    comparison: Comparison = attribute("How that is held against the threshold.")
    threshold: float = attribute("The threshold, in the metric's unit.")
    unit: str = attribute("The metric's unit.")
    for_seconds: int = attribute("For how long that has to hold before an alert fires.")
    level: int = attribute("How bad it is then: 1 is worst, then 2 and 3.")
    provider: strawberry.ID | None = attribute("The outside system that it is about; null: each of them.")
    enabled: bool = attribute("Whether it is looked at; the alerts of one that is not are over.")
    built_in: bool = attribute("Whether it is there without anybody having made it.")
    version: int = attribute("Grows by 1 with each change; 0: nobody has changed the built-in rule.")
    updated_at: datetime | None = attribute("When it was last changed.")
    updated_by: str | None = attribute("Who changed it last.")

    @classmethod
    def of(cls, rule: domain.Rule) -> Self:
        """The domain's rule."""
        return cls(
            rule_id=strawberry.ID(rule.rule_id),
            metric=rule.metric,
            comparison=rule.comparison,
            threshold=rule.threshold,
            unit=domain.TOLD[rule.metric].unit,
            for_seconds=rule.for_seconds,
            level=rule.level,
            provider=None if rule.provider is None else strawberry.ID(rule.provider),
            enabled=rule.enabled,
            built_in=rule.built_in,
            version=rule.version,
            updated_at=rule.updated_at,
            updated_by=rule.updated_by,
        )


@strawberry.input(
    description="A rule as it is to be. What is left out stays as it is; a new rule needs metric, comparison and "
    "threshold, and fires at once, at level 2, unless it says otherwise."
)
class AlertRuleInput:
    """A rule."""

    rule_id: strawberry.ID = strawberry.field(
        description="Its name: 2 to 64 small letters, digits and hyphens. A built-in rule's changes that."
    )
    metric: Metric | None = strawberry.field(default=UNSET, description="What it looks at.")
    comparison: Comparison | None = strawberry.field(default=UNSET, description="How that is held to the threshold.")
    threshold: float | None = strawberry.field(default=UNSET, description="The threshold, in the metric's unit.")
    for_seconds: int | None = strawberry.field(
        default=UNSET, description="For how long it has to hold before an alert fires; a week at most."
    )
    level: int | None = strawberry.field(default=UNSET, description="How bad it is: 1 is worst, then 2 and 3.")
    provider: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The outside system that it is about; null: each of them."
    )
    enabled: bool | None = strawberry.field(default=UNSET, description="Whether it is looked at.")

    def rule(self) -> domain.RuleInput:
        """As the domain takes it: null, where it means nothing, is as good as left out."""
        named = ("metric", "comparison", "threshold", "for_seconds", "level", "enabled")
        given = {name: getattr(self, name) for name in named if getattr(self, name) not in (UNSET, None)}
        provider = LEFT_OUT if self.provider is UNSET else self.provider
        return domain.RuleInput(rule_id=str(self.rule_id), provider=provider, **given)


@strawberry.type(description="A rule that was made or changed.")
class AlertRulePayload:
    """The rule."""

    rule: AlertRule = strawberry.field(description="The rule; on a dry run as it would be.")
    changed: bool = strawberry.field(description="Whether it was otherwise before.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, done: domain.Changed, *, dry_run: bool) -> Self:
        """What the domain did, or would have done."""
        report = DryRunReport(changes=int(done.changed), quota=0, outside_calls=0)
        return cls(rule=AlertRule.of(done.rule), changed=done.changed, report=report if dry_run else None)


@strawberry.type(description="An alert that somebody looks after.")
class AcknowledgeAlertPayload:
    """The alert."""

    alert: Alert | None = strawberry.field(description="The alert as it is now; null for those who may not see alerts.")
    changed: bool = strawberry.field(description="Whether nobody had said so before.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")
