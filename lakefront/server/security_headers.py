"""What keeps browsers from misusing an answer: on every one of them, whichever door or check it comes from."""

from collections.abc import Iterable, Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.server.client_address import ClientAddresses

SAFE: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    # It does not apply to pages that ask by CORS, as those that may use the server do.
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""The strictest of each; an answer that needs another value (a page, a file that never changes) brings its own."""

HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
"""A year of TLS alone, for whoever came by TLS; subdomains are not ours to speak for."""

_SAFE: Final = [(name.encode(), value.encode()) for name, value in SAFE.items()]
_NAMES: Final = frozenset(name for name, _ in _SAFE)


class SecurityHeaders:
    """An ASGI application that adds ``SAFE`` to every answer, and HSTS where the client speaks TLS."""

    def __init__(self, app: ASGIApp, addresses: ClientAddresses) -> None:
        """``addresses`` tells what a proxy in front says about TLS."""
        self._app = app
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def harden(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message["headers"] = hardened(message["headers"], over_tls=self._addresses.is_https(scope))
            await send(message)

        await self._app(scope, receive, harden)


def hardened(headers: Iterable[tuple[bytes, bytes]], *, over_tls: bool) -> list[tuple[bytes, bytes]]:
    """``headers`` of an answer (names in lower case, as ASGI has them) with those that it lacks."""
    headers = list(headers)
    present = _NAMES.intersection([name for name, _ in headers])
    headers += [safe for safe in _SAFE if safe[0] not in present] if present else _SAFE
    if over_tls:
        headers.append(HSTS)
    return headers
