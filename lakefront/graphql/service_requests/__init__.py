"""Service requests: what can be asked about them, done about them, and followed (C15)."""

import strawberry

from lakefront.actor import SERVICE_REQUESTS_READ
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import connection, lookup, stats
from lakefront.graphql.service_requests.live import Subscription
from lakefront.graphql.service_requests.manage import Mutation
from lakefront.graphql.service_requests.types import ServiceRequest, ServiceRequestChange

__all__ = ["Mutation", "Query", "ServiceRequest", "ServiceRequestChange", "Subscription"]


@strawberry.type
class Query:
    """What can be asked about service requests."""

    service_request: ServiceRequest | None = lookup(
        "The service request with that id; null when there is none, or none that you may see.",
        by={"requestId": "The request's id."},
        requires=SERVICE_REQUESTS_READ,
    )
    service_requests: Connection[ServiceRequest] = connection(
        "Service requests, the oldest first unless asked otherwise. A citizen's are their own.",
        requires=SERVICE_REQUESTS_READ,
    )
    service_request_stats = stats(
        ServiceRequest, "Counts and more over groups of service requests.", requires=SERVICE_REQUESTS_READ
    )
