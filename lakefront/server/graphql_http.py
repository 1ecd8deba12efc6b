"""GraphQL over HTTP, after the working draft of that name: POST for everything, GET for what changes nothing.

Where JSON is ``application/graphql-response+json``, a request that was not executed is a 400 without ``data``; with the
older ``application/json`` it is a 200, as clients of that type expect, and so it is with ``text/event-stream``. Errors
of HTTP itself have GraphQL's shape, too. A subscription goes to whoever names ``text/event-stream`` in ``Accept``; all
else goes in events only to those who prefer them: many clients just list the type.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qsl

from graphql import OperationType
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lakefront import tracing
from lakefront.domain.documents import Documents, asked_for
from lakefront.errors import BadRequest, InternalError, LakefrontError, MethodNotAllowed, NotAcceptable
from lakefront.graphql.answers import Answer, OperationRequest, encode
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.errors import format_error, log_unforeseen
from lakefront.server.bodies import (
    ByteBudget,
    ClientGone,
    Headers,
    Share,
    check_unread,
    has_arrived,
    header,
    parse_json,
    read_body,
    require_json,
)
from lakefront.server.connection import CONNECTION, Connection
from lakefront.server.credentials import Credentials
from lakefront.server.documents import with_document
from lakefront.server.graphql_sse import COMPLETE, EVENT_STREAM, STREAM_HEADERS, EventStreams, next_event
from lakefront.server.limits import meter_of
from lakefront.server.negotiation import MAX_REMEMBERED, names, negotiate
from lakefront.server.responses import Reply, error_headers, expiry_headers, json_response, knows
from lakefront.server.token_watch import Authenticate
from lakefront.settings import Settings

GRAPHQL_JSON: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"

ENVELOPE_DEPTH: Final = 1
"""Levels of JSON around the variables: the request itself."""

VARY: Final = "Accept, Accept-Encoding"
"""What an answer depends on besides its request and its actor."""

_BY_ACTOR: Final = f"{VARY}, Authorization, X-API-Key, X-User-ID"
_ALLOW: Final = "GET, POST, OPTIONS"
_log = logging.getLogger("lakefront.server.graphql")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client reads: ``media`` for single answers, and whether it takes subscriptions in events."""

    media: str = PLAIN_JSON
    events: bool = False


