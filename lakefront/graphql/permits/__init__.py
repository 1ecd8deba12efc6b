"""Permits: what can be asked about them, done to them, and followed."""

import strawberry

from lakefront.actor import PERMITS_READ
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import connection, lookup, stats
from lakefront.graphql.permits.ingest import Mutation
from lakefront.graphql.permits.live import Subscription
from lakefront.graphql.permits.types import ADDRESSES, EVENTS, PERMITS, Permit, PermitEvent

__all__ = ["ADDRESSES", "EVENTS", "PERMITS", "Mutation", "Permit", "PermitEvent", "Query", "Subscription"]


@strawberry.type
class Query:
    """What can be asked about permits."""

    permit: Permit | None = lookup(
        "The permit with that number; null when there is none.",
        by={"permitId": "The permit's number, as the city gives it."},
        requires=PERMITS_READ,
    )
    permits: Connection[Permit] = connection("Permits, by number unless asked otherwise.", requires=PERMITS_READ)
    permit_events: Connection[PermitEvent] = connection(
        "Events of all permits, in the order in which they happened unless asked otherwise.", requires=PERMITS_READ
    )
    permit_stats = stats(Permit, "Counts, sums and more over groups of permits.", requires=PERMITS_READ)
