"""Service requests and how they came to where they stand: types over the tables."""

from datetime import datetime

import strawberry
from sqlalchemy import Text, func
from strawberry.scalars import JSON

from lakefront.actor import PERMITS_READ, SERVICE_REQUESTS_UPDATE
from lakefront.db.query import Points
from lakefront.domain.service_requests.sources import CHANGES, SERVICE_REQUESTS
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import Record, column, computed, connection, embedded, nearby, record
from lakefront.graphql.node import Node
from lakefront.graphql.permits.types import ADDRESSES, GeoPoint, Permit
from lakefront.graphql.scalars import BigInt
from lakefront.graphql.service_requests.enums import EventType, Origin, State

_HERE = Points(SERVICE_REQUESTS)
_PERMITS = Points(ADDRESSES, on=(("permit_id", "permit_id"),))


@record(CHANGES)
class ServiceRequestChange(Record):
    """A change of a service request: what became of it, when, and by whom."""

    request_id: strawberry.ID = column("The request's id.")
    version: BigInt = column("The request's version since then.")
    event_type: EventType = column("What became of it.")
    changed_at: datetime = column("When it was written here.")
    cause: str = column("Who brought it about: owner, staff, city, publisher, lakefront.")
    changed_by: str | None = column(
        "Whose doing it was here; null where it was nobody's.", requires=SERVICE_REQUESTS_UPDATE
    )
    previous_state: State | None = column("Where it stood before; null for its first version.")
    state: State = column("Where it stands since then.")
    what: str | None = computed(
        "Which fields are new, by their names in the database.",
        sql=lambda rows: func.array_to_string(rows.c.fields, ", ", type_=Text),
    )
    trace_id: str = column("The request that brought it.")


@record(SERVICE_REQUESTS)
class ServiceRequest(Node):
    """Something that a city is asked to see to: reported here, or published by the city."""

    request_id: strawberry.ID = column("Its id here; it stays the same whatever the city calls it.")
    city: str = column("The city, by its slug.")
    provider: str = column("Which of the city's 311 systems.")
    source: Origin = column("Who filed it with its city.")
    owner: str | None = column("Who submitted it; null for what the city published.")
    state: State = column("Where it stands.")
    state_at: datetime = column("Since when, by the newest word on it.")
    external_id: str | None = column("The city's number of it; null until it is filed.")
    external_status: str | None = column("Where it stands, in the city's words.")
    agency: str | None = column("Who sees to it, as a code.")
    agency_name: str | None = column("Who sees to it.")
    service_code: str | None = column("What it is about, as a code of the city's.")
    complaint_type: str | None = column("What it is about.")
    descriptor: str | None = column("What it is about, more closely.")
    description: str | None = column("What was reported, in the reporter's words.", grouped=False)
    location_type: str | None = column("What kind of place it is about.")
    address: str | None = column("The address, as it was given.", grouped=False)
    street_name: str | None = column("Name of the street.")
    postal_code: str | None = column("The postal code.")
    borough: str | None = column("The borough.")
    community_board: str | None = column("The community board.")
    location: GeoPoint | None = embedded("Where it is; null when unknown.")
    channel: str | None = column("How it was reported: ONLINE, PHONE, MOBILE, …")
    resolution: str | None = column("What was done about it.", grouped=False)
    resolution_at: datetime | None = column("When that was told.")
    reported_at: datetime = column("When it was reported.")
    filed_at: datetime | None = column("When the city took it; null until it has.")
    closed_at: datetime | None = column("When the city was done with it.")
    expected_at: datetime | None = column("When the city expects to be done with it.")
    updated_at: datetime = column("When this row last changed.")
    checked_at: datetime | None = column("When the city was last asked where it stands.")
    version: BigInt = column("Grows by one with each change.")
    test: bool = column("Whether it is a trial, which nobody is to see to.")
    error_code: str | None = column("Why it is not filed, as one of our error codes; null where all is well.")
    error_message: str | None = column("Why it is not filed, in words.", grouped=False)
    trace_id: str = column("The request that brought it.", grouped=False)
    attributes: JSON = column("What the city asks beyond that, by its codes.")
    media_url: str | None = column("A picture of it.", grouped=False)
    history: Connection[ServiceRequestChange] = connection(
        "How it came to where it stands, the oldest change first unless asked otherwise.",
        on={"request_id": "request_id"},
    )
    permits: Connection[Permit] = nearby(
        "Building permits at its place or near it: one of whose addresses is. None where its place is unknown.",
        here=_HERE,
        there=_PERMITS,
        meters=100,
        requires=PERMITS_READ,
    )
    nearby: Connection["ServiceRequest"] = nearby(
        "Service requests at its place or near it, itself among them. None where its place is unknown.",
        here=_HERE,
        there=_HERE,
        meters=100,
    )
