"""``/graphql`` for browsers: GraphiQL where a page is asked for, the GraphQL door for everybody else."""

from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lakefront.server.graphql_http import GRAPHQL_JSON, PLAIN_JSON
from lakefront.server.negotiation import negotiate
from lakefront.server.openapi import Answer, Content, Operation, describe

_HTML: Final = "text/html"
_MEDIA: Final = (GRAPHQL_JSON, PLAIN_JSON)

_NAMED: Final = "A persisted document: `sha256:` and the hash of its text"

_REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "anyOf": [{"required": ["query"]}, {"required": ["documentId"]}, {"required": ["extensions"]}],
    "properties": {
        "query": {"type": "string", "description": "A GraphQL document."},
        "documentId": {"type": "string", "description": f"{_NAMED}; instead of `query`, or beside it."},
        "operationName": {"type": ["string", "null"]},
        "variables": {"type": ["object", "null"]},
        "extensions": {"type": ["object", "null"]},
    },
}

_RESULT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "data": {"type": ["object", "null"]},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/GraphQLError"}},
        "extensions": {"type": "object"},
    },
}

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        "locations": {"type": "array", "items": {"type": "object"}},
        "path": {"type": "array", "items": {"type": ["string", "integer"]}},
        "extensions": {"type": "object", "description": "`code`, `errorCode`, `details`, `traceId`, `timestamp`."},
    },
}

_CONTENT: Final = Content(_RESULT, _MEDIA, components={"GraphQLError": _ERROR})
_DESCRIPTION: Final = (
    "GraphQL over HTTP. The schema tells what there is and which scope each root field wants; ask it in GraphiQL, "
    "the page that browsers get here. Subscriptions go over WebSocket (`graphql-transport-ws`) at this same path, or "
    "as server-sent events to whoever accepts `text/event-stream`; `Last-Event-ID` resumes them."
)


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"}}


def _answers() -> dict[int, Answer]:
    """What both methods answer; HTTP's own errors have GraphQL's shape here."""
    told = {
        200: "The result; with `application/json` also of a request that was not executed.",
        400: "The request was not executed: see `errors`.",
        401: "No token, or one that does not hold.",
        403: "The token lacks the scope of a field, or the page's origin is not allowed.",
        429: "Too many operations. Wait as long as Retry-After says.",
        503: "A part that is needed is away. Wait as long as Retry-After says.",
        504: "The operation ran longer than it may.",
    }
    return {status: Answer(description, _CONTENT) for status, description in told.items()}


@describe(
    get=Operation(
        "Query by URL, or get GraphiQL",
        "GraphQL",
        {
            **_answers(),
            200: Answer("The result; browsers, which accept `text/html`, get GraphiQL.", _CONTENT),
            304: Answer("The answer to a persisted document is still the one that `If-None-Match` names."),
            405: Answer("A mutation, which goes by POST.", _CONTENT),
        },
        _DESCRIPTION,
        scope="",
        parameters=(
            _query("query", "A GraphQL document with a query."),
            _query("documentId", f"{_NAMED}; instead of `query`. Such an answer has an ETag."),
            _query("operationName", "Which of its operations."),
            _query("variables", "A JSON object."),
            _query("extensions", "A JSON object."),
        ),
    ),
    post=Operation(
        "Query or mutate",
        "GraphQL",
        {
            **_answers(),
            413: Answer("The request is too large.", _CONTENT),
            415: Answer("The request is not `application/json`.", _CONTENT),
        },
        _DESCRIPTION,
        scope="",
        body=Content(_REQUEST, example={"query": "{ permits(first: 1) { nodes { permitId status } } }"}),
    ),
)
class GraphiQLOrGraphQL:
    """Tell a browser's visit from a client's query by what it accepts."""

    def __init__(self, page: ASGIApp, graphql: ASGIApp) -> None:
        self._page = page
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on to the one or the other."""
        await (self._page if _wants_page(scope) else self._graphql)(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    """Whether a GET or HEAD prefers HTML: it must be named, since ``*/*`` is what API clients send."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
    return negotiate(accept, (PLAIN_JSON, GRAPHQL_JSON, _HTML)) == _HTML
