"""What is followed while random selections are drawn: rows that are there before, as the world does not change."""

from collections.abc import AsyncIterator

import strawberry

from lakefront.actor import PERMITS_READ
from lakefront.db.database import Row
from lakefront.db.query import PageRequest
from lakefront.domain import reads
from lakefront.graphql.context import Info
from lakefront.graphql.fields import subscription
from lakefront.graphql.following import together
from lakefront.graphql.permits.live import PermitEventDelivery
from lakefront.graphql.permits.types import EVENTS, PERMITS, Permit, PermitEvent

EVENTS_EACH = 3
"""Events of one subscription, after a heartbeat."""

MOST_SKIPPED = 120
"""Events before them."""


@strawberry.type
class Subscription:
    """What can be followed."""

    @subscription("A heartbeat, and some of the events that there are.", requires=PERMITS_READ)
    async def events_told(self, info: Info, skip: int) -> AsyncIterator[PermitEventDelivery]:
        """As ``permitEvents`` tells them."""
        services, actor = info.context.services, info.context.actor
        info.context.following.start(None, 3600)  # so that heartbeats are told
        yield PermitEventDelivery(cursor="start", event=None, permit=None)
        request = PageRequest(order=EVENTS.complete(), limit=skip + EVENTS_EACH)
        page = await reads.page(services, actor, EVENTS, request)
        rows = page.rows[skip:]
        permits = await reads.by_keys(services, actor, PERMITS, [(row["partition_key"],) for row in rows])
        for delivery in together(map(_delivery, rows, permits)):
            yield delivery


def _delivery(row: Row, permit: Row | None) -> PermitEventDelivery:
    known = Permit(row=permit) if permit is not None else None
    return PermitEventDelivery(cursor=row["event_id"], event=PermitEvent(row=row), permit=known)
