"""The OpenAPI 3.1 document (R16), made from what each handler declares beside itself: no second list of paths."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
import orjson
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lakefront import __version__
from lakefront.errors import Forbidden, InternalError, LakefrontError, RateLimited, Unauthenticated
from lakefront.server.credentials import MAX_USER_ID
from lakefront.server.hosts import UNCHECKED, MisdirectedRequest
from lakefront.server.limits.headers import NAMES
from lakefront.server.responses import json_response
from lakefront.server.rest.door import RestRequest

Schema = Mapping[str, Any]
Declared = TypeVar("Declared")

JSON_MEDIA: Final = "application/json"
_REF: Final = "#/components/schemas/{name}"

DESCRIPTION: Final = """\
The REST doors of a GraphQL-first server: whatever comes in or out here does so by GraphQL, too (`/graphql`).

- **Tokens**: `Authorization: Bearer …`; `lakefront token --role …` makes one. **API keys**: `X-API-Key: …`, and
  `X-User-ID: …` for your own audit trail. From ten days before a key ends, `X-API-Key-Expires` says so in each answer.
- **Errors** have one shape, `Error`, and a message that tells what to do next. With 429 and 503 comes `Retry-After`.
- **Limits**: `RateLimit`, `RateLimit-Policy` and `X-RateLimit-Limit/Remaining/Reset` tell where you stand.
- **Hosts**: a request for a name that is not the server's is a 421 (`LAKEFRONT_ALLOWED_HOSTS`).
- Every answer has an `X-Trace-Id`, under which the server's log tells more.
"""


@dataclass(frozen=True, slots=True)
class Content:
    """What a body holds: a schema, or a type of which msgspec makes one; ``components`` are what a schema refers to."""

    schema: Any
    media: tuple[str, ...] = (JSON_MEDIA,)
    example: Any = None
    components: Mapping[str, Schema] = field(default_factory=dict)
    required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no error."""

    description: str
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of a path does. ``scope``: what the token must be good for; ``None`` where none is needed.

    ``maybe_open``: by the server's settings it does without a token, too.
    """

    summary: str
    tag: str
    answers: Mapping[int, Answer]
    description: str = ""
    scope: str | None = None
    parameters: Sequence[Schema] = ()
    body: Content | None = None
    errors: Sequence[type[LakefrontError]] = ()
    maybe_open: bool = False

    def every_error(self) -> list[type[LakefrontError]]:
        """Its own errors, and those that any handler has."""
        signed_in = [Unauthenticated, Forbidden, RateLimited] if self.scope is not None else []
        return list(dict.fromkeys([*self.errors, *signed_in, InternalError]))


def describe(**methods: Operation) -> Callable[[Declared], Declared]:
    """Declare what a handler does, by method (``get=…``); ``document`` finds it on the handler."""

    def declared(handler: Declared) -> Declared:
        handler.openapi = methods  # type: ignore[attr-defined] # functions and classes take attributes
        return handler

    return declared


def described(route: BaseRoute) -> Mapping[str, Operation] | None:
    """What the handler behind ``route`` declares, by method; ``None`` for pages, sockets, and what declares nothing."""
    app = getattr(route, "app", None)
    return described_by(getattr(app, "handler", app))


def described_by(handler: Any) -> Mapping[str, Operation] | None:
    """What a handler declares, by method; ``None`` if it declares nothing."""
    found: Mapping[str, Operation] | None = getattr(handler, "openapi", None)
    return found


class OpenAPIDocument:
    """``/openapi.json`` as a handler; made when it is first asked for, so that the start does not wait for it."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes
        self._body: bytes | None = None

    async def __call__(self, request: RestRequest) -> Response:
        """The document; it holds no data, so it is public (T7)."""
        del request
        if self._body is None:
            self._body = orjson.dumps(document(self._routes))
        return json_response(self._body)


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The OpenAPI document of every route that declares itself."""
    paths: dict[str, dict[str, Any]] = {}
    operations: list[Operation] = []
    for route in routes:
        for method, operation in (described(route) or {}).items():
            assert isinstance(route, Route)
            made = _operation(operation)
            if route.path not in UNCHECKED:
                made["responses"]["421"] = {"$ref": "#/components/responses/Misdirected"}
            paths.setdefault(route.path_format, {})[method] = made
            operations.append(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lakefront",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **_components(operations)},
            "parameters": {"UserId": _USER_ID},
            "headers": _HEADERS,
            "responses": {"Misdirected": _error_answer([MisdirectedRequest])},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": operation.summary, "tags": [operation.tag], "security": []}
    if operation.description:
        made["description"] = operation.description
    if operation.scope is not None:
        scopes = [operation.scope] if operation.scope else []
        made["security"] = [{"bearer": scopes}, {"key": scopes}, *([{}] if operation.maybe_open else [])]
    signs_in = [{"$ref": "#/components/parameters/UserId"}] if operation.scope is not None else []
    if parameters := [*operation.parameters, *signs_in]:
        made["parameters"] = parameters
    if operation.body is not None:
        made["requestBody"] = {"required": operation.body.required, "content": _content(operation.body)}
    responses: dict[str, Any] = {}
    for status, answer in operation.answers.items():
        responses[str(status)] = {"description": answer.description}
        if names := _ERROR_HEADERS.get(status, NAMES if signs_in else ()):
            responses[str(status)]["headers"] = _headers(*names)
        if answer.content is not None:
            responses[str(status)]["content"] = _content(answer.content)
    made["responses"] = {**responses, **_errors(operation.every_error(), set(operation.answers))}
    return made


def _content(content: Content) -> dict[str, Any]:
    schema = content.schema
    if not isinstance(schema, Mapping):
        (schema,), _ = msgspec.json.schema_components([schema], ref_template=_REF)
    made: dict[str, Any] = {"schema": schema}
    if content.example is not None:
        made["example"] = content.example
    return dict.fromkeys(content.media, made)


def _errors(errors: Sequence[type[LakefrontError]], answered: set[int]) -> dict[str, Any]:
    """One answer for each status, with the errors that have it as examples."""
    made: dict[str, Any] = {}
    for status in sorted({error.status for error in errors} - answered):
        ours = [error for error in errors if error.status == status]
        made[str(status)] = _error_answer(ours)
    return made


def _error_answer(errors: Sequence[type[LakefrontError]]) -> dict[str, Any]:
    """The answer with which all of ``errors``, of one status, come."""
    status = errors[0].status
    made: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}. " + " ".join(error.default_message for error in errors),
        "content": {
            JSON_MEDIA: {
                "schema": {"$ref": _REF.format(name="Error")},
                "examples": {error.code: {"value": _error_example(error)} for error in errors},
            }
        },
    }
    if status in _ERROR_HEADERS:
        made["headers"] = _headers(*_ERROR_HEADERS[status])
    return made


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error_example(error: type[LakefrontError]) -> dict[str, Any]:
    return {
        "error_code": error.code,
        "message": error.default_message,
        "details": [],
        "timestamp": "2024-01-15T10:30:00.000+00:00",
    }


def _components(operations: Sequence[Operation]) -> dict[str, Schema]:
    """The schemas that operations refer to."""
    contents = [answer.content for operation in operations for answer in operation.answers.values()]
    contents += [operation.body for operation in operations]
    types: list[Any] = []
    made: dict[str, Schema] = {}
    for content in contents:
        if content is None:
            continue
        made |= content.components
        if not isinstance(content.schema, Mapping):
            types.append(content.schema)
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    return {**components, **made}


_ERROR_HEADERS: Final = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After", *NAMES),
    503: ("Retry-After",),
}
"""What comes with an answer of that status."""

_HEADERS: Final[Mapping[str, Schema]] = {
    "WWW-Authenticate": {
        "description": "How to sign in better (RFC 6750): what is wrong with the token, or the scope that it lacks.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "X-RateLimit-Limit": {
        "description": "Requests in the window of the tightest limit.",
        "schema": {"type": "integer"},
    },
    "X-RateLimit-Remaining": {"description": "Those of them that are left.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {"description": "When there are more: Unix time in seconds.", "schema": {"type": "integer"}},
    "RateLimit": {
        "description": "What is left of each limit (`r`), and the seconds until there is more (`t`).",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "Each limit: requests (`q`) in a window of seconds (`w`).",
        "schema": {"type": "string"},
    },
}
"""Headers of answers; absent where nothing is limited, or there is nothing to tell."""

_USER_ID: Final[Schema] = {
    "name": "X-User-ID",
    "in": "header",
    "description": "For whom you act: noted in your audit trail, never authority.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID},
}

_ERROR: Final[Schema] = {
    "type": "object",
    "description": "Every error that is not GraphQL's own (L11).",
    "required": ["error_code", "message", "details", "timestamp"],
    "properties": {
        "error_code": {"type": "string", "description": "Stable, for programs."},
        "message": {"type": "string", "description": "For people: what happened and what to do next."},
        "details": {
            "type": "array",
            "description": "What is wrong with single fields or events.",
            "items": {"type": "object"},
        },
        "timestamp": {"type": "string", "format": "date-time"},
    },
}
