"""What the doors count with: ``RateLimits`` for the whole server, a ``Meter`` for one request or socket."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from redis.asyncio import Redis
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.actor import Actor
from lakefront.errors import Forbidden, RateLimited, Unauthenticated
from lakefront.graphql.answers import Answer
from lakefront.graphql.operation import Operation
from lakefront.server.client_address import ClientAddresses, bucket
from lakefront.server.credentials import Credentials
from lakefront.server.limits.headers import rate_limit_headers
from lakefront.server.limits.policies import Policies, Policy
from lakefront.server.limits.rooms import Room, Standing
from lakefront.server.limits.windows import Windows
from lakefront.server.token_watch import Authenticate
from lakefront.settings import Settings

MOST_KNOWN: Final = 10_000
"""API keys and ingest tokens that are known to have held."""

_METER: Final = "lakefront.meter"


class RateLimits:
    """The limits of one server; ``fields`` are the rates of the operations that have limits of their own."""

    def __init__(self, settings: Settings, redis: "Redis | None", fields: Mapping[str, str] | None = None) -> None:
        self.enabled = settings.limits_on
        self.policies = Policies(settings)
        self.fields = {name: Policy.of(name, rate) for name, rate in (fields or {}).items()}
        self.addresses = ClientAddresses(settings.trusted_proxies)
        self.windows = Windows(redis)
        self._held: OrderedDict[int, None] = OrderedDict()

    def held_before(self, fingerprint: int) -> bool:
        """Whether the secret with that hash has held, and has not failed since."""
        return fingerprint in self._held

    def holds(self, fingerprint: int) -> None:
        """Keep in mind that the secret with that hash holds."""
        self._held[fingerprint] = None
        self._held.move_to_end(fingerprint)
        if len(self._held) > MOST_KNOWN:
            self._held.popitem(last=False)

    def failed(self, fingerprint: int) -> None:
        """Forget that the secret with that hash held."""
        self._held.pop(fingerprint, None)

    def amounts(self, path: str, operation: Operation | Answer) -> list[tuple[Policy, int]]:
        """What an operation takes at ``path``: a request, its cost, and uses of fields that have limits of their own.

        What did not become an operation counts as a request alone.
        """
        amounts = [(self.policies.of_path(path), 1)]
        if isinstance(operation, Operation):
            # What costs nothing needs no place in the bucket, and no word in the headers.
            if cost := operation.planned.estimate.total:
                amounts.append((self.policies.cost, cost))
            uses = operation.planned.plan.uses
            if not self.fields.keys().isdisjoint(uses):
                amounts += [(self.fields[field], uses[field]) for field in sorted(uses.keys() & self.fields.keys())]
        return amounts

    def is_full(self, actor: Actor, path: str) -> bool:
        """Whether this process knows that ``actor`` has no request left at ``path``."""
        return self.enabled and self.windows.full(self.policies.of_path(path), _who(actor)) is not None

    def plenty(self, actor: Actor, path: str, operation: Operation) -> list[tuple[Room, int]] | None:
        """For ``Windows.let_in``, where it does what ``Meter.count_operation`` would do; ``None`` otherwise."""
        return self.windows.plenty(_who(actor), self.amounts(path, operation)) if self.enabled else []


class Meter:
    """Counts what one request, or the operations of one socket, take; ``limits`` None means that nothing counts."""

    def __init__(self, limits: RateLimits | None, scope: Scope) -> None:
        self._limits = limits if limits is not None and limits.enabled else None
        self._scope = scope
        self.standings: dict[str, Standing] = {}
        """By policy, how whoever asks stands with what was counted so far."""

    async def sign_in(self, credentials: Credentials, authenticate: Authenticate) -> Actor:
        """The actor of ``credentials``; a failure counts against the address, a suspended tenant's as well (C11).

        From an address that has failed too often no secret is looked up but those that held before: guessing is slow
        and costs next to nothing, and who shares the address may go on. A signed token cannot be guessed, so it is
        always looked at. Raises what ``authenticate`` does, and ``RateLimited``.
        """
        limits = self._limits
        if limits is None:
            return await authenticate(credentials)
        fingerprint = fingerprint_of(credentials)
        if fingerprint is not None and not limits.held_before(fingerprint):
            full = limits.windows.full(limits.policies.address, self._address)
            if full is not None:
                self._note([full])
        try:
            actor = await authenticate(credentials)
        except (Unauthenticated, Forbidden) as refused:
            if fingerprint is not None and isinstance(refused, Unauthenticated):
                limits.failed(fingerprint)
            await self._take(limits.policies.address, self._address)
            raise
        if fingerprint is not None:
            limits.holds(fingerprint)
        return actor

    async def count(self, actor: Actor | None) -> None:
        """Count a request of ``actor``, or of the address where nobody signed in; raises ``RateLimited``."""
        limits = self._limits
        if limits is None:
            return
        if actor is None:
            await self._take(limits.policies.address, self._address)
        else:
            await self._take(limits.policies.of_path(self._scope["path"]), _who(actor))

    def check(self, actor: Actor) -> None:
        """Raise ``RateLimited`` where this process knows that ``actor`` has no request left; nothing is counted."""
        if self._limits is not None:
            full = self._limits.windows.full(self._limits.policies.of_path(self._scope["path"]), _who(actor))
            if full is not None:
                self._note([full])

    async def count_operation(self, actor: Actor, operation: Operation | Answer) -> None:
        """Count what an operation takes (``RateLimits.amounts``), all at once; raises ``RateLimited``."""
        limits = self._limits
        if limits is None:
            return
        self._note(await limits.windows.take_all(_who(actor), limits.amounts(self._scope["path"], operation)))

    async def count_field(self, actor: Actor | None, field: str, amount: int = 1) -> None:
        """Count ``amount`` uses of the root field ``field`` where it has a limit of its own; raises ``RateLimited``.

        Doors beside GraphQL call this with the field that does the same, so that both have one limit.
        """
        limits = self._limits
        policy = limits.fields.get(field) if limits is not None else None
        if policy is not None:
            await self._take(policy, self._address if actor is None else _who(actor), amount)

    async def _take(self, policy: Policy, who: str, amount: int = 1) -> None:
        assert self._limits is not None
        self._note(await self._limits.windows.take_all(who, [(policy, amount)]))

    def _note(self, standings: Iterable[Standing]) -> None:
        """Keep ``standings`` for the headers; raises ``RateLimited`` for the refusal that holds longest."""
        longest, refusal = 0.0, None
        for standing in standings:
            self.standings[standing.policy.name] = standing
            if standing.wait is not None and standing.wait >= longest:
                longest, refusal = standing.wait, standing
        if refusal is not None:
            raise _refusal(refusal)

    @property
    def _address(self) -> str:
        assert self._limits is not None
        return bucket(self._limits.addresses.of(self._scope))


class Metered:
    """An ASGI application that gives every request and socket a meter, and tells its standings in the answer."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if not self._limits.enabled or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        meter = scope[_METER] = Meter(self._limits, scope)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and meter.standings:
                message["headers"] = [*message["headers"], *rate_limit_headers(list(meter.standings.values()))]
            await send(message)

        await self._app(scope, receive, tell)


def meter_of(scope: Scope) -> Meter:
    """The meter of the request; one that counts nothing where there are no limits."""
    found: Meter | None = scope.get(_METER)
    return found if found is not None else Meter(None, scope)


def fingerprint_of(credentials: Credentials) -> int | None:
    """A hash of the secret alone, as with it anybody may write any user id; ``None`` for a signed token.

    Only such a token has a dot: nothing that has one is looked up as an API key or an ingest token.
    """
    if credentials.api_key is None and "." in (credentials.authorization or ""):
        return None
    return hash((credentials.authorization, credentials.api_key))


def _refusal(standing: Standing) -> RateLimited:
    name, item = standing.policy.name, standing.policy.item
    way = "send again, or ask for less at once" if standing.policy.bucket else "send again"
    message = f"The limit '{name}' of {item} is reached. Wait as long as Retry-After says, then {way}."
    told = {"field": "rate", "message": message, "limit": item.amount, "remaining": standing.remaining}
    return RateLimited(message, details=[told], retry_after=max(standing.wait or 0, 0.001))


def _who(actor: Actor) -> str:
    # A tenant's name has no slash.
    return f"{actor.tenant}/{actor.subject}"
