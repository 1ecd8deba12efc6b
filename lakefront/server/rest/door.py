"""What every REST door does around its handler: trace id, sign-in, errors in one shape, a count and a time."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lakefront import tracing
from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.errors import BadRequest, InternalError, LakefrontError
from lakefront.graphql.access import MANAGES_ACCESS
from lakefront.graphql.plan.errors import log_unforeseen
from lakefront.server.auth import Authenticator
from lakefront.server.bodies import ByteBudget, ClientGone, check_unread, header, refuse_forms
from lakefront.server.credentials import Credentials
from lakefront.server.limits import meter_of
from lakefront.server.metrics import Metrics
from lakefront.server.responses import error_response, expiry_headers

_log = logging.getLogger(__name__)

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Doors:
    """What the doors share."""

    services: Services
    authenticator: Authenticator
    budget: ByteBudget
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One request, as a handler sees it."""

    doors: Doors
    scope: Scope
    receive: Receive
    trace_id: str
    headers: dict[str, str] = field(default_factory=dict)
    """What goes with the answer, whatever it is."""

    async def actor(self, *, counted: bool = True, like: str | None = None) -> Actor:
        """Who asks, by the Authorization or X-API-Key header; to be asked once, as it counts a request of the tenant.

        Of the actor it counts one where ``counted`` (C11); ``like`` is the root field that does the same, whose own
        limit holds here as well; what manages access is no request of the tenant's day (T5). Raises
        ``Unauthenticated``, ``Forbidden`` (a suspended tenant), ``RateLimited``, ``Unavailable``.
        """
        meter, credentials = meter_of(self.scope), Credentials.of_headers(self.scope["headers"])
        actor = await meter.sign_in(credentials, self.doors.authenticator.authenticate)
        self.headers.update(expiry_headers(actor))
        if counted:
            await meter.count(actor)
        if like is not None:
            await meter.count_field(actor, like)
        if like not in MANAGES_ACCESS:
            await self.doors.services.allowances.take_request(self.doors.services, actor)
        return actor

    def idempotency_key(self) -> str | None:
        """What the header Idempotency-Key says, ``None`` where there is none (X2)."""
        given = header(self.scope["headers"], b"idempotency-key")
        return None if given is None else given.decode("latin-1")

    def flag(self, name: str) -> bool:
        """The query parameter ``name``, the only one there is, as a truth value; false when absent.

        Raises ``BadRequest`` for other texts, and for other parameters: a misspelt one must not go unnoticed.
        """
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if query.keys() - {name}:
            raise BadRequest(f"The only query parameter here is '{name}'. Correct the others, or leave them out.")
        given = query.get(name, ["false"])
        if len(given) != 1 or given[0].lower() not in _FLAGS:
            raise BadRequest(f"Give {name}=true or {name}=false, once.")
        return _FLAGS[given[0].lower()]


Handler = Callable[[RestRequest], Awaitable[Response]]


class RestDoor:
    """A handler as an ASGI application; ``route`` is its path in metrics."""

    def __init__(self, doors: Doors, route: str, handler: Handler) -> None:
        self._doors = doors
        self._route = route
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises for what a client does."""
        trace_id = tracing.received(scope["headers"])
        started = time.perf_counter()
        request = RestRequest(self._doors, scope, receive, trace_id)
        try:
            self._check_body(scope)
            response = await self.handler(request)
            response.headers.setdefault("x-trace-id", trace_id)
        except ClientGone:
            return
        except LakefrontError as error:
            _log.info("request refused trace_id=%s code=%s status=%d", trace_id, error.code, error.status)
            response = error_response(error, trace_id)
        except Exception as error:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            log_unforeseen(error, trace_id)
            response = error_response(InternalError(), trace_id)
        response.headers.update(request.headers)
        self._doors.metrics.request(self._route, response.status_code, time.perf_counter() - started)
        await response(scope, receive, send)

    def _check_body(self, scope: Scope) -> None:
        """Refuse a form, and a large body where the handler declares none: it would not even look."""
        if scope["method"] not in ("GET", "HEAD"):
            refuse_forms(scope["headers"])
        declared = getattr(self.handler, "openapi", {}).get(scope["method"].lower())
        if declared is None or declared.body is None:
            check_unread(scope["headers"])
