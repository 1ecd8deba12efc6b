"""Permits: their types over the tables, queries, the mutation that takes events in, the live subscription."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import date, datetime
from typing import Annotated, cast

import strawberry
from strawberry.scalars import JSON

from lakefront.actor import PERMITS_READ, PERMITS_WRITE
from lakefront.db.query import Source
from lakefront.db.tables import log, permits
from lakefront.domain import permits as domain
from lakefront.domain.permits import PermitEventType
from lakefront.eventlog.events import Outcome
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare import (
    Record,
    column,
    connection,
    described,
    embedded,
    lookup,
    record,
    relation,
    stats,
)
from lakefront.graphql.declare.resolvers import fetch
from lakefront.graphql.declare.selection import selected
from lakefront.graphql.fields import field, mutation, subscription
from lakefront.graphql.node import Node
from lakefront.graphql.scalars import BigInt, timestamp_text

PERMITS = Source(
    "Permit", permits.permits, key=("permit_id",), scope=PERMITS_READ, hidden=frozenset({"field_versions"})
)
EVENTS = Source(
    "PermitEvent",
    log.events,
    key=("shard", "offset"),
    scope=PERMITS_READ,
    order=("occurred_at",),
    only={"stream": domain.STREAM},
)
ADDRESSES = Source(
    "PermitAddress",
    permits.permit_addresses,
    key=("permit_id", "address_id"),
    scope=PERMITS_READ,
    order=("address_id",),
)

described(
    PermitEventType,
    "What may happen to a permit.",
    {
        PermitEventType.STATUS_CHANGE: "Its status changed.",
        PermitEventType.INSPECTOR_ASSIGNMENT: "An inspector was assigned to it.",
        PermitEventType.PERMIT_FILED: "It was applied for.",
        PermitEventType.PERMIT_ISSUED: "It was issued.",
        PermitEventType.INSPECTION_SCHEDULED: "An inspection was scheduled.",
        PermitEventType.INSPECTION_COMPLETED: "An inspection was completed.",
        PermitEventType.PERMIT_COMPLETED: "Its work was completed.",
        PermitEventType.PERMIT_EXPIRED: "It expired.",
        PermitEventType.PERMIT_CANCELLED: "It was cancelled or withdrawn.",
    },
)


@record()
class GeoPoint(Record):
    """A place on the globe (WGS 84)."""

    geo_columns = ("latitude", "longitude")
    latitude: float = column("Degrees north.")
    longitude: float = column("Degrees east.")


@record()
class PermitInspection(Record):
    """The latest inspection of a permit, as far as it is known."""

    type: str | None = column("What is inspected.", name="inspection_type")
    scheduled_at: datetime | None = column("When it is due.", name="inspection_scheduled_at")
    completed_at: datetime | None = column("When it took place.", name="inspection_completed_at")
    result: str | None = column("How it ended.", name="inspection_result")


@record(ADDRESSES)
class PermitAddress(Record):
    """An address that a permit is for; a permit has one or a few."""

    permit_id: strawberry.ID = column("The permit's number.")
    address_id: strawberry.ID = column("Tells the permit's addresses apart.")
    block: str | None = column("Assessor's block.")
    lot: str | None = column("Assessor's lot.")
    street_number: str | None = column("House number.")
    street_number_suffix: str | None = column("What follows the house number.")
    street_name: str | None = column("Name of the street.")
    street_suffix: str | None = column("Kind of street: St, Av, …")
    unit: str | None = column("Unit within the building.")
    unit_suffix: str | None = column("What follows the unit.")
    primary: bool = column("Whether it is the permit's main address.")
    neighborhood: str | None = column("The neighborhood, as the city's analysis draws them.")
    supervisor_district: int | None = column("The supervisor's district.")
    zipcode: str | None = column("The postal code.")
    point_source: str | None = column("Where the location comes from.")
    location: GeoPoint | None = embedded("Where it is; null when unknown.")


@record(PERMITS)
class Permit(Node):
    """A building permit in its current state: what the latest events say."""

    permit_id: strawberry.ID = column("The permit's number, as the city gives it.")
    status: str | None = column("The status, in the source's words.")
    status_at: datetime | None = column("Since when it has this status.")
    type: str | None = column("The kind of permit, in words.")
    type_code: str | None = column("The kind of permit, as a code.")
    description: str | None = column("The work, in the applicant's words.", grouped=False)
    created_on: date | None = column("The day on which the application was entered.")
    filed_at: datetime | None = column("When it was applied for.")
    issued_at: datetime | None = column("When it was issued.")
    completed_at: datetime | None = column("When the work was completed.")
    expires_at: datetime | None = column("When it expires.")
    first_construction_document_at: datetime | None = column("When the first construction document was issued.")
    last_activity_at: datetime | None = column("When the permit was last worked on.")
    estimated_cost: int | None = column("The applicant's estimate, in whole US dollars.")
    revised_cost: int | None = column("The city's estimate, in whole US dollars.")
    existing_use: str | None = column("What the building is used for.")
    proposed_use: str | None = column("What the building will be used for.")
    existing_units: int | None = column("Dwelling units before the work.")
    proposed_units: int | None = column("Dwelling units after the work.")
    units: int | None = column("Dwelling units: proposed, or existing where none are proposed.")
    existing_stories: int | None = column("Stories before the work.")
    proposed_stories: int | None = column("Stories after the work.")
    stories: int | None = column("Stories: proposed, or existing where none are proposed.")
    existing_occupancy: str | None = column("Occupancy classes before the work.")
    proposed_occupancy: str | None = column("Occupancy classes after the work.")
    existing_construction_type: str | None = column("Construction type before the work, as a code.")
    existing_construction_type_description: str | None = column("Construction type before the work, in words.")
    proposed_construction_type: str | None = column("Construction type after the work, as a code.")
    proposed_construction_type_description: str | None = column("Construction type after the work, in words.")
    plansets: int | None = column("How many sets of plans were handed in.")
    structural_notification: bool | None = column("Whether structural notification is needed.")
    voluntary_soft_story_retrofit: bool | None = column("Whether it is a voluntary retrofit of a soft story.")
    fire_only: bool | None = column("Whether it is for fire safety alone.")
    site_permit: bool | None = column("Whether it is a site permit.")
    adu: bool | None = column("Whether it makes an accessory dwelling unit.")
    tidf_compliance: str | None = column("Compliance with the transit impact development fee.")
    submission_method: str | None = column("How it was handed in.")
    neighborhood: str | None = column("The neighborhood of its main address.")
    supervisor_district: int | None = column("The supervisor's district of its main address.")
    zipcode: str | None = column("The postal code of its main address.")
    inspector: str | None = column("The inspector who is assigned.")
    updated_at: datetime = column("When the server last changed this row.")
    latest_inspection: PermitInspection | None = embedded("The latest inspection; null when nothing is known.")
    addresses: list[PermitAddress] = relation("Its addresses.", on={"permit_id": "permit_id"})
    events: Connection["PermitEvent"] = connection(
        "Its events, in the order in which they happened unless asked otherwise.", on={"permit_id": "partition_key"}
    )


@record(EVENTS)
class PermitEvent(Node):
    """Something that happened to a permit, as it stands in the log."""

    event_id: strawberry.ID = column("The producer's id of the event: the same id is taken in once.")
    permit_id: strawberry.ID = column("The permit's number.", name="partition_key")
    event_type: PermitEventType = column("What happened.")
    occurred_at: datetime = column("When it happened, by its producer.")
    ingested_at: datetime = column("When it was taken in.")
    event_data: JSON = column("What the producer said about it.", name="payload")
    trace_id: str = column("The request that brought it.")
    correlation_id: str | None = column("What the producer relates it to.")
    schema_version: str = column("The version of its form.")
    source: str = column("Who sent it.")
    shard: int = column("The shard of the log in which it stands.")
    offset: BigInt = column("Its place in the shard, from 0 on, without gaps.")
    permit: Permit | None = relation(
        "The permit in its current state; null until it is known.", on={"partition_key": "permit_id"}
    )


described(
    Outcome,
    "What became of an event.",
    {
        Outcome.ACCEPTED: "It is in the log.",
        Outcome.DUPLICATE: "It was in the log before, with the same content; nothing changed.",
        Outcome.CONFLICT: "Another event with the same id is in the log; this one is not.",
        Outcome.REJECTED: "It is not valid; see field and message.",
    },
)


@strawberry.input(description="An event to take in (P2).")
class PermitEventInput:
    """The event's parts, as REST takes them."""

    event_id: strawberry.ID = strawberry.field(description="Your id for the event: sending it again changes nothing.")
    permit_id: strawberry.ID = strawberry.field(description="The permit's number.")
    event_type: PermitEventType = strawberry.field(description="What happened.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    event_data: JSON = strawberry.field(description="What you know about it: the fields that its type has.")

    def text(self) -> bytes:
        """The event as REST's JSON."""
        event = {
            "eventId": self.event_id,
            "permitId": self.permit_id,
            "eventType": self.event_type.value,
            "timestamp": timestamp_text(self.timestamp),
            "eventData": self.event_data,
        }
        return json.dumps(event, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")


@strawberry.type(description="What became of one event that was not plainly accepted (X6).")
class EventVerdict:
    """One verdict."""

    index: int = strawberry.field(description="The event's place in the list, from 0 on.")
    event_id: strawberry.ID | None = strawberry.field(description="The event's id, if it could be read.")
    outcome: Outcome = strawberry.field(description="What became of it.")
    field: str | None = strawberry.field(description="The part that is not valid.")
    message: str | None = strawberry.field(description="What is wrong with it, and what to do.")


@strawberry.type(description="What a mutation would have done (X4); given on a dry run only.")
class DryRunReport:
    """A dry run's report."""

    changes: int = strawberry.field(description="How many changes would have been made.")
    quota: int = strawberry.field(description="How much of the quota, in events, it would have used.")
    outside_calls: int = strawberry.field(description="How many calls to outside systems it would have made.")


@strawberry.type(description="What became of the events.")
class IngestPermitEventsPayload:
    """The counts and verdicts."""

    events_received: int = strawberry.field(description="How many events came.")
    accepted: int = strawberry.field(description="How many are now in the log.")
    duplicates: int = strawberry.field(description="How many were in the log before.")
    rejected: int = strawberry.field(description="How many are not in the log: not valid, or in conflict.")
    verdicts: list[EventVerdict] = strawberry.field(description="Each event that was not plainly accepted.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")


@strawberry.input(description="Which events to follow; what is left out does not restrict.")
class PermitEventSubscriptionFilter:
    """A subscription's filter."""

    permit_ids: list[strawberry.ID] | None = strawberry.field(description="Only of these permits.", default=None)
    event_types: list[PermitEventType] | None = strawberry.field(description="Only of these types.", default=None)
    neighborhoods: list[str] | None = strawberry.field(
        description="Only of permits that are in these neighborhoods when the event arrives.", default=None
    )


@strawberry.type(description="An event as it arrives, or a sign of life.")
class PermitEventDelivery:
    """One message of the subscription."""

    cursor: str = strawberry.field(description="Subscribe again with after: cursor to go on after this message.")
    event: PermitEvent | None = strawberry.field(description="The event; null on a heartbeat.")
    permit_id: strawberry.Private[str | None]

    @field("The event's permit in its current state; null on a heartbeat.")
    async def permit(self, info: Info) -> Permit | None:
        """One read by key: each message has loaders of its own."""
        return await fetch(info.context.loaders, Permit, [self.permit_id]) if self.permit_id is not None else None


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


@strawberry.type
class Mutation:
    """What can be done to permits."""

    @mutation("Take permit events in: valid ones are kept even where others are not (P1, X6).", requires=PERMITS_WRITE)
    async def ingest_permit_events(
        self,
        info: Info,
        events: Annotated[list[PermitEventInput], strawberry.argument(description="At least one.")],
        idempotency_key: Annotated[
            str | None,
            strawberry.argument(description="The same key with the same events gives the first answer again."),
        ] = None,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Check and report, but change nothing.")
        ] = False,
    ) -> IngestPermitEventsPayload:
        """The one use-case, as REST calls it."""
        report = await domain.ingest(
            info.context.services,
            info.context.actor,
            [event.text() for event in events],
            dry_run=bool(dry_run),
            idempotency_key=idempotency_key,
        )
        return IngestPermitEventsPayload(
            events_received=report.received,
            accepted=report.accepted,
            duplicates=report.duplicates,
            rejected=report.rejected,
            verdicts=[_verdict(verdict) for verdict in report.verdicts],
            report=DryRunReport(changes=report.accepted, quota=report.received, outside_calls=0) if dry_run else None,
        )


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
        ] = None,
        after: Annotated[
            str | None,
            strawberry.argument(description='Replay from this cursor, or from "earliest"; from now on when left out.'),
        ] = None,
        heartbeat: Annotated[
            int | None,
            strawberry.argument(description="Seconds of silence after which a message without event tells the cursor."),
        ] = None,
    ) -> AsyncIterator[PermitEventDelivery]:
        """Replay, then live."""
        wanted = wanted or PermitEventSubscriptionFilter()
        notices = domain.follow(
            info.context.services,
            info.context.actor,
            permit_ids=wanted.permit_ids,
            event_types=wanted.event_types and [item.value for item in wanted.event_types],
            neighborhoods=wanted.neighborhoods,
            after=after,
            heartbeat=heartbeat,
            with_permit="permit" in selected(info.selected_fields),
        )
        async with aclosing(cast("AsyncGenerator[domain.PermitEventNotice]", notices)):
            async for notice in notices:
                event = PermitEvent(row=notice.event) if notice.event is not None else None
                yield PermitEventDelivery(cursor=notice.cursor, event=event, permit_id=notice.permit_id)


def _verdict(verdict: domain.Verdict) -> EventVerdict:
    return EventVerdict(
        index=verdict.index,
        event_id=strawberry.ID(verdict.event_id) if verdict.event_id is not None else None,
        outcome=verdict.outcome,
        field=verdict.field,
        message=verdict.reason,
    )
