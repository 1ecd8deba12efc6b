"""What can be told of: the streams whose events rules are about, and of each event what conditions and texts may name.

Free texts and names of people are not among it: what a rule sends leaves the house.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from lakefront.actor import METRICS_READ, PERMITS_READ, SERVICE_REQUESTS_READ
from lakefront.domain.alerts import STREAM as ALERTS
from lakefront.domain.alerts import AlertEventType
from lakefront.domain.permits import STREAM as PERMITS
from lakefront.domain.permits.payloads import PermitEventType
from lakefront.domain.service_requests import STREAM as SERVICE_REQUESTS
from lakefront.domain.service_requests import EventType


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    MOMENT = "MOMENT"


@dataclass(frozen=True, slots=True)
class Field:
    """A member that events may have. ``example``: what an event of a dry run says there."""

    kind: Kind
    example: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: what its events are about (``about``, by the name that it has in texts), and what they may say.

    ``scope``: who makes a rule of it must be able to read it, as the rule tells others.
    """

    name: str
    about: str
    scope: str
    event_types: frozenset[str]
    fields: Mapping[str, Field]


def _texts(**examples: str) -> dict[str, Field]:
    return {name: Field(Kind.TEXT, example) for name, example in examples.items()}


def _moments(*names: str) -> dict[str, Field]:
    return {name: Field(Kind.MOMENT, "2026-05-28T14:00:00+00:00") for name in names}


_ALWAYS: Final = _texts(eventId="evt_1", eventType="example") | _moments("occurredAt")

STREAMS: Final[Mapping[str, Stream]] = {
    stream.name: stream
    for stream in (
        Stream(
            PERMITS,
            "permitId",
            PERMITS_READ,
            frozenset(PermitEventType),
            _ALWAYS
            | _texts(
                permitId="202605281234",
                newStatus="issued",
                previousStatus="filed",
                type="additions alterations or repairs",
                typeCode="3",
                inspectionType="final",
                result="passed",
                neighborhood="Mission",
                zipcode="94110",
                existingUse="apartments",
                proposedUse="apartments",
            )
            | {name: Field(Kind.NUMBER, 120000) for name in ("estimatedCost", "revisedCost")}
            | {name: Field(Kind.NUMBER, 9) for name in ("supervisorDistrict", "existingUnits", "proposedUnits")}
            | {name: Field(Kind.BOOLEAN, example=True) for name in ("adu", "sitePermit", "fireOnly")}
            | _moments("scheduledFor", "expiresAt", "lastActivityAt"),
        ),
        Stream(
            SERVICE_REQUESTS,
            "requestId",
            SERVICE_REQUESTS_READ,
            frozenset(EventType),
            _ALWAYS
            | _texts(
                requestId="sr-examplexample",
                state="CLOSED",
                previousState="IN_PROGRESS",
                city="nyc",
                provider="nyc311",
                source="lakefront",
                externalId="311-00000001",
                externalStatus="Closed",
                agency="DOHMH",
                agencyName="Department of Health",
                serviceCode="rodent",
                complaintType="Rodent",
                borough="BROOKLYN",
                postalCode="11201",
                communityBoard="02 BROOKLYN",
                channel="ONLINE",
                cause="poll",
                errorCode="upstream_rejected",
            )
            | {"test": Field(Kind.BOOLEAN, example=False), "version": Field(Kind.NUMBER, 3)}
            | _moments("reportedAt", "filedAt", "closedAt", "expectedAt", "resolutionAt"),
        ),
        Stream(
            ALERTS,
            "alertId",
            METRICS_READ,
            frozenset(AlertEventType),
            _ALWAYS
            | _texts(
                alertId="al-examplexample",
                ruleId="breaker-open",
                metric="BREAKER_OPEN_SECONDS",
                state="FIRING",
                summary="geoclient of nyc has failed for 310 s: its breaker is open",
                provider="geoclient",
                city="nyc",
            )
            | {"level": Field(Kind.NUMBER, 1), "version": Field(Kind.NUMBER, 1)}
            | {"value": Field(Kind.NUMBER, 310.0), "threshold": Field(Kind.NUMBER, 300.0)}
            | _moments("firedAt"),
        ),
    )
}
"""By their names. A stream more is an entry here."""


def told(
    stream: Stream, about: str, event_id: str, event_type: str, occurred_at: datetime, payload: Any
) -> dict[str, Any]:
    """What rules may know of an event: its fields that are there, of all else nothing."""
    given = payload if isinstance(payload, Mapping) else {}
    found = {name: given[name] for name in stream.fields if isinstance(given.get(name), str | int | float)}
    of_it = {"eventId": event_id, "eventType": event_type, "occurredAt": occurred_at.isoformat(), stream.about: about}
    return found | of_it


def example(stream: Stream, event_type: str) -> dict[str, Any]:
    """An event as it might be: what a dry run tells of."""
    return {name: field.example for name, field in stream.fields.items()} | {"eventType": event_type}
