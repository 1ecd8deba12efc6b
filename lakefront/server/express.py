"""The express way of queries by POST: no ASGI, no task, no waiting, where all that a request needs is known already.

What comes over a connection differs little from one request to the next: whoever sent it, its plan and its limits have
been looked at before. Then it goes from the parser to the statement in a few calls (ADR 0021). Every rule is asked of
the functions that the long way (``app.py``) asks. As soon as one of them would have to wait, or to refuse, the request
goes the long way from its beginning; nothing has happened to it yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from graphql import OperationType
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lakefront import tracing
from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError
from lakefront.graphql.answers import Answer
from lakefront.graphql.following import Following
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.cache import Cache
from lakefront.graphql.plan.plan import Planned
from lakefront.graphql.plan.planner import BYTES_PER_CHARACTER, MIB
from lakefront.graphql.plan.statements import BYTES_AT_LEAST, Bound
from lakefront.server.auth.authenticator import Authenticator, Key, key_of
from lakefront.server.bodies import FREE, parse_json, require_json
from lakefront.server.compression import coding_for
from lakefront.server.cors import shared_with
from lakefront.server.credentials import Credentials
from lakefront.server.cycle import known_line
from lakefront.server.graphql_http import ENVELOPE_DEPTH, VARY, json_type, operation_request, wanted_by
from lakefront.server.graphql_sse import EVENT_STREAM
from lakefront.server.hosts import Hosts
from lakefront.server.limits import RateLimits
from lakefront.server.limits.meter import fingerprint_of
from lakefront.server.metrics import Metrics
from lakefront.server.origins import check_origin
from lakefront.server.responses import expiry_headers
from lakefront.server.ride import Carrier, Ride
from lakefront.server.security_headers import hardened
from lakefront.settings import Settings

OPERATIONS: Final = "/graphql"
"""The path of GraphQL."""

_TARGET: Final = OPERATIONS.encode()
_VARYING: Final = frozenset({b"content-length", b"traceparent", b"tracestate"})
"""Headers that differ from request to request and say nothing of whoever asks."""

_SPECIAL: Final = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade", b"x-user-id"})
"""Headers with which a request goes the long way."""

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of whoever sends requests with ``headers`` (those that vary left out) over a connection.

    ``head`` is that of a success: its status line, and headers that are the same each time.
    """

    headers: list[Pair]
    key: Key
    fingerprint: int | None
    media: str
    origin: str | None
    coding: str | None
    over_tls: bool
    head: bytes

    def told(self, headers: Iterable[Pair]) -> list[Pair]:
        """``headers`` of an answer with those that every answer to this caller has."""
        return hardened(shared_with(self.origin, headers), over_tls=self.over_tls)


class Asked(NamedTuple):
    """What the body of a request asks for, whoever of some permissions sends it: its plan, and its statement."""

    planned: Planned
    bound: Bound


class Connection(Carrier, Protocol):
    """What is looked at of a connection on which a request has arrived."""

    url: bytes
    headers: list[Pair]
    client: tuple[str, int] | None
    caller: Caller | None
    """Who sent the request before, to be kept for the next one."""

    @property
    def scheme(self) -> str | None:
        """``http`` or ``https``."""


