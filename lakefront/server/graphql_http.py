"""GraphQL over HTTP, after the working draft of that name: POST for everything, GET for queries.

Where JSON is ``application/graphql-response+json``, a request that was not executed is a 400 without ``data``; with the
older ``application/json`` it is a 200, as clients of that type expect. Errors of HTTP itself have GraphQL's shape, too.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lakefront.actor import Actor
from lakefront.errors import BadRequest, InternalError, LakefrontError, MethodNotAllowed, NotAcceptable
from lakefront.graphql.operations import Answer, OperationRequest, Operations, encode
from lakefront.graphql.plan.errors import format_error, log_unforeseen
from lakefront.server.bodies import ByteBudget, ClientGone, header, parse_json, read_body, require_json
from lakefront.server.negotiation import negotiate
from lakefront.server.origins import check_origin
from lakefront.server.responses import error_headers, json_response, new_trace_id
from lakefront.settings import Settings

Authenticate = Callable[[str | None], Awaitable[Actor]]
"""The Authorization header's value, or ``None`` -> who asks; raises ``Unauthenticated`` or ``Unavailable``."""

GRAPHQL_JSON: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"

ENVELOPE_DEPTH: Final = 1
"""Levels of JSON around the variables: the request itself."""

_ALLOW: Final = "GET, POST, OPTIONS"
_log = logging.getLogger("lakefront.server.graphql")


class GraphQLHTTP:
    """The ASGI application behind ``/graphql`` for HTTP."""

    def __init__(
        self, operations: Operations, authenticate: Authenticate, settings: Settings, budget: ByteBudget | None = None
    ) -> None:
        """``budget`` is shared with the other doors that take bodies; by default one of ``settings.body_budget``."""
        self._operations = operations
        self._authenticate = authenticate
        self._settings = settings
        self._budget = budget or ByteBudget(settings.body_budget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises for what a client does."""
        trace_id = new_trace_id()
        headers: dict[str, str] = {"vary": "Origin, Accept"}
        media = PLAIN_JSON
        try:
            headers |= self._cross_origin(scope)
            if scope["method"] == "OPTIONS":
                response = _options(headers)
            else:
                media = self._media(scope)
                answer = await self._answer(scope, receive, trace_id)
                response = _respond(answer, media, trace_id, headers)
        except ClientGone:
            return
        except LakefrontError as error:
            _log.info("request refused trace_id=%s code=%s status=%d", trace_id, error.code, error.status)
            response = _refuse(error, media, trace_id, headers)
        except Exception as error:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            log_unforeseen(error, trace_id)
            response = _refuse(InternalError(), media, trace_id, headers)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, trace_id: str) -> Answer:
        method = scope["method"]
        if method not in ("GET", "POST"):
            raise MethodNotAllowed
        authorization = header(scope["headers"], b"authorization")
        actor = await self._authenticate(authorization.decode("latin-1") if authorization is not None else None)
        if method == "GET":
            request = _from_query(scope["query_string"], self._settings)
            return await self._operations.execute(request, actor, trace_id, allow_mutations=False)
        require_json(scope["headers"])
        settings = self._settings
        with self._budget.share() as share:
            raw = await read_body(
                scope["headers"], receive, limit=settings.graphql_max_body, timeout=settings.body_timeout, share=share
            )
            request = operation_request(
                parse_json(raw, max_depth=settings.graphql_max_variables_depth + ENVELOPE_DEPTH)
            )
            del raw
            return await self._operations.execute(request, actor, trace_id)

    def _media(self, scope: Scope) -> str:
        values = [value for name, value in scope["headers"] if name == b"accept"]
        media = negotiate(b",".join(values).decode("latin-1") if values else None, (PLAIN_JSON, GRAPHQL_JSON))
        if media is None:
            raise NotAcceptable(f"Accept {GRAPHQL_JSON} or {PLAIN_JSON}; other types cannot be served.")
        return media

    def _cross_origin(self, scope: Scope) -> dict[str, str]:
        origin = check_origin(scope["headers"], self._settings.allowed_origins)
        if origin is None:
            return {}
        return {"access-control-allow-origin": origin, "access-control-expose-headers": "Retry-After, X-Trace-ID"}


def _options(headers: Mapping[str, str]) -> Response:
    if "access-control-allow-origin" in headers:
        headers = {
            **headers,
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": "Authorization, Content-Type, Accept",
            "access-control-max-age": "600",
        }
    return json_response(b"", status=204, headers={**headers, "allow": _ALLOW})


def operation_request(body: Any) -> OperationRequest:
    """The operation that a parsed body asks for; raises ``BadRequest`` naming the member of the wrong type.

    ``variables``, ``extensions`` and ``operationName`` may be absent or null.
    """
    if isinstance(body, list):
        raise BadRequest("Batches are not served. Send one operation as a JSON object in each request.")
    if not isinstance(body, dict):
        raise BadRequest("A GraphQL request is a JSON object with the string member 'query'.")
    document, name = body.get("query"), body.get("operationName")
    variables, extensions = body.get("variables"), body.get("extensions")
    if not isinstance(document, str):
        raise BadRequest("The member 'query' must be a string that holds a GraphQL document.")
    if not isinstance(name, str | None):
        raise BadRequest("The member 'operationName' must be a string or null.")
    if not isinstance(variables, dict | None):
        raise BadRequest("The member 'variables' must be an object or null.")
    if not isinstance(extensions, dict | None):
        raise BadRequest("The member 'extensions' must be an object or null.")
    # An empty name is what some clients send for none.
    return OperationRequest(document, name or None, variables or {}, extensions or {})


def _from_query(query_string: bytes, settings: Settings) -> OperationRequest:
    """The operation in a GET's query: ``query``, ``operationName``, and as JSON ``variables`` and ``extensions``."""
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
        if name in ("variables", "extensions"):
            depth = settings.graphql_max_variables_depth
            members[name] = parse_json(value.encode(), max_depth=depth) if value else None
        else:
            members[name] = value
    return operation_request(members)


def _respond(answer: Answer, media: str, trace_id: str, headers: Mapping[str, str]) -> Response:
    refusal = answer.refusal
    if refusal is not None:
        _log.info("operation refused trace_id=%s code=%s", trace_id, refusal.code)
    # What the client should do about these is HTTP's to say, whatever media type it reads.
    if refusal is not None and refusal.status not in (400, 409, 410):
        headers = {**headers, **error_headers(refusal, trace_id)}
        if isinstance(refusal, MethodNotAllowed):
            headers["allow"] = "POST"
        status = refusal.status
    else:
        status = 400 if not answer.executed and media == GRAPHQL_JSON else 200
        headers = {**headers, "x-trace-id": trace_id}
    return json_response(answer.encode(), status=status, media_type=f"{media}; charset=utf-8", headers=headers)


def _refuse(error: LakefrontError, media: str, trace_id: str, headers: Mapping[str, str]) -> Response:
    headers = {**headers, **error_headers(error, trace_id)}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = _ALLOW
    body = encode({"errors": [format_error(error, trace_id)]})
    return json_response(body, status=error.status, media_type=f"{media}; charset=utf-8", headers=headers)
