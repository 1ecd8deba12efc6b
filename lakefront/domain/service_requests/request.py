"""What service requests are, what is given to submit, change or record one, and what is told of that (C15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from lakefront.db.tables.service_requests import service_requests as table

STREAM: Final = "service-request-events"
"""The log's stream of what became of service requests; payloads are free of personal data."""

SUBMIT: Final = "service_request.submit"
"""The outbox's kind of job that files a request with its city."""


JOBS: Final = UUID("6d0f3d5e-7b0a-4f9b-9c53-2f6f6c1a0d11")
"""The name space of those jobs' ids: one for each version of a request that is to be filed."""


class State(StrEnum):
    """Where a request stands."""

    PENDING_EXTERNAL = "PENDING_EXTERNAL"
    """Stored here; the city is to be told, or is being told."""
    UNCERTAIN = "UNCERTAIN"
    """The city may have it, or not: a person has to look there."""
    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"
    """The city will not do it, or did not take it."""


class Origin(StrEnum):
    """Who filed a request with its city."""

    LAKEFRONT = "lakefront"
    OPEN_DATA = "open_data"
    """Somebody else; the city published it."""


class EventType(StrEnum):
    """What became of a request."""

    SUBMITTED = "service_request_submitted"
    FILED = "service_request_filed"
    CHANGED = "service_request_changed"
    CLOSED = "service_request_closed"
    REJECTED = "service_request_rejected"
    UNCERTAIN = "service_request_uncertain"
    RECORDED = "service_request_recorded"


class CallerInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who reports: personal data, kept until the city has the request (``SubmitInput.notify``), told to nobody else."""

    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    email: str | None = None

    def __repr__(self) -> str:
        return "CallerInput(…)"


class SubmitInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request as it is reported. Cities need different parts of it, and say which."""

    city: str
    """A slug: one of ``cities``."""
    description: str
    provider: str | None = None
    """Which of the city's 311 systems; the one that takes requests where it is left out."""
    service_code: str | None = None
    """What it is about, as the city names it."""
    agency: str | None = None
    complaint_type: str | None = None
    descriptor: str | None = None
    location_type: str | None = None
    address: str | None = None
    postal_code: str | None = None
    borough: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    caller: CallerInput | None = None
    attributes: Mapping[str, tuple[str, ...]] = {}
    """What the service wants to know beyond that, by the codes of its definition."""
    media_url: str | None = None
    channel: str | None = None
    test: bool = False
    """To try it out: nobody is to see to it."""
    notify: bool = False
    """The caller asks to be told how it goes on: their mail address and telephone are kept until it has ended."""

    def __repr__(self) -> str:
        return f"SubmitInput({self.city!r}, …)"


class UpdateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What staff changes of a request; what is left out stays as it is."""

    request_id: str
    version: int | None = None
    """The version that was read: another by now is a conflict. None: whichever it is."""
    state: State | UnsetType = UNSET
    description: str | UnsetType = UNSET
    agency: str | UnsetType | None = UNSET
    agency_name: str | UnsetType | None = UNSET
    complaint_type: str | UnsetType | None = UNSET
    descriptor: str | UnsetType | None = UNSET
    borough: str | UnsetType | None = UNSET
    resolution: str | UnsetType | None = UNSET
    expected_at: datetime | UnsetType | None = UNSET
    external_id: str | UnsetType = UNSET
    """The city's number of an uncertain request that somebody found there: it is open then."""

    def __repr__(self) -> str:
        return f"UpdateInput({self.request_id!r}, …)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A request as it stands: a row of ``service_requests`` (there, what each means). Its repr shows no one's data."""

    request_id: str
    city: str
    provider: str
    source: Origin
    owner: str | None
    state: State
    state_at: datetime
    told_at: datetime | None = None
    external_id: str | None = None
    external_token: str | None = None
    external_status: str | None = None
    agency: str | None = None
    agency_name: str | None = None
    service_code: str | None = None
    complaint_type: str | None = None
    descriptor: str | None = None
    description: str | None = None
    location_type: str | None = None
    address: str | None = None
    street_name: str | None = None
    postal_code: str | None = None
    borough: str | None = None
    community_board: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    channel: str | None = None
    resolution: str | None = None
    resolution_at: datetime | None = None
    reported_at: datetime
    filed_at: datetime | None = None
    closed_at: datetime | None = None
    expected_at: datetime | None = None
    updated_at: datetime
    checked_at: datetime | None = None
    version: int
    test: bool = False
    error_code: str | None = None
    error_message: str | None = None
    trace_id: str
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    media_url: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ServiceRequest":
        """The request of a row that has all ``COLUMNS``."""
        return cls(**{**row, "source": Origin(row["source"]), "state": State(row["state"])})

    def values(self) -> dict[str, Any]:
        """Column to value: not copied."""
        return dict(zip(NAMES, _VALUES(self), strict=True))

    def __repr__(self) -> str:
        return f"ServiceRequest({self.request_id!r}, {self.city!r}, {self.state.value}, version={self.version})"


NAMES: Final = tuple(each.name for each in fields(ServiceRequest))
_VALUES: Final = attrgetter(*NAMES)

COLUMNS: Final = [table.c[name] for name in NAMES]
"""Of a row, in the order of ``ServiceRequest``."""


def member(column: str) -> str:
    """A column as JSON and GraphQL name it: ``externalId``."""
    first, *rest = column.split("_")
    return first + "".join(map(str.capitalize, rest))


@dataclass(frozen=True, slots=True)
class Report:
    """What a dry run would have done (X4)."""

    changes: int
    quota: int
    outside_calls: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The request after a use-case; ``report`` on a dry run alone, when nothing of it stays."""

    service_request: ServiceRequest
    report: Report | None = None


Submitted = Changed


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its city published it. ``provider`` is the city's 311, whichever way the row came.

    So the published CSV and the API of the same city meet in one row.
    """

    provider: str
    city: str
    unique_key: str
    """The publisher's number of it: with ``provider`` the natural key."""
    reported_at: datetime
    updated_at: datetime | None = None
    """When the publisher last changed the row: an older one never comes over a newer one."""
    external_status: str | None = None
    agency: str | None = None
    agency_name: str | None = None
    complaint_type: str | None = None
    descriptor: str | None = None
    location_type: str | None = None
    address: str | None = None
    street_name: str | None = None
    postal_code: str | None = None
    borough: str | None = None
    community_board: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    channel: str | None = None
    resolution: str | None = None
    resolution_at: datetime | None = None
    closed_at: datetime | None = None
    expected_at: datetime | None = None

    @property
    def request_id(self) -> str:
        """What we call it."""
        return f"{self.provider}-{self.unique_key}"


class RecordOutcome(StrEnum):
    """What became of a published row."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    OLDER = "older"
    """A newer one was there."""
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    """What became of the row at ``index``; ``field`` and ``reason`` where it was rejected."""

    index: int
    request_id: str
    outcome: RecordOutcome
    field: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch: a verdict for each row, in their order."""

    verdicts: Sequence[RecordVerdict]

    def count(self, *outcomes: RecordOutcome) -> int:
        """How many rows had one of ``outcomes``."""
        return sum(verdict.outcome in outcomes for verdict in self.verdicts)
