"""The domain's enums as GraphQL's: take them from here, so that they are described before any type uses them."""

from lakefront.domain.alerts import AlertEventType, AlertState, Comparison, Metric
from lakefront.graphql.declare import described

__all__ = ["AlertEventType", "AlertState", "Comparison", "Metric"]

described(
    AlertState,
    "Where an alert stands.",
    {
        AlertState.FIRING: "Something is wrong, and nobody has said that they look after it.",
        AlertState.ACKNOWLEDGED: "Something is wrong, and somebody looks after it.",
        AlertState.RESOLVED: "It is well again.",
    },
)

described(
    AlertEventType,
    "What may happen to an alert.",
    {
        AlertEventType.FIRED: "It fired.",
        AlertEventType.ACKNOWLEDGED: "Somebody said that they look after it.",
        AlertEventType.RESOLVED: "It is well again.",
    },
)

described(
    Comparison,
    "How a number is held against a threshold: where it holds, something is wrong.",
    {
        Comparison.LT: "Less than.",
        Comparison.LTE: "Less than or equal.",
        Comparison.GT: "Greater than.",
        Comparison.GTE: "Greater than or equal.",
    },
    name="AlertComparison",
)

described(
    Metric,
    "What a rule looks at: a number for each outside system and city.",
    {
        Metric.QUOTA_REMAINING_PERCENT: "Percent of today's quota (UTC) that no server has used or taken in advance.",
        Metric.BREAKER_OPEN_SECONDS: "Seconds for which a breaker has been open, on the server where that is longest.",
        Metric.CREDENTIALS_REFUSED: "How often in a row our credentials were refused (401, 403).",
        Metric.POLLER_LAG_SECONDS: "Seconds since the open service request was asked after that waits longest.",
        Metric.UNCERTAIN_REQUESTS: "Service requests that may or may not have been filed: a person has to look.",
        Metric.DEAD_LETTERS: "Dead letters that wait.",
        Metric.OUTBOX_WAITING_SECONDS: "Seconds for which the oldest job has waited that is due.",
    },
    name="AlertMetric",
)
