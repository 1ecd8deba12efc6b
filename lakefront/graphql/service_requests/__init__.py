"""Service requests: what can be asked about them, done about them, and followed (C15)."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import SERVICE_REQUESTS_READ
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare import connection, lookup, stats
from lakefront.graphql.declare.arguments import page_request
from lakefront.graphql.declare.filters import read_meters
from lakefront.graphql.declare.resolvers import connect
from lakefront.graphql.fields import field, given
from lakefront.graphql.outside import PointInput
from lakefront.graphql.service_requests.live import Subscription
from lakefront.graphql.service_requests.manage import Mutation
from lakefront.graphql.service_requests.types import ServiceRequest, ServiceRequestChange

FAR = 500.0
"""Metres around a point, unless somebody says how many."""

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

    @field(
        "Service requests around a point, the oldest first: serviceRequests with that filter, by a shorter name.",
        requires=SERVICE_REQUESTS_READ,
    )
    async def nearby(
        self,
        info: Info,
        point: Annotated[PointInput, strawberry.argument(description="The middle.")],
        meters: Annotated[
            float | None,
            strawberry.argument(description="How far away they may be: 500 unless given, at most 100,000."),
        ] = UNSET,
        first: Annotated[
            int | None, strawberry.argument(description="Rows from the start of the range: 20 unless given.")
        ] = UNSET,
        after: Annotated[str | None, strawberry.argument(description="Only rows after this cursor.")] = UNSET,
        last: Annotated[
            int | None, strawberry.argument(description="Rows from the end of the range, instead of first.")
        ] = UNSET,
        before: Annotated[str | None, strawberry.argument(description="Only rows before this cursor.")] = UNSET,
    ) -> Connection[ServiceRequest]:
        """The pages of the filter that it stands for."""
        middle = point.point()
        near = {
            "latitude": middle.latitude,
            "longitude": middle.longitude,
            "meters": read_meters(given(meters), FAR),
        }
        pages = {"first": given(first), "after": given(after), "last": given(last), "before": given(before)}
        request = page_request(ServiceRequest, {**pages, "filter": {"location": {"near": near}}})
        return connect(info.context.loaders, ServiceRequest, request)
