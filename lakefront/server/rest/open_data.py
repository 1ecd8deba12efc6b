"""``/open-data/imports``: imports of published data sets asked for, looked at, and stopped (C5)."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.responses import Response

from lakefront.actor import LAKE_MANAGE
from lakefront.db.database import Row
from lakefront.domain import open_data
from lakefront.domain.open_data import ImportState
from lakefront.errors import NotConfigured, NotFound, Unavailable, UpstreamError, UpstreamRejected
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.changes import CHANGE_ERRORS, IDEMPOTENCY
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.json_body import read_json
from lakefront.server.rest.methods import by_method


class ImportRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be imported."""

    dataset: Annotated[str, Meta(description="The data set's id.")]
    city: Annotated[str | None, Meta(description="Whose integration of Socrata is asked; the data set's own.")] = None
    since: (
        Annotated[datetime, Meta(description="Read what changed after then, not after the last import.", tz=True)]
        | None
    ) = None


class ProblemAnswer(msgspec.Struct):
    """A row that was skipped, and why."""

    row: str
    field: str | None
    message: str


class ImportAnswer(msgspec.Struct, kw_only=True):
    """An import."""

    import_id: str
    dataset: str
    city: str
    state: ImportState
    since: datetime | None
    rows_total: int | None
    rows_read: int
    accepted: int
    duplicates: int
    rejected: int
    problems: list[ProblemAnswer]
    requested_at: datetime
    requested_by: str
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    error_code: str | None
    error_message: str | None
    trace_id: str
    version: int


class DryImportAnswer(msgspec.Struct):
    """What an import would take: rows to be read, and calls of the publisher."""

    rows: int
    outside_calls: int


_DRY_RUN: Final[dict[str, Any]] = {
    "name": "dry_run",
    "in": "query",
    "description": "Ask the publisher how many rows there are, and change nothing.",
    "schema": {"type": "boolean", "default": False},
}
_ID: Final[dict[str, Any]] = {
    "name": "import_id",
    "in": "path",
    "required": True,
    "description": "The import's id.",
    "schema": {"type": "string"},
}


@describe(
    post=Operation(
        "Have a data set imported",
        "Open data",
        {
            202: Answer("It waits for a server to carry it out: look at it by its id.", Content(ImportAnswer)),
            200: Answer("On a dry run: what it would take.", Content(DryImportAnswer)),
        },
        "What has changed since the last import, or all of it. By GraphQL: `importOpenData`, and `importProgress` to "
        "follow it.",
        LAKE_MANAGE,
        (IDEMPOTENCY, _DRY_RUN),
        Content(ImportRequest, example={"dataset": "43nn-pn8j"}),
        (*CHANGE_ERRORS, NotFound, NotConfigured, UpstreamError, UpstreamRejected),
    )
)
async def post_import(request: RestRequest) -> Response:
    """The import that was asked for."""
    actor = await request.actor(like="importOpenData")
    actor.require(LAKE_MANAGE)
    dry_run, given = request.flag("dry_run"), await read_json(request, ImportRequest)
    asked = await open_data.ask_for(
        request.doors.services,
        actor,
        given.dataset,
        city=given.city,
        since=given.since,
        idempotency_key=request.idempotency_key(),
        dry_run=dry_run,
        trace_id=request.trace_id,
    )
    if asked.row is None:
        return json_response(msgspec.json.encode(DryImportAnswer(asked.rows, asked.calls)))
    return _answer(asked.row, status=202)


@describe(
    get=Operation(
        "Look at an import",
        "Open data",
        {200: Answer("How far it is, or how it ended.", Content(ImportAnswer))},
        "By GraphQL: `openDataImport`; `openDataImports` lists them.",
        LAKE_MANAGE,
        (_ID,),
        errors=(NotFound, Unavailable),
    )
)
async def get_import(request: RestRequest) -> Response:
    """The import as it is now."""
    actor = await request.actor(like="openDataImport")
    return _answer(await open_data.find(request.doors.services, actor, _import_id(request)))


@describe(
    delete=Operation(
        "Stop an import",
        "Open data",
        {200: Answer("The import as it is now; one that has ended stays as it is.", Content(ImportAnswer))},
        "What was taken in stays, and the next import goes on from there. By GraphQL: `cancelOpenDataImport`.",
        LAKE_MANAGE,
        (_ID, IDEMPOTENCY),
        errors=(*CHANGE_ERRORS, NotFound),
    )
)
async def delete_import(request: RestRequest) -> Response:
    """The import, which goes on no more."""
    actor = await request.actor(like="cancelOpenDataImport")
    services, key = request.doors.services, request.idempotency_key()
    return _answer(await open_data.cancel(services, actor, _import_id(request), idempotency_key=key))


def _import_id(request: RestRequest) -> str:
    return str(request.scope["path_params"]["import_id"])


def _answer(row: Row, *, status: int = 200) -> Response:
    return json_response(msgspec.json.encode(msgspec.convert(row, ImportAnswer)), status=status)


look_or_stop = by_method(get=get_import, delete=delete_import)
