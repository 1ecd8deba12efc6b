"""What ``/service-requests`` tells and takes, as the OpenAPI document has it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from lakefront.domain.service_requests import Origin, Report, State


class ServiceRequest(msgspec.Struct, kw_only=True):
    """A service request as it stands. ``state`` is where, ``external_status`` the same in the city's words."""

    request_id: str
    city: str
    provider: str
    source: Origin
    owner: str | None
    state: State
    state_at: datetime
    external_id: str | None
    external_status: str | None
    agency: str | None
    agency_name: str | None
    service_code: str | None
    complaint_type: str | None
    descriptor: str | None
    description: str | None
    location_type: str | None
    address: str | None
    street_name: str | None
    postal_code: str | None
    borough: str | None
    community_board: str | None
    latitude: float | None
    longitude: float | None
    channel: str | None
    resolution: str | None
    resolution_at: datetime | None
    reported_at: datetime
    filed_at: datetime | None
    closed_at: datetime | None
    expected_at: datetime | None
    updated_at: datetime
    checked_at: datetime | None
    version: int
    test: bool
    error_code: str | None
    error_message: str | None
    trace_id: str
    attributes: Mapping[str, Sequence[str]]
    media_url: str | None


class ServiceRequestAnswer(msgspec.Struct):
    """A request; ``report``: on a dry run, what would have been done."""

    service_request: ServiceRequest
    report: Report | None = None


class ServiceRequestsAnswer(msgspec.Struct):
    """A page of requests; ``next`` is what ``after`` takes to go on, null on the last page."""

    service_requests: list[ServiceRequest]
    next: str | None


EXAMPLE: Final = {
    "city": "nyc",
    "description": "Pothole on the road",
    "agency": "DOT",
    "address": "123 Broadway, New York, NY",
    "postal_code": "10007",
    "latitude": 40.7128,
    "longitude": -74.006,
    "caller": {"first_name": "Jane", "last_name": "Doe", "phone": "2125551234"},
}
"""The source document's own request."""

REQUEST_ID: Final = {
    "name": "request_id",
    "in": "path",
    "required": True,
    "description": "The request's id here.",
    "schema": {"type": "string"},
}
DRY_RUN: Final = {
    "name": "dry_run",
    "in": "query",
    "description": "Check and report, but change nothing.",
    "schema": {"type": "boolean", "default": False},
}


def _parameter(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


FILTERS: Final = {
    "state": _parameter("state", "Only those that stand so.", {"type": "string", "enum": list(State.__members__)}),
    "complaint_type": _parameter("complaint_type", "Only those about this.", {"type": "string"}),
    "borough": _parameter("borough", "Only those in this borough.", {"type": "string"}),
    "city": _parameter("city", "Only those of this city, by its slug.", {"type": "string"}),
}
PAGE: Final = {
    "first": _parameter(
        "first", "How many, at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}
    ),
    "after": _parameter("after", "`next` of the page before.", {"type": "string"}),
}