class Express:
    """Part of the application: the protocol asks it first."""

    def __init__(
        self,
        operations: Operations,
        services: Services,
        authenticator: Authenticator,
        limits: RateLimits,
        metrics: Metrics,
    ) -> None:
        settings = services.settings
        self.operations = operations
        self.timeout = settings.graphql_timeout
        self.compress_from = settings.compress_from
        self._services = services
        self._settings: Settings = settings
        self._authenticator = authenticator
        self._limits = limits
        self._metrics = metrics
        self._hosts = Hosts(settings.host, settings.allowed_hosts)
        self._common: tuple[Sequence[Pair], bytes] = ((), b"")
        self.asked: Cache[tuple[bytes, frozenset[str], frozenset[str]], Asked] = Cache(
            settings.plan_cache * MIB // 4, _weight
        )

    def take(self, connection: Connection, body: bytes) -> Ride | None:
        """The ride of a request by POST that has arrived on ``connection``; ``None``: it has to go the long way."""
        if connection.url != _TARGET or len(body) > min(FREE, self._settings.graphql_max_body) or tracing.recording():
            return None
        caller = self._caller(connection)
        actor = None if caller is None else self._authenticator.recognised(caller.key)
        if caller is None or actor is None or not self._is_plain(caller, actor):
            return None
        asked = self._asked(body, actor)
        if asked is None or self.operations.turns.locked():
            return None
        planned, bound = asked
        operation = Operation(planned, actor, tracing.received(connection.headers), Following())
        plenty = self._limits.plenty(actor, OPERATIONS, operation)
        if plenty is None or not self._take_request(operation):
            return None
        self.operations.turns.take_at_once()
        return Ride(self, caller, connection, operation, bound, self._limits.windows.let_in(plenty))

    def common(self, headers: Sequence[Pair]) -> bytes:
        """``headers`` that uvicorn has for every answer, as they are sent; it makes them anew each second."""
        if self._common[0] is not headers:
            self._common = (headers, b"".join(known_line(name, value) for name, value in headers))
        return self._common[1]

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._metrics.request(OPERATIONS, status, seconds)

    def _caller(self, connection: Connection) -> Caller | None:
        headers = [pair for pair in connection.headers if pair[0] not in _VARYING]
        known = connection.caller
        if known is None or known.headers != headers:
            try:
                known = connection.caller = self._known(headers, connection)
            except LakefrontError:
                known = connection.caller = None
        return known

    def _known(self, headers: list[Pair], connection: Connection) -> Caller | None:
        """Raises ``LakefrontError`` for what is refused."""
        self._hosts.check(headers)
        origin = check_origin(headers, self._settings.allowed_origins)
        require_json(headers)
        media = wanted_by(headers).media
        credentials = Credentials.of_headers(headers)
        if media == EVENT_STREAM or not _SPECIAL.isdisjoint([name for name, _ in headers]):
            return None
        over_tls = self._limits.addresses.is_https(
            {"scheme": connection.scheme, "client": connection.client, "headers": headers}
        )
        own = [(b"content-type", json_type(media).encode()), (b"vary", VARY.encode())]
        lines = [known_line(*pair) for pair in hardened(shared_with(origin, own), over_tls=over_tls)]
        return Caller(
            headers=headers,
            key=key_of(credentials),
            fingerprint=fingerprint_of(credentials),
            media=media,
            origin=origin,
            coding=coding_for(headers) if self.compress_from else None,
            over_tls=over_tls,
            head=b"".join((STATUS_LINE[200], *lines)),
        )

    def _is_plain(self, caller: Caller, actor: Actor) -> bool:
        """Whether nothing is special about ``actor``: no warning due, no document forbidden, no secret looked at."""
        return (
            (caller.fingerprint is None or not self._limits.enabled or self._limits.held_before(caller.fingerprint))
            and self._services.documents.takes_any(actor)
            and not expiry_headers(actor)
        )

    def _asked(self, body: bytes, actor: Actor) -> Asked | None:
        """What ``body`` asks for. Lists are remembered: pages ask for the same ones again and again."""
        key = (body, actor.scopes, actor.own)
        asked = self.asked.get(key)
        if asked is None:
            asked = self._read(body, actor)
            if asked is not None and not asked.bound.shape.batched:
                self.asked.put(key, asked)
            return asked
        planned, bound = asked
        return Asked(planned, bound._replace(tenant=actor.tenant, subject=actor.subject if bound.shape.owned else None))

    def _read(self, body: bytes, actor: Actor) -> Asked | None:
        depth = self._settings.graphql_max_variables_depth + ENVELOPE_DEPTH
        try:
            request = operation_request(parse_json(body, max_depth=depth))
        except LakefrontError:
            return None
        if request.sha256 is not None:
            return None
        operation = self.operations.prepare(request, actor, "")
        if isinstance(operation, Answer) or operation.kind is not OperationType.QUERY:
            return None
        bound = self.operations.at_once(operation)
        return None if bound is None else Asked(operation.planned, bound)

    def _take_request(self, operation: Operation) -> bool:
        """Whether the tenant's day has plenty left, of which one request is taken now."""
        if operation.planned.plan.manages_access:
            return True
        return self._services.allowances.take_request_at_once(self._services, operation.actor)


def _weight(asked: Asked) -> int:
    """As much as it may keep alive: its plan and its statement, which others like it share."""
    request, sql = asked.planned.request, asked.bound.shape.template.sql
    text = len(request.document)
    return 2 * BYTES_AT_LEAST + BYTES_PER_CHARACTER * text + 4 * (len(sql) + len(str(request.variables)))
