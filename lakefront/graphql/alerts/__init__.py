"""Alerts: what fires, by which rules, and who looks after it."""

import strawberry

from lakefront.actor import METRICS_READ
from lakefront.domain import alerts as domain
from lakefront.graphql.alerts.live import Subscription
from lakefront.graphql.alerts.manage import Mutation
from lakefront.graphql.alerts.types import ALERTS, CHANGES, EVENTS, Alert, AlertRule
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare import connection, lookup
from lakefront.graphql.fields import field

__all__ = ["ALERTS", "CHANGES", "EVENTS", "Alert", "AlertRule", "Mutation", "Query", "Subscription"]


@strawberry.type
class Query:
    """What can be asked about alerts."""

    alert: Alert | None = lookup(
        "The alert of that name; null when there is none.",
        by={"alertId": "The alert's name."},
        requires=METRICS_READ,
    )
    alerts: Connection[Alert] = connection(
        "Alerts, those that fired first at the head unless asked otherwise.", requires=METRICS_READ
    )

    @field("The rules by which alerts fire, built-in ones first.", requires=METRICS_READ)
    async def alert_rules(self, info: Info) -> list[AlertRule]:
        """The one use-case."""
        found = await domain.rules(info.context.services, info.context.actor)
        return [AlertRule.of(rule) for rule in found]
