"""Answers of the doors: bytes with the headers that every answer needs; errors in REST's shape (L11) or GraphQL's."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lakefront.actor import Actor, Kind
from lakefront.errors import Forbidden, InternalError, LakefrontError, Unauthenticated
from lakefront.graphql.plan.errors import format_error

JSON: Final = "application/json; charset=utf-8"

GRAPHQL_PATH: Final = "/graphql"
"""Where errors have GraphQL's shape, whoever tells them."""

REALM: Final = 'Bearer realm="lakefront"'
"""What every challenge to sign in begins with."""


WARN_BEFORE: Final = 10 * 86_400.0
"""Seconds before its end from which on the answers to an API key warn: from day 80 of 90 on."""


def json_response(
    body: bytes, *, status: int = 200, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """``body``, already encoded. What every answer needs besides, ``security_headers`` adds."""
    return Response(body, status, {"content-type": media_type, **(headers or {})})


class Reply:
    """A whole answer as an ASGI application: what Starlette's does, without what most answers have no need of."""

    __slots__ = ("_headers", "body", "status")

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        """``headers`` with names in lower case and without ``content-length``; not for a status without a body."""
        self.body = body
        self.status = status
        self._headers = headers

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI has them, without the length."""
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        headers = [*self.headers(), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def knows(if_none_match: bytes | None, etag: str) -> bool:
    """Whether the header ``If-None-Match`` names ``etag``, or whatever there is; weak or not is the same to it."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(",")}
    return etag.removeprefix("W/") in tags or "*" in tags


def vary(headers: list[tuple[bytes, bytes]], by: bytes) -> list[tuple[bytes, bytes]]:
    """``headers`` of an answer (names in lower case) that say that it depends on the request's header ``by``, too."""
    for index, (name, value) in enumerate(headers):
        if name == b"vary":
            headers[index] = (name, value + b", " + by)
            return headers
    headers.append((b"vary", by))
    return headers


def error_body(error: LakefrontError, trace_id: str) -> bytes:
    """``{error_code, message, details, timestamp}`` (L11); failures of ours name the trace id in their details."""
    details = error.details
    if isinstance(error, InternalError):
        details = [*details, {"trace_id": trace_id}]
    return orjson.dumps(
        {
            "error_code": error.code,
            "message": error.message,
            "details": details,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
    )


def error_headers(error: LakefrontError, trace_id: str) -> dict[str, str]:
    """What HTTP wants to be told beside the body: when to retry, how to authenticate, and the trace id."""
    headers = {"x-trace-id": trace_id}
    if error.retry_seconds is not None:
        headers["retry-after"] = str(error.retry_seconds)
    challenge = _challenge(error)
    if challenge is not None:
        headers["www-authenticate"] = challenge
    return headers


def _challenge(error: LakefrontError) -> str | None:
    """How to sign in better (RFC 6750): told where nobody is signed in, or where a scope is missing."""
    match error:
        case Unauthenticated(problem=None):
            return REALM
        case Unauthenticated(problem=problem):
            return f'{REALM}, error="{problem}"'
        case Forbidden(scope=str(scope)):
            return f'{REALM}, error="insufficient_scope", scope="{scope}"'
        case _:
            return None


def expiry_headers(actor: Actor) -> dict[str, str]:
    """The warning that an API key ends soon: ``X-API-Key-Expires`` (RFC 3339), and the same in words (L14)."""
    if actor.kind is not Kind.KEY or actor.expires_at is None or actor.expires_at - time.time() > WARN_BEFORE:
        return {}
    ends = datetime.fromtimestamp(actor.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"x-api-key-expires": ends, "warning": f'299 lakefront "This API key ends at {ends}. Rotate it before."'}


def error_response(error: LakefrontError, trace_id: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """The REST answer to a request that failed with ``error``; further ``headers`` (``Allow``, say) go along."""
    return json_response(
        error_body(error, trace_id), status=error.status, headers={**error_headers(error, trace_id), **(headers or {})}
    )


def refusal(scope: Scope, error: LakefrontError, trace_id: str) -> Response:
    """The answer to what is refused before its door, or in a handshake: in the shape of that door's errors."""
    if scope["path"] != GRAPHQL_PATH:
        return error_response(error, trace_id)
    body = orjson.dumps({"errors": [format_error(error, trace_id)]})
    return json_response(body, status=error.status, headers=error_headers(error, trace_id))