class GraphQLHTTP:
    """The ASGI application behind ``/graphql`` for HTTP."""

    def __init__(
        self,
        operations: Operations,
        authenticate: Authenticate,
        settings: Settings,
        budget: ByteBudget | None = None,
        documents: Documents | None = None,
    ) -> None:
        """``budget`` is shared with the other doors that take bodies; by default one of ``settings.body_budget``.

        ``documents`` are shared, too; by default none is known until it is registered.
        """
        self._operations = operations
        self._authenticate = authenticate
        self._settings = settings
        self._budget = budget or ByteBudget(settings.body_budget)
        self._documents = documents or Documents()
        self._streams = EventStreams(operations, authenticate, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises for what a client does."""
        trace_id = tracing.received(scope["headers"])
        headers = {"vary": VARY}
        wanted = Wanted()
        response: ASGIApp
        try:
            if scope["method"] == "OPTIONS":
                response = json_response(b"", status=204, headers={**headers, "allow": _ALLOW})
            else:
                wanted = wanted_by(scope["headers"])
                response = await self._answer(scope, receive, wanted, trace_id, headers)
        except ClientGone:
            return
        except LakefrontError as error:
            _log.info("request refused trace_id=%s code=%s status=%d", trace_id, error.code, error.status)
            response = _refuse(error, wanted.media, trace_id, headers)
        except Exception as error:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            log_unforeseen(error, trace_id)
            response = _refuse(InternalError(), wanted.media, trace_id, headers)
        await response(scope, receive, send)

    @property
    def streams(self) -> int:
        """How many streams of events are open."""
        return len(self._streams.running)

    def look_again(self) -> None:
        """End the streams whose tokens do not hold any more."""
        self._streams.look_again()

    async def _answer(
        self, scope: Scope, receive: Receive, wanted: Wanted, trace_id: str, headers: dict[str, str]
    ) -> ASGIApp:
        """The response; what it adds to ``headers`` goes with the answer to a failure, too."""
        if scope["method"] not in ("GET", "POST"):
            raise MethodNotAllowed
        credentials = Credentials.of_headers(scope["headers"])
        meter = meter_of(scope)
        actor = await meter.sign_in(credentials, self._authenticate)
        headers |= expiry_headers(actor)
        meter.check(actor)
        following = self._streams.following(scope["headers"]) if wanted.events else None
        with self._budget.share() as share:
            try:
                request = await self._request(scope, receive, share)
                asked = await with_document(self._documents, request, actor, trace_id)
            except (LakefrontError, ClientGone):
                await meter.count(actor)
                raise
            post = scope["method"] == "POST"
            kept = not post and request.sha256 is not None
            operation = (
                asked
                if isinstance(asked, Answer)
                else self._operations.prepare(asked, actor, trace_id, allow_mutations=post, following=following)
            )
            await meter.count_operation(actor, operation)
            if isinstance(operation, Answer):
                return reply_to(operation, wanted.media, trace_id, headers)
            await self._documents.keep(actor, request.document, request.sha256)
            del request, asked
            if not wanted.events or operation.kind is not OperationType.SUBSCRIPTION:
                with _listening(scope, operation):
                    answer = await self._operations.run(operation)
                if kept and answer.executed and not answer.errors and wanted.media != EVENT_STREAM:
                    return _tagged(answer, wanted.media, trace_id, headers, scope["headers"])
                return reply_to(answer, wanted.media, trace_id, headers)
        return self._streams.response(operation, scope["http_version"], credentials, headers)

    async def _request(self, scope: Scope, receive: Receive, share: Share) -> OperationRequest:
        settings = self._settings
        if scope["method"] == "GET":
            check_unread(scope["headers"])
            return _from_query(scope["query_string"], settings)
        require_json(scope["headers"])
        raw = await read_body(
            scope["headers"],
            receive,
            limit=settings.graphql_max_body,
            timeout=settings.body_timeout,
            share=share,
            arrived=has_arrived(scope),
        )
        return operation_request(parse_json(raw, max_depth=settings.graphql_max_variables_depth + ENVELOPE_DEPTH))


def _listening(scope: Scope, operation: Operation) -> AbstractContextManager[None]:
    """Cancel a query when its client leaves; a mutation runs to its end, as nobody could say how far it was."""
    connection: Connection | None = scope.get("extensions", {}).get(CONNECTION)
    return nullcontext() if connection is None or operation.kind is OperationType.MUTATION else connection.presence


def wanted_by(headers: Headers) -> Wanted:
    """What ``Accept`` asks for; raises ``NotAcceptable`` if nothing of it can be served."""
    values = [value for name, value in headers if name == b"accept"]
    raw = b",".join(values) if values else None
    return _negotiated(raw) if raw is None or len(raw) <= MAX_REMEMBERED else _negotiated.__wrapped__(raw)


@lru_cache(maxsize=256)
def _negotiated(raw: bytes | None) -> Wanted:
    accept = None if raw is None else raw.decode("latin-1")
    events = names(accept, EVENT_STREAM)
    # The older type is for those who know, or say, no better.
    offered = [GRAPHQL_JSON, PLAIN_JSON] if names(accept, GRAPHQL_JSON) else [PLAIN_JSON, GRAPHQL_JSON]
    media = negotiate(accept, [*offered, EVENT_STREAM] if events else offered)
    if media is None:
        raise NotAcceptable(f"Accept {GRAPHQL_JSON}, {PLAIN_JSON} or {EVENT_STREAM}; other types cannot be served.")
    return Wanted(media, events)


def operation_request(body: Any, *, part: str = "member") -> OperationRequest:
    """The operation that a parsed body asks for; raises ``BadRequest`` naming the member (``part``) of the wrong type.

    ``variables``, ``extensions`` and ``operationName`` may be absent or null; ``query``, too, where ``documentId`` or
    ``extensions.persistedQuery`` names the document.
    """
    if isinstance(body, list):
        raise BadRequest("Batches are not served. Send one operation as a JSON object in each request.")
    if not isinstance(body, dict):
        raise BadRequest("A GraphQL request is a JSON object with the string member 'query'.")
    document, name = body.get("query"), body.get("operationName")
    variables, extensions = body.get("variables"), body.get("extensions")
    if name is not None and not isinstance(name, str):
        raise BadRequest(f"The {part} 'operationName' must be a string or null.")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest(f"The {part} 'variables' must be an object or null.")
    if extensions is not None and not isinstance(extensions, dict):
        raise BadRequest(f"The {part} 'extensions' must be an object or null.")
    sha256 = asked_for(body.get("documentId"), extensions or {}) if extensions or "documentId" in body else None
    if document is None and sha256 is not None:
        document = ""
    if not isinstance(document, str):
        raise BadRequest(f"Send a GraphQL document as text in the {part} 'query', or what names one in 'documentId'.")
    # An empty name is what some clients send for none.
    return OperationRequest(document, name or None, variables or {}, extensions or {}, sha256)


def _from_query(query_string: bytes, settings: Settings) -> OperationRequest:
    """The operation in a GET's query: as in a body, but ``variables`` and ``extensions`` as JSON."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20, separator="&"
        )
    except ValueError:
        raise BadRequest("The URL's query could not be read. Encode it as UTF-8, percent-escaped.") from None
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise BadRequest("A parameter of the URL came twice. Send each once.")
        members[name] = value
        if name in ("variables", "extensions"):
            depth, what = settings.graphql_max_variables_depth, f"The parameter '{name}'"
            members[name] = parse_json(value.encode(), max_depth=depth, what=what) if value else None
    return operation_request(members, part="parameter")


