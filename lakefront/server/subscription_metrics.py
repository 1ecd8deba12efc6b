"""What ``/metrics`` tells of subscriptions: how many there are, how much of their work is shared, how sockets end."""

from lakefront.graphql.subscriptions import Subscriptions
from lakefront.server.graphql_ws import GraphQLSocket
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
    lagged = "Subscriptions that ended with LAGGED: their clients took less than came."
    metrics.counter("lakefront_subscriptions_lagged", lagged, lambda: live.lagged)


def show_sockets(metrics: Metrics, socket: GraphQLSocket) -> None:
    """Show how many WebSockets of ``socket`` there are, and how the others ended."""
    metrics.gauge("lakefront_websockets", "WebSockets that are open.", lambda: socket.open)
    closed = "WebSockets that closed, by the code that either side gave; 1005: none."
    metrics.counters("lakefront_websocket_closes", closed, "code", lambda: socket.closes)
