"""Permits, their addresses and their events: types over the tables."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from sqlalchemy import Integer, extract
from strawberry.scalars import JSON

from lakefront.actor import PERMITS_INSPECTOR, PERMITS_READ, SERVICE_REQUESTS_READ
from lakefront.db.query import Points, Source
from lakefront.db.tables import log, permits
from lakefront.domain.permits import STREAM
from lakefront.domain.service_requests.sources import SERVICE_REQUESTS
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import Record, column, computed, connection, embedded, nearby, record, relation
from lakefront.graphql.node import Node
from lakefront.graphql.permits.enums import PermitEventType
from lakefront.graphql.scalars import BigInt

if TYPE_CHECKING:
    from lakefront.graphql.service_requests.types import ServiceRequest

PERMITS = Source(
    "Permit", permits.permits, key=("permit_id",), scope=PERMITS_READ, hidden=frozenset({"field_versions"})
)
EVENTS = Source(
    "PermitEvent",
    log.events,
    key=("shard", "offset"),
    scope=PERMITS_READ,
    order=("occurred_at",),
    only={"stream": STREAM},
    hidden=frozenset({"stream"}),
)
ADDRESSES = Source(
    "PermitAddress",
    permits.permit_addresses,
    key=("permit_id", "address_id"),
    scope=PERMITS_READ,
    order=("address_id",),
    hidden=frozenset({"occurred_at", "rank", "offset"}),
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
    days_to_issue: int | None = computed(
        "Whole days from when it was applied for to when it was issued; null while it is not.",
        sql=lambda rows: extract("day", rows.c.issued_at - rows.c.filed_at),
        type_=Integer,
    )
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
    inspector: str | None = column("The inspector who is assigned.", requires=PERMITS_INSPECTOR)
    updated_at: datetime = column("When the server last changed this row.")
    latest_inspection: PermitInspection | None = embedded("The latest inspection; null when nothing is known.")
    addresses: list[PermitAddress] = relation("Its addresses.", on={"permit_id": "permit_id"}, size=3)
    events: Connection["PermitEvent"] = connection(
        "Its events, in the order in which they happened unless asked otherwise.", on={"permit_id": "partition_key"}
    )
    service_requests: Connection[
        Annotated["ServiceRequest", strawberry.lazy("lakefront.graphql.service_requests.types")]
    ] = nearby(
        "Service requests at one of its addresses or near it; a citizen's are their own.",
        here=Points(ADDRESSES, on=(("permit_id", "permit_id"),)),
        there=Points(SERVICE_REQUESTS),
        meters=100,
        requires=SERVICE_REQUESTS_READ,
    )


@record(EVENTS)
class PermitEvent(Node):
    """Something that happened to a permit, as it stands in the log."""

    event_id: strawberry.ID = column("The producer's id of the event: the same id is taken in once.")
    permit_id: strawberry.ID = column("The permit's number.", name="partition_key")
    event_type: PermitEventType = column("What happened.")
    occurred_at: datetime = column("When it happened, by its producer.")
    ingested_at: datetime = column("When it was taken in.")
    event_data: JSON = column(
        "What the producer said about it: an inspector's name, too.", name="payload", requires=PERMITS_INSPECTOR
    )
    trace_id: str = column("The request that brought it.")
    correlation_id: str | None = column("What the producer relates it to.")
    schema_version: str = column("The version of its form.")
    source: str = column("Who sent it.")
    shard: int = column("The shard of the log in which it stands.")
    offset: BigInt = column("Its place in the shard, from 0 on, without gaps.")
    permit: Permit | None = relation(
        "The permit in its current state; null until it is known.", on={"partition_key": "permit_id"}
    )