def reply_to(answer: Answer, media: str, trace_id: str, headers: Mapping[str, str]) -> Reply:
    """The answer of an operation over HTTP, with ``headers`` besides its own."""
    refusal = answer.refusal
    if refusal is not None:
        _log.info("operation refused trace_id=%s code=%s", trace_id, refusal.code)
    # What the client should do about these is HTTP's to say, whatever media type it reads.
    if refusal is not None and refusal.status not in (400, 409, 410):
        headers = {**headers, **error_headers(refusal, trace_id)}
        if isinstance(refusal, MethodNotAllowed):
            headers["allow"] = "POST"
        return Reply(answer.encode(), refusal.status, {"content-type": json_type(media), **headers})
    headers = {"content-type": json_type(media), **headers, "x-trace-id": trace_id}
    if media == EVENT_STREAM:
        return Reply(next_event(answer) + COMPLETE, 200, {**headers, **STREAM_HEADERS})
    status = 400 if not answer.executed and media == GRAPHQL_JSON else 200
    return Reply(answer.encode(), status, headers)


def _tagged(answer: Answer, media: str, trace_id: str, headers: Mapping[str, str], asked: Headers) -> Response:
    """What a GET got whose document has a name: its URL is all of it, so that whoever has the answer may keep it.

    It is asked for anew each time, as it is of now and of its actor, but sent only if it is another one. The ETag is a
    weak one: the bytes depend on how they are compressed.
    """
    body = answer.encode()
    tag = f'W/"{blake2b(media.encode() + body, digest_size=16).hexdigest()}"'
    headers = {**headers, "x-trace-id": trace_id, "etag": tag, "vary": _BY_ACTOR, "cache-control": "private, no-cache"}
    if knows(header(asked, b"if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return json_response(body, media_type=json_type(media), headers=headers)


def json_type(media: str) -> str:
    """The type of an answer in JSON, as ``content-type`` names it."""
    # The errors of HTTP are for whoever looks at the status first, and that is no reader of events.
    return f"{PLAIN_JSON if media == EVENT_STREAM else media}; charset=utf-8"


def _refuse(error: LakefrontError, media: str, trace_id: str, headers: Mapping[str, str]) -> Response:
    headers = {**headers, **error_headers(error, trace_id)}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = _ALLOW
    body = encode({"errors": [format_error(error, trace_id)]})
    return json_response(body, status=error.status, media_type=json_type(media), headers=headers)
