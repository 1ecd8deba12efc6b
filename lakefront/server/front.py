"""The application, and the short way through it: what is asked for most does not go through Starlette's layers."""

import time
from typing import Any, Final

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.errors import LakefrontError
from lakefront.server.compression import packing
from lakefront.server.cors import shared_with
from lakefront.server.hosts import Hosts
from lakefront.server.limits import RateLimits
from lakefront.server.limits.meter import Metered
from lakefront.server.metrics import Metrics
from lakefront.server.origins import check_origin
from lakefront.server.security_headers import hardened
from lakefront.settings import Settings

OPERATIONS: Final = "/graphql"
"""The path of GraphQL."""


class Front:
    """``POST /graphql`` on one sheet: every rule of the layers in ``app.py``, in their order, in a few calls.

    A request passes the check of its host, then of its origin, and gets a meter. Its answer is compressed, counted,
    told to pages of the origin or kept from them, and hardened. The layers and this share the functions that say how;
    a request that one of them would refuse goes the long way, to be refused there.
    """

    def __init__(self, http: ASGIApp, settings: Settings, limits: RateLimits, metrics: Metrics) -> None:
        """``http`` answers what passes."""
        self._http = Metered(http, limits) if limits.enabled else http
        self._hosts = Hosts(settings.host, settings.allowed_hosts)
        self._origins = settings.allowed_origins
        self._addresses = limits.addresses
        self._compress_from = settings.compress_from
        self._metrics = metrics

    def way(self, scope: Scope, send: Send) -> tuple[ASGIApp, Send] | None:
        """What answers the request, and where to; ``None`` for all that has to go the long way."""
        if not _is_operation(scope):
            return None
        headers = scope["headers"]
        try:
            self._hosts.check(headers)
            origin = check_origin(headers, self._origins)
        except LakefrontError:
            return None
        began = time.perf_counter()

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.request(OPERATIONS, message["status"], time.perf_counter() - began)
                shared = shared_with(origin, message["headers"])
                message["headers"] = hardened(shared, over_tls=self._addresses.is_https(scope))
            await send(message)

        return self._http, packing(scope, finish, self._compress_from)


class Application(Starlette):
    """Starlette with a front before it."""

    def __init__(self, front: Front, **options: Any) -> None:
        """``options`` are ``Starlette``'s."""
        super().__init__(**options)
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the short way where there is one."""
        way = self._front.way(scope, send)
        if way is None:
            await super().__call__(scope, receive, send)
        else:
            app, send = way
            await app(scope, receive, send)


def _is_operation(scope: Scope) -> bool:
    return bool(
        scope["type"] == "http"
        and scope["path"] == OPERATIONS
        and scope["method"] == "POST"
        and not scope.get("root_path")
    )
