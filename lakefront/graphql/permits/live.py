"""The subscription to permit events."""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import PERMITS_READ
from lakefront.domain import permits as domain
from lakefront.domain.following import Arrival
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.selection import selected
from lakefront.graphql.fields import given, subscription
from lakefront.graphql.following import After, Heartbeat, together
from lakefront.graphql.permits.enums import PermitEventType
from lakefront.graphql.permits.types import PERMITS, Permit, PermitEvent


@strawberry.input(description="Which events to follow; what is left out does not restrict.")
class PermitEventSubscriptionFilter:
    """A subscription's filter."""

    permit_ids: list[strawberry.ID] | None = strawberry.field(description="Only of these permits.", default=UNSET)
    event_types: list[PermitEventType] | None = strawberry.field(description="Only of these types.", default=UNSET)
    neighborhoods: list[str] | None = strawberry.field(
        description="Only of permits that are in these neighborhoods when the event arrives.", default=UNSET
    )


@strawberry.type(description="An event as it arrives, or a sign of life.")
class PermitEventDelivery:
    """One message of the subscription."""

    cursor: str = strawberry.field(description="Subscribe again with after: cursor to go on after this message.")
    event: PermitEvent | None = strawberry.field(description="The event; null on a heartbeat.")
    permit: Permit | None = strawberry.field(
        description="The event's permit, this event included; null on a heartbeat."
    )
    coming: strawberry.Private[Collection["PermitEventDelivery"]] = ()


@strawberry.type
class Subscription:
    """What can be followed about permits."""

    @subscription(
        "Permit events as they arrive, resumable without a gap or a double (X1). Ends with LAGGED or CURSOR_EXPIRED, "
        "whose extensions hold the cursor to go on from.",
        requires=PERMITS_READ,
    )
    async def permit_events(
        self,
        info: Info,
        wanted: Annotated[
            PermitEventSubscriptionFilter | None,
            strawberry.argument(name="filter", description="Which events; all when left out."),
        ] = UNSET,
        after: After = UNSET,
        heartbeat: Heartbeat = UNSET,
    ) -> AsyncIterator[PermitEventDelivery]:
        """Replay, then live."""
        lists = _checked(wanted)
        start = info.context.following.start(given(after), given(heartbeat))
        pages = domain.follow(
            info.context.services,
            info.context.actor,
            PERMITS,
            domain.Wanted(given(lists.permit_ids), given(lists.event_types), given(lists.neighborhoods)),
            start,
            with_permit="permit" in selected(info.selected_fields),
        )
        async with aclosing(pages):
            async for page in pages:
                for delivery in together(map(_delivery, page)):
                    yield delivery


def _delivery(arrival: Arrival) -> PermitEventDelivery:
    event = PermitEvent(row=arrival.event) if arrival.event is not None else None
    permit = Permit(row=arrival.row) if arrival.row is not None else None
    return PermitEventDelivery(cursor=arrival.cursor, event=event, permit=permit)


def _checked(wanted: PermitEventSubscriptionFilter | None) -> PermitEventSubscriptionFilter:
    """The filter, if it means something; raises ``ValidationError`` for an empty one and for nulls in it."""
    if not wanted:
        return PermitEventSubscriptionFilter()
    named = [value for value in (wanted.permit_ids, wanted.event_types, wanted.neighborhoods) if value is not UNSET]
    if not named or None in named:
        raise refused("filter", "Name at least one list, and no null: leave out what does not restrict.")
    return wanted
