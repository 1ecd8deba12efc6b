"""``POST /sf-permit-events`` (P1, P5, P6, X6): the ingest door as the source document has it."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
from starlette.responses import Response

from lakefront.actor import PERMITS_WRITE
from lakefront.domain import permits
from lakefront.domain.permits import IngestReport
from lakefront.domain.permits.ingest import Verdict
from lakefront.errors import (
    BadRequest,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    Unavailable,
    UnsupportedMediaType,
    ValidationError,
)
from lakefront.server.bodies import read_body, require_json
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.permits_openapi import ATOMIC, ENCODING, events

MOST_ITEMS = 1_500_000
"""Items that are kept apart: an array of 13 million zeros, 25 MB, would take a gigabyte as objects."""

_EVENTS = msgspec.json.Decoder(list[msgspec.Raw])


class _Anything(msgspec.Struct, gc=False):
    """An object of whatever members."""


_OBJECTS = msgspec.json.Decoder(list[_Anything])


class IngestAnswer(msgspec.Struct, rename="camel"):
    """The document's own four members, and what became of each event that was not plainly accepted."""

    status: Literal["success", "partial_success"]
    message: str
    events_received: int
    timestamp: str
    accepted: int
    duplicates: int
    rejected: int
    verdicts: list[Verdict]


@describe(
    post=Operation(
        "Take permit events in",
        "Permits",
        {200: Answer("Kept. Events that are refused or known already have a verdict.", Content(IngestAnswer))},
        "An acknowledged event is durable. Sending it again is safe: it is a duplicate, and counts as kept.",
        PERMITS_WRITE,
        (ATOMIC, ENCODING),
        events(),
        (
            ValidationError,
            BadRequest,
            RequestTimeout,
            PayloadTooLarge,
            UnsupportedMediaType,
            RateLimited,
            Unavailable,
        ),
    )
)
async def post_permit_events(request: RestRequest) -> Response:
    """Take a JSON array of events, plain or gzip; answer with counts and verdicts. ``?atomic=true``: all or none."""
    actor = await request.actor(counted=False)  # events have a quota of their own (P6)
    actor.require(PERMITS_WRITE)  # before the body is read: nobody else may make us buffer 25 MB
    actor.require_stream(permits.STREAM)
    doors, headers = request.doors, request.scope["headers"]
    settings = doors.services.settings
    require_json(headers)
    atomic = request.flag("atomic")
    with doors.budget.share() as share:
        body = await read_body(
            headers, request.receive, limit=settings.max_body, timeout=settings.body_timeout, share=share
        )
        report = await permits.ingest(doors.services, actor, _split(body), atomic=atomic, trace_id=request.trace_id)
    return json_response(msgspec.json.encode(answer(report)))


def _split(body: bytes) -> list[msgspec.Raw]:
    """The array's items, unparsed: one bad event must not spoil its neighbours."""
    try:
        if body.count(b",") > MOST_ITEMS:
            _bound(body)
        events = _EVENTS.decode(body)
    except msgspec.ValidationError:
        raise ValidationError("The body must be a JSON array of events, also for a single one.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The body is not well-formed UTF-8 JSON. Send a JSON array of events.") from None
    except RecursionError:
        raise BadRequest("The body is nested too deep.") from None
    return events


def _bound(body: bytes) -> None:
    """Pass if the array has at most MOST_ITEMS items for certain: objects, of which the body has no more in all."""
    try:
        if body.count(b"{") <= MOST_ITEMS and _OBJECTS.decode(body):
            return
    except msgspec.ValidationError:
        pass  # not all of them are objects
    raise PayloadTooLarge("The body has too many items that are no events. Send events, or split it.")


def answer(report: IngestReport) -> IngestAnswer:
    """How ``report`` is told."""
    all_taken = not report.rejected
    return IngestAnswer(
        "success" if all_taken else "partial_success",
        "Events queued for processing" if all_taken else "Some events were rejected; see verdicts",
        report.received,
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        report.accepted,
        report.duplicates,
        report.rejected,
        report.verdicts,
    )
