"""Pages of other origins (CORS): those of ``settings.allowed_origins`` may use every door, all others none.

https://fetch.spec.whatwg.org/#http-cors-protocol. There are no cookies and no other credentials that a browser adds by
itself, so that ``Access-Control-Allow-Credentials`` is never sent: a page shows a token that it was given, or nothing.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.errors import LakefrontError
from lakefront.server.limits.headers import NAMES
from lakefront.server.origins import check_origin
from lakefront.server.responses import refusal, vary
from lakefront.tracing import new_trace_id

EXPOSED: Final = ", ".join(
    [*NAMES, "Retry-After", "X-Trace-ID", "WWW-Authenticate", "X-API-Key-Expires", "Warning", "ETag", "Location"]
)
"""Headers that pages may read."""

ALLOWED_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"

ALLOWED_HEADERS: Final = (
    "Authorization, X-API-Key, X-User-ID, Accept, Content-Type, Content-Encoding, Idempotency-Key, If-None-Match, "
    "Last-Event-ID, Traceparent"
)
"""Headers that pages may send beyond the harmless ones."""

MAX_AGE: Final = 600
"""Seconds for which a browser need not ask again."""

_PREFLIGHT: Final = {
    "access-control-allow-methods": ALLOWED_METHODS,
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-max-age": str(MAX_AGE),
}

_EXPOSED: Final = (b"access-control-expose-headers", EXPOSED.encode())
_log = logging.getLogger("lakefront.server.cors")


class Cors:
    """An ASGI application that answers preflights, without a token, and passes on what may be asked."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str], refused: Callable[[int], None] = lambda _: None) -> None:
        """``allowed`` are origins (``https://app.example``); ``refused`` is told the status of each refusal."""
        self._app = app
        self._allowed = allowed
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 403 to foreign pages, over HTTP and in a WebSocket's handshake alike."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        app: ASGIApp = self._app
        origin = None
        try:
            origin = check_origin(scope["headers"], self._allowed)
            if origin is not None and _is_preflight(scope):
                app = Response(status_code=204, headers=_PREFLIGHT)
        except LakefrontError as error:
            trace_id = new_trace_id()
            _log.info("request refused trace_id=%s code=%s status=%d", trace_id, error.code, error.status)
            self._refused(error.status)
            app = refusal(scope, error, trace_id)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = shared_with(origin, message["headers"])
            await send(message)

        await app(scope, receive, tell)


def shared_with(origin: str | None, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """``headers`` of an answer that pages of ``origin`` may read; ``None``: no page of another origin."""
    # Whoever keeps an answer must not give it to a page of another origin.
    told = vary(list(headers), b"Origin")
    if origin is not None:
        told += [(b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED]
    return told


def _is_preflight(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "OPTIONS"
        and any(name == b"access-control-request-method" for name, _ in scope["headers"])
    )
