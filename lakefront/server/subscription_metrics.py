"""What ``/metrics`` tells of subscriptions: how many there are, and how much of their work is shared."""

from lakefront.graphql.subscriptions import Subscriptions
from lakefront.server.metrics import Metrics


def show_subscriptions(metrics: Metrics, live: Subscriptions) -> None:
    """Show the gauges and counters of ``live``."""
    groups = live.groups
    metrics.gauge("lakefront_subscriptions", "Subscriptions that run.", lambda: live.running)
    metrics.gauge("lakefront_subscription_groups", "Groups of equal subscriptions.", lambda: groups.count)
    metrics.gauge(
        "lakefront_subscription_members", "Subscriptions that take what a group tells.", lambda: groups.listening
    )
    executed = "Events that were executed for subscriptions, each once for a whole group."
    metrics.counter("lakefront_subscription_executions", executed, lambda: live.executed)
    delivered = "Answers to subscribers, each counted for each of them."
    metrics.counter("lakefront_subscription_deliveries", delivered, lambda: live.delivered + groups.delivered)
