"""The subscription to what becomes of service requests."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import SERVICE_REQUESTS_READ
from lakefront.db.database import Row
from lakefront.domain import reads
from lakefront.domain.following import Arrival, once_back
from lakefront.domain.service_requests import follow as domain
from lakefront.domain.service_requests.sources import CHANGES, SERVICE_REQUESTS
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.selection import selected
from lakefront.graphql.fields import given, subscription
from lakefront.graphql.following import After, Heartbeat, together
from lakefront.graphql.service_requests.enums import EventType, State
from lakefront.graphql.service_requests.types import ServiceRequest, ServiceRequestChange


@strawberry.input(description="Which changes to follow; what is left out does not restrict.")
class ServiceRequestSubscriptionFilter:
    """A subscription's filter."""

    request_ids: list[strawberry.ID] | None = strawberry.field(description="Only of these requests.", default=UNSET)
    event_types: list[EventType] | None = strawberry.field(description="Only of these kinds.", default=UNSET)
    states: list[State] | None = strawberry.field(
        description="Only of requests that stand so when the change arrives.", default=UNSET
    )
    complaint_types: list[str] | None = strawberry.field(description="Only of requests about these.", default=UNSET)
    boroughs: list[str] | None = strawberry.field(description="Only of requests in these boroughs.", default=UNSET)
    cities: list[str] | None = strawberry.field(description="Only of these cities, by their slugs.", default=UNSET)


@strawberry.type(description="A change as it arrives, or a sign of life.")
class ServiceRequestDelivery:
    """One message of the subscription."""

    cursor: str = strawberry.field(description="Subscribe again with after: cursor to go on after this message.")
    event: ServiceRequestChange | None = strawberry.field(description="The change; null on a heartbeat.")
    service_request: ServiceRequest | None = strawberry.field(
        description="The request, this change included; null on a heartbeat."
    )
    coming: strawberry.Private[Collection["ServiceRequestDelivery"]] = ()


@strawberry.type
class Subscription:
    """What can be followed about service requests."""

    @subscription(
        "What becomes of service requests, as it does, resumable without a gap or a double (X1). A citizen hears of "
        "their own. Ends with LAGGED or CURSOR_EXPIRED, whose extensions hold the cursor to go on from.",
        requires=SERVICE_REQUESTS_READ,
    )
    async def service_request_changed(
        self,
        info: Info,
        wanted: Annotated[
            ServiceRequestSubscriptionFilter | None,
            strawberry.argument(name="filter", description="Which changes; all when left out."),
        ] = UNSET,
        after: After = UNSET,
        heartbeat: Heartbeat = UNSET,
    ) -> AsyncIterator[ServiceRequestDelivery]:
        """Replay, then live."""
        names = selected(info.selected_fields)
        start = info.context.following.start(given(after), given(heartbeat))
        services, actor = info.context.services, info.context.actor
        pages = domain.follow(
            *(services, actor, SERVICE_REQUESTS, _wanted(wanted), start), with_request="serviceRequest" in names
        )
        async with aclosing(pages):
            async for page in pages:
                keys = [_key(arrival.event) for arrival in page if arrival.event is not None]
                changes = await once_back(partial(reads.by_keys, services, actor, CHANGES, keys)) if keys else []
                for delivery in together(_deliveries(page, changes)):
                    yield delivery


def _key(event: Row) -> tuple[str, int]:
    """Which change the event tells: its id is the request's, a colon, the version."""
    return event["partition_key"], int(event["event_id"].rpartition(":")[2])


def _deliveries(page: Sequence[Arrival], changes: Sequence[Row | None]) -> Iterator[ServiceRequestDelivery]:
    """``changes`` are those of the page's events, in their order."""
    rows = iter(changes)
    for arrival in page:
        change = next(rows) if arrival.event is not None else None
        if arrival.event is not None and change is None:
            continue  # it is no more the actor's to see
        yield ServiceRequestDelivery(
            cursor=arrival.cursor,
            event=ServiceRequestChange(row=change) if change is not None else None,
            service_request=ServiceRequest(row=arrival.row) if arrival.row is not None else None,
        )


def _wanted(given_filter: ServiceRequestSubscriptionFilter | None) -> domain.Wanted:
    """What the filter means; raises ``ValidationError`` for an empty one and for nulls in it."""
    if not given_filter:
        return domain.Wanted()
    lists = {name: value for name, value in vars(given_filter).items() if value is not UNSET}
    if not lists or None in lists.values():
        raise refused("filter", "Name at least one list, and no null: leave out what does not restrict.")
    return domain.Wanted(**lists)
