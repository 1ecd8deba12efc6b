"""``/service-requests``: reported, read, changed by REST (C10, C15); the same use-cases as the mutations."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.responses import Response

from lakefront.actor import SERVICE_REQUESTS_CREATE, SERVICE_REQUESTS_READ, SERVICE_REQUESTS_UPDATE, Actor
from lakefront.domain import reads, service_requests
from lakefront.domain.service_requests import State, SubmitInput, UpdateInput
from lakefront.domain.service_requests.sources import SERVICE_REQUESTS
from lakefront.errors import BadRequest, NotConfigured, NotFound, Unavailable, ValidationError
from lakefront.graphql.declare.arguments import page_request
from lakefront.graphql.declare.cursors import cursor
from lakefront.graphql.declare.limits import MOST
from lakefront.graphql.service_requests import ServiceRequest as Rows
from lakefront.server.openapi import Answer, Content, Operation, describe
from lakefront.server.responses import json_response
from lakefront.server.rest.changes import CHANGE_ERRORS, IDEMPOTENCY
from lakefront.server.rest.door import RestRequest
from lakefront.server.rest.json_body import read_json
from lakefront.server.rest.methods import by_method
from lakefront.server.rest.service_requests_openapi import (
    DRY_RUN,
    EXAMPLE,
    FILTERS,
    PAGE,
    REQUEST_ID,
    ServiceRequest,
    ServiceRequestAnswer,
    ServiceRequestsAnswer,
)

PATH: Final = "/service-requests"
ONE: Final = f"{PATH}/{{request_id}}"

_Update: Final = msgspec.defstruct(
    "ServiceRequestUpdate",
    [(each.name, each.type, each.default) for each in msgspec.structs.fields(UpdateInput) if each.name != "request_id"],
    kw_only=True,
    frozen=True,
    forbid_unknown_fields=True,
)
"""A change, of the request in the path; what is left out stays as it is."""


@describe(
    get=Operation(
        "List service requests",
        "Service requests",
        {200: Answer("One page, the oldest first; `next` is null on the last.", Content(ServiceRequestsAnswer))},
        "A citizen's are their own. Filters hold together; what else can be asked of them, GraphQL can: "
        "`serviceRequests`.",
        SERVICE_REQUESTS_READ,
        (*FILTERS.values(), *PAGE.values()),
        errors=(BadRequest, ValidationError, Unavailable),
    )
)
async def list_requests(request: RestRequest) -> Response:
    """The page that the query asks for."""
    actor = await _actor(request, SERVICE_REQUESTS_READ, like="serviceRequests")
    wanted = page_request(Rows, _arguments(request))
    page = await reads.page(request.doors.services, actor, SERVICE_REQUESTS, wanted)
    found = [msgspec.convert(row, ServiceRequest) for row in page.rows]
    following = cursor(SERVICE_REQUESTS, wanted.order, page.rows[-1]) if page.more else None
    return json_response(msgspec.json.encode(ServiceRequestsAnswer(found, following)))


@describe(
    get=Operation(
        "Read a service request",
        "Service requests",
        {200: Answer("As it stands.", Content(ServiceRequestAnswer))},
        "A citizen's own. By GraphQL: `serviceRequest`.",
        SERVICE_REQUESTS_READ,
        (REQUEST_ID,),
        errors=(NotFound, Unavailable),
    )
)
async def get_request(request: RestRequest) -> Response:
    """The request in the path."""
    actor = await _actor(request, SERVICE_REQUESTS_READ, like="serviceRequest")
    found = await service_requests.find(request.doors.services, actor, request.scope["path_params"]["request_id"])
    return _answer(service_requests.Changed(found))


@describe(
    post=Operation(
        "Report something to a city",
        "Service requests",
        {
            200: Answer("A dry run: it would have been taken.", Content(ServiceRequestAnswer)),
            201: Answer(
                "It is stored, and filed with the city as soon as that answers.", Content(ServiceRequestAnswer)
            ),
        },
        "It is the reporter's own. By GraphQL: `submitServiceRequest`.",
        SERVICE_REQUESTS_CREATE,
        (IDEMPOTENCY, DRY_RUN),
        Content(SubmitInput, example=EXAMPLE),
        (*CHANGE_ERRORS, NotConfigured),
    )
)
async def post_request(request: RestRequest) -> Response:
    """The request as it is stored."""
    actor = await _actor(request, SERVICE_REQUESTS_CREATE, like="submitServiceRequest")
    dry_run, given = request.flag("dry_run"), await read_json(request, SubmitInput)
    services, once = request.doors.services, request.idempotency_key()
    changed = await service_requests.submit(
        services, actor, given, idempotency_key=once, dry_run=dry_run, trace_id=request.trace_id
    )
    return _answer(changed, status=200 if dry_run else 201)


@describe(
    patch=Operation(
        "Change a service request",
        "Service requests",
        {200: Answer("As it is now; on a dry run, as it would be.", Content(ServiceRequestAnswer))},
        "What is left out stays as it is; with `version`, another by now is a conflict. The city is not told of it. By "
        "GraphQL: `updateServiceRequest`.",
        SERVICE_REQUESTS_UPDATE,
        (REQUEST_ID, IDEMPOTENCY, DRY_RUN),
        Content(_Update, example={"state": "IN_PROGRESS", "version": 2}),
        (*CHANGE_ERRORS, NotFound),
    )
)
async def patch_request(request: RestRequest) -> Response:
    """The request in the path as it is now."""
    actor = await _actor(request, SERVICE_REQUESTS_UPDATE, like="updateServiceRequest")
    dry_run, given = request.flag("dry_run"), await read_json(request, _Update)
    services, once = request.doors.services, request.idempotency_key()
    change = UpdateInput(request_id=request.scope["path_params"]["request_id"], **msgspec.structs.asdict(given))
    changed = await service_requests.update(
        services, actor, change, idempotency_key=once, dry_run=dry_run, trace_id=request.trace_id
    )
    return _answer(changed)


list_or_post = by_method(get=list_requests, post=post_request)
get_or_patch = by_method(get=get_request, patch=patch_request)


async def _actor(request: RestRequest, scope: str, *, like: str) -> Actor:
    """Who asks, if they may; before the body is read, so that nobody else may make us read it."""
    actor = await request.actor(like=like)
    actor.require(scope)
    return actor


def _answer(changed: service_requests.Changed, *, status: int = 200) -> Response:
    told = msgspec.convert(changed.service_request, ServiceRequest, from_attributes=True)
    return json_response(msgspec.json.encode(ServiceRequestAnswer(told, changed.report)), status=status)


def _arguments(request: RestRequest) -> dict[str, Any]:
    """The query as the arguments of ``serviceRequests``; raises ``BadRequest`` for what it does not have."""
    query = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    known = {**FILTERS, **PAGE}
    if wrong := sorted(query.keys() - known.keys()):
        raise BadRequest(f"There is no query parameter '{wrong[0][:50]}' here. There is {', '.join(known)}.")
    if many := [name for name, values in query.items() if len(values) > 1]:
        raise BadRequest(f"Give '{many[0]}' once.")
    given = {name: value for name, (value,) in query.items()}
    arguments: dict[str, Any] = {"after": given.get("after")}
    if "first" in given:
        text = given["first"]
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
            raise BadRequest(f"Give first as a whole number from 1 to {MOST}.")
        arguments["first"] = int(text)
    conditions = _conditions(given)
    return arguments | ({"filter": conditions} if conditions else {})


def _conditions(given: Mapping[str, str]) -> dict[str, Any]:
    names = {"state": "state", "complaint_type": "complaintType", "borough": "borough", "city": "city"}
    found: dict[str, Any] = {names[name]: {"eq": value} for name, value in given.items() if name in names}
    if "state" in found and given["state"] not in State.__members__:
        raise BadRequest(f"There is no state '{given['state'][:50]}'. There is {', '.join(State.__members__)}.")
    return found
