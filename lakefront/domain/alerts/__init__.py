"""Alerts (C13): rules over what is measured, what fires, and who is told.

``Evaluator`` looks at the rules; what turns is written with the outbox jobs that page (C2) and becomes an event of the
stream ``alert-events``. ADR 38 says why.
"""

from lakefront.domain.alerts.acknowledge import Acknowledged, acknowledge
from lakefront.domain.alerts.alert import Alert, AlertState
from lakefront.domain.alerts.counts import open_by_level
from lakefront.domain.alerts.deliver import HANDLERS
from lakefront.domain.alerts.evaluate import Evaluator
from lakefront.domain.alerts.publish import EVENT_TYPES, STREAM, AlertEventType, publish
from lakefront.domain.alerts.readings import Sightings
from lakefront.domain.alerts.rules import TOLD, Comparison, Metric, Rule, RuleInput
from lakefront.domain.alerts.stored_rules import Changed, rules, upsert

__all__ = [
    "EVENT_TYPES",
    "HANDLERS",
    "STREAM",
    "TOLD",
    "Acknowledged",
    "Alert",
    "AlertEventType",
    "AlertState",
    "Changed",
    "Comparison",
    "Evaluator",
    "Metric",
    "Rule",
    "RuleInput",
    "Sightings",
    "acknowledge",
    "open_by_level",
    "publish",
    "rules",
    "upsert",
]
