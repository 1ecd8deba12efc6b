"""``POST /service-request-records``: what cities publish of service requests, in batches (C5, X6)."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from lakefront.actor import SERVICE_REQUESTS_UPDATE
from lakefront.domain.service_requests import Record, Recorded, RecordOutcome, RecordVerdict
from lakefront.domain.service_requests.take import take
from lakefront.errors import (
    BadRequest,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
    UnsupportedMediaType,
    ValidationError,
)
from lakefront.server.bodies import read_body, require_json
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.permits_openapi import ENCODING
from lakefront.server.rest.service_requests_openapi import DRY_RUN

RECORDS: Final = "/service-request-records"

LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a batch, sent and unpacked."""

_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class RecordsAnswer(msgspec.Struct):
    """How many rows there were and what became of them; ``verdicts``: each that is not in, by its place in the list."""

    received: int
    created: int
    changed: int
    unchanged: int
    older: Annotated[int, Meta(description="A newer word on the request was there.")]
    rejected: int
    verdicts: list[RecordVerdict]

    @classmethod
    def of(cls, recorded: Recorded) -> "RecordsAnswer":
        """The domain's verdicts."""
        counts = {outcome.value: recorded.count(outcome) for outcome in RecordOutcome}
        refused = [verdict for verdict in recorded.verdicts if verdict.outcome is RecordOutcome.REJECTED]
        return cls(received=len(recorded.verdicts), verdicts=refused, **counts)


@describe(
    post=Operation(
        "Record published service requests",
        "Service requests",
        {
            200: Answer(
                "What became of each; those that are not valid keep none of the others out.", Content(RecordsAnswer)
            )
        },
        "Sending them again changes nothing, and an older row never comes over a newer one. `provider` and "
        "`unique_key` tell them apart.",
        SERVICE_REQUESTS_UPDATE,
        (DRY_RUN, ENCODING),
        Content(
            list[Record],
            example=[
                {
                    "provider": "nyc311",
                    "city": "nyc",
                    "unique_key": "19938191",
                    "reported_at": "2011-03-01T16:02:37Z",
                    "external_status": "Closed",
                    "complaint_type": "Illegal Parking",
                    "borough": "BROOKLYN",
                }
            ],
        ),
        (ValidationError, BadRequest, RequestTimeout, PayloadTooLarge, UnsupportedMediaType, Unavailable),
    )
)
async def post_records(request: RestRequest) -> Response:
    """Counts, and a verdict for each row that was refused."""
    actor = await request.actor()
    actor.require(SERVICE_REQUESTS_UPDATE)
    doors, headers = request.doors, request.scope["headers"]
    require_json(headers)
    dry_run = request.flag("dry_run")
    with doors.budget.share() as share:
        timeout = doors.services.settings.body_timeout
        body = await read_body(headers, request.receive, limit=LIMIT, timeout=timeout, share=share)
        recorded = await take(doors.services, actor, _split(body), dry_run=dry_run, trace_id=request.trace_id)
    return json_response(msgspec.json.encode(RecordsAnswer.of(recorded)))


def _split(body: bytes) -> list[msgspec.Raw]:
    """The array's items, unparsed."""
    try:
        if body.count(b",") > LIMIT // 16:
            raise PayloadTooLarge("The body has too many items that are no rows. Send rows, or split it.")
        return _ROWS.decode(body)
    except msgspec.ValidationError:
        raise ValidationError("The body must be a JSON array of rows, also for a single one.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not well-formed UTF-8 JSON. Send a JSON array of rows.") from None
