"""The express way of queries by POST: no ASGI, no task, no waiting, where all that a request needs is known already.

What comes over a connection differs little from one request to the next: whoever sent it, its plan and its limits have
been looked at before. Then it goes from the parser to the statement in a few calls (ADR 0030). Every rule is asked of
the functions that the long way (``app.py``) asks. As soon as one of them would have to wait, or to refuse, the request
goes the long way from its beginning; nothing has happened to it yet.
"""

from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from lakefront import tracing
from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError
from lakefront.graphql.answers import Answer
from lakefront.graphql.following import Following
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.cache import Cache
from lakefront.graphql.plan.errors import log_unforeseen
from lakefront.graphql.plan.plan import Planned
from lakefront.graphql.plan.planner import BYTES_PER_CHARACTER
from lakefront.graphql.plan.statements import BYTES_AT_LEAST, Bound
from lakefront.server.auth.authenticator import Authenticator
from lakefront.server.bodies import FREE, parse_json
from lakefront.server.caller import Caller, Callers, Head
from lakefront.server.graphql_http import ENVELOPE_DEPTH, operation_request
from lakefront.server.limits import RateLimits
from lakefront.server.metrics import Metrics
from lakefront.server.responses import GRAPHQL_PATH, expiry_headers
from lakefront.server.ride import Carrier, Line, Ride
from lakefront.settings import MIB

_TARGET: Final = GRAPHQL_PATH.encode()

LONGEST: Final = 4096
"""Bytes of a body that is remembered."""

MOST_REFUSED: Final = 4096
"""Bodies of which is remembered that they are refused, by hashes: should two of them meet, both go the long way."""

Key = tuple[bytes, frozenset[str], frozenset[str]]
"""A body, and the scopes and own scopes of whoever sends it."""


class Asked(NamedTuple):
    """What the body of a request asks for, whoever of some permissions sends it: its plan, and its statement."""

    planned: Planned
    bound: Bound


class Connection(Carrier, Head, Protocol):
    """What is looked at of a connection on which a request has arrived."""

    url: bytes


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
        self._services = services
        self._most = min(FREE, settings.graphql_max_body)
        self._depth = settings.graphql_max_variables_depth + ENVELOPE_DEPTH
        self._authenticator = authenticator
        self._limits = limits
        self._callers = Callers(settings, limits.addresses)
        self._line = Line(operations, metrics, GRAPHQL_PATH, settings)
        self.asked: Cache[Key, Asked] = Cache(settings.plan_cache * MIB // 4, _weight)
        self._refused: Cache[int, int] = Cache(MOST_REFUSED, lambda _: 1)

    def take(self, connection: Connection, body: bytes) -> Ride | None:
        """The ride of a request by POST that has arrived on ``connection``; ``None``: it has to go the long way."""
        try:
            return self._take(connection, body)
        except Exception as error:  # noqa: BLE001 - the long way tells it as it tells whatever nobody foresaw
            log_unforeseen(error, tracing.received(connection.headers))
            return None

    def _take(self, connection: Connection, body: bytes) -> Ride | None:
        if connection.url != _TARGET or len(body) > self._most or tracing.recording():
            return None
        caller = self._callers.of(connection)
        actor = None if caller is None else self._authenticator.recognised(caller.key)
        if caller is None or actor is None or not self._is_plain(caller, actor):
            return None
        if self.operations.turns.locked() or self._limits.is_full(actor, GRAPHQL_PATH):
            return None
        asked = self._asked(body, actor)
        if asked is None:
            return None
        planned, bound = asked
        operation = Operation(planned, actor, tracing.received(connection.headers), Following())
        plenty = self._limits.plenty(actor, GRAPHQL_PATH, operation)
        if plenty is None or not self._take_request(operation):
            return None
        self.operations.turns.take_at_once()
        return Ride(self._line, caller, connection, operation, bound, self._limits.windows.let_in(plenty))

    def _is_plain(self, caller: Caller, actor: Actor) -> bool:
        """Whether nothing is special about ``actor``: no warning due, no secret looked at."""
        return (
            caller.fingerprint is None or not self._limits.enabled or self._limits.held_before(caller.fingerprint)
        ) and not expiry_headers(actor)

    def _asked(self, body: bytes, actor: Actor) -> Asked | None:
        """What ``body`` asks for. Lists are remembered: pages ask for the same ones again and again.

        Refusals are, too, so that they are planned once, the long way. Neither hangs on anything else than the key,
        but for whether the actor may send any text, and which one has a hash.
        """
        if not self._services.documents.takes_any(actor):
            return self._read(body, actor, None)
        key = (body, actor.scopes, actor.own)
        asked = self.asked.get(key)
        if asked is None:
            return None if self._refused.peek(hash(key)) else self._read(body, actor, key)
        planned, bound = asked
        return Asked(planned, bound._replace(tenant=actor.tenant, subject=actor.subject if bound.shape.owned else None))

    def _read(self, body: bytes, actor: Actor, key: Key | None) -> Asked | None:
        """What ``body`` asks for, remembered as ``key`` where that is worth it."""
        try:
            request = operation_request(parse_json(body, max_depth=self._depth))
        except LakefrontError:
            return None
        document = self._services.documents.at_once(actor, request.document, request.sha256)
        if document is None:
            return None
        if request.sha256 is not None:
            request, key = replace(request, document=document), None
        if not self.operations.planner.may_be_one_statement(request, actor):
            return None
        operation = self.operations.prepare(request, actor, "")
        if len(body) > LONGEST:
            key = None
        if isinstance(operation, Answer):
            if key is not None:
                self._refused.put(hash(key), 1)
            return None
        bound = self.operations.at_once(operation)
        if bound is None:
            return None
        asked = Asked(operation.planned, bound)
        if key is not None and not bound.shape.batched:
            self.asked.put(key, asked)
        return asked

    def _take_request(self, operation: Operation) -> bool:
        """Whether the tenant's day has plenty left, of which one request is taken now."""
        if operation.planned.plan.manages_access:
            return True
        return self._services.allowances.take_request_at_once(self._services, operation.actor)


def _weight(asked: Asked) -> int:
    """As much as it may keep alive: its plan and its statement, which others like it share."""
    request, sql = asked.planned.request, asked.bound.shape.template.sql
    text = len(request.document)
    return LONGEST + BYTES_AT_LEAST + BYTES_PER_CHARACTER * text + 4 * (len(sql) + len(str(request.variables)))
