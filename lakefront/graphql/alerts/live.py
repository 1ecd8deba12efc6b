"""The subscription to alerts."""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import METRICS_READ
from lakefront.domain import alerts as domain
from lakefront.domain.following import Arrival, Followed, Wanted, follow
from lakefront.eventlog.events import Event
from lakefront.graphql.alerts.enums import AlertEventType
from lakefront.graphql.alerts.types import ALERTS, Alert, AlertEvent
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.selection import selected
from lakefront.graphql.fields import given, subscription
from lakefront.graphql.following import After, Heartbeat, together

FOLLOWED = Followed(domain.STREAM, METRICS_READ, rows=ALERTS)
"""An alert's row is there before its events are."""


@strawberry.input(description="Which alerts to follow; what is left out does not restrict.")
class AlertSubscriptionFilter:
    """A subscription's filter."""

    event_types: list[AlertEventType] | None = strawberry.field(description="Only these changes.", default=UNSET)
    levels: list[int] | None = strawberry.field(description="Only of alerts of these levels.", default=UNSET)
    providers: list[strawberry.ID] | None = strawberry.field(
        description="Only of alerts about these outside systems.", default=UNSET
    )


@strawberry.type(description="A change of an alert as it arrives, or a sign of life.")
class AlertDelivery:
    """One message of the subscription."""

    cursor: str = strawberry.field(description="Subscribe again with after: cursor to go on after this message.")
    event: AlertEvent | None = strawberry.field(description="The change; null on a heartbeat.")
    alert: Alert | None = strawberry.field(description="The alert, this change included; null on a heartbeat.")
    coming: strawberry.Private[Collection["AlertDelivery"]] = ()


@strawberry.type
class Subscription:
    """What can be followed about alerts."""

    @subscription(
        "Alerts as they fire, are acknowledged and are over, resumable without a gap or a double (X1). Ends with "
        "LAGGED or CURSOR_EXPIRED, whose extensions hold the cursor to go on from.",
        requires=METRICS_READ,
    )
    async def alert_raised(
        self,
        info: Info,
        wanted: Annotated[
            AlertSubscriptionFilter | None,
            strawberry.argument(name="filter", description="Which alerts; all when left out."),
        ] = UNSET,
        after: After = UNSET,
        heartbeat: Heartbeat = UNSET,
    ) -> AsyncIterator[AlertDelivery]:
        """Replay, then live."""
        start = info.context.following.start(given(after), given(heartbeat))
        with_row = "alert" in selected(info.selected_fields)
        services, actor = info.context.services, info.context.actor
        pages = follow(services, actor, FOLLOWED, start, _wanted(wanted), with_row=with_row)
        async with aclosing(pages):
            async for page in pages:
                for delivery in together(map(_delivery, page)):
                    yield delivery


def _delivery(arrival: Arrival) -> AlertDelivery:
    event = AlertEvent(row=arrival.event) if arrival.event is not None else None
    alert = Alert(row=arrival.row) if arrival.row is not None else None
    return AlertDelivery(cursor=arrival.cursor, event=event, alert=alert)


def _wanted(given_filter: AlertSubscriptionFilter | None) -> Wanted:
    """What the filter asks for; raises ``ValidationError`` for an empty one and for nulls in it."""
    if not given_filter:
        return Wanted()
    types, levels, providers = given_filter.event_types, given_filter.levels, given_filter.providers
    named = [value for value in (types, levels, providers) if value is not UNSET]
    if not named or not all(named):
        raise refused("filter", "Name at least one list that is not empty: leave out what does not restrict.")

    def event(it: Event) -> bool:
        return (
            (not types or it.event_type in types)
            and (not levels or it.payload["level"] in levels)
            and (not providers or it.payload["provider"] in providers)
        )

    return Wanted(event=event)
