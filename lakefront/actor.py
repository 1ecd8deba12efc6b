"""Who asks: made once for each request or socket, handed to every use-case, the only source of the tenant."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lakefront.errors import Forbidden

CITY: Final = "city"
"""The tenant that every installation has."""

PERMITS_READ: Final = "permits:read"
PERMITS_WRITE: Final = "permits:write"
PERMITS_INSPECTOR: Final = "permits:inspector"
"""Who inspects a permit: the name of an employee, wherever it shows."""

SERVICE_REQUESTS_READ: Final = "service_requests:read"
SERVICE_REQUESTS_CREATE: Final = "service_requests:create"
SERVICE_REQUESTS_UPDATE: Final = "service_requests:update"
METRICS_READ: Final = "metrics:read"
LAKE_MANAGE: Final = "lake:manage"
"""What an operator does to the lake: rebuild a projection, say."""

KEYS_MANAGE: Final = "keys:manage"
"""API keys and ingest tokens of one's own tenant."""

TENANT_READ: Final = "tenant:read"
"""One's own tenant: profile, plan, usage."""

TENANTS_MANAGE: Final = "tenants:manage"
"""All tenants: onboard, suspend, resume. For the installation's own tenant, CITY, alone."""

POLICIES_MANAGE: Final = "policies:manage"
"""The rules of who may do what. For the installation's own tenant, CITY, alone."""

INTEGRATIONS_MANAGE: Final = "integrations:manage"
"""Outside systems of one's own tenant, their credentials, and the cities that they are of (C7)."""

PLACES_READ: Final = "places:read"
"""Geocoding, the weather, tiles of maps: what outside systems know of places, which counts in their quotas (C4, C8)."""

BENEFITS_SCREEN: Final = "benefits:screen"
"""Which benefits a household may be eligible for (C6)."""

OPEN_DATA_READ: Final = "open_data:read"
"""Published data as they were imported: which data sets there are, food inspections (C5)."""

NOTICES_MANAGE: Final = "notices:manage"
"""Who is told what, by which way, and the receivers of webhooks (C8)."""

ALERTS_MANAGE: Final = "alerts:manage"
"""Rules of alerts, and saying that one looks after one (C13); to see them is METRICS_READ."""

SIGNED_IN: Final = "signed-in"
"""What every actor may do: there is none without credentials that hold. No role needs to grant it."""

SCOPES: Final = frozenset(
    {PERMITS_READ, PERMITS_WRITE, PERMITS_INSPECTOR, METRICS_READ, LAKE_MANAGE, KEYS_MANAGE}
    | {SERVICE_REQUESTS_READ, SERVICE_REQUESTS_CREATE, SERVICE_REQUESTS_UPDATE}
    | {TENANT_READ, TENANTS_MANAGE, POLICIES_MANAGE, INTEGRATIONS_MANAGE, PLACES_READ, BENEFITS_SCREEN}
    | {NOTICES_MANAGE, OPEN_DATA_READ, ALERTS_MANAGE}
)
"""Every scope that a role can grant: ``object:action``. Which role grants which: ``lakefront.domain.rights``."""

CITYS_ALONE: Final = frozenset({TENANTS_MANAGE, POLICIES_MANAGE})
"""Scopes that nobody has in another tenant than CITY, whatever a rule says."""

OWNABLE: Final = frozenset({SERVICE_REQUESTS_READ, SERVICE_REQUESTS_CREATE})
"""Scopes that may be granted for own rows alone: those whose rows have an owner, by whom they are told apart."""


class Kind(StrEnum):
    """What an actor is."""

    USER = "user"
    KEY = "key"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Actor:
    """A user, a key or a service, with what it may do.

    ``scopes`` hold for all rows of the tenant, ``own`` for those that belong to ``subject`` alone. ``expires_at``
    is in seconds since the epoch (``None``: never); long-lived sockets look again when it has passed. ``on_behalf_of``
    is what the client said in ``X-User-ID``: for the audit trail, never authority (T4). ``streams``, where given, are
    the only ones that it may write, whatever its scopes (an ingest token's own, P9).
    """

    subject: str
    tenant: str
    scopes: frozenset[str]
    expires_at: float | None = None
    kind: Kind = Kind.USER
    roles: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    on_behalf_of: str | None = None
    streams: frozenset[str] | None = None

    def holds(self, scope: str) -> bool:
        """Whether the actor has ``scope``, be it for own rows."""
        return scope in self.scopes or scope in self.own or scope == SIGNED_IN

    def confined(self, scope: str) -> bool:
        """Whether ``scope`` opens own rows alone to the actor."""
        return scope in self.own and scope not in self.scopes

    def require(self, scope: str) -> None:
        """Pass if the actor holds ``scope``, be it for own rows; raises ``Forbidden`` otherwise (default deny)."""
        if not self.holds(scope):
            raise Forbidden(f"This needs the scope '{scope}'. Ask for a token with a role that has it.", scope=scope)

    def require_stream(self, stream: str) -> None:
        """Pass if the actor's scopes hold for writing ``stream``; raises ``Forbidden`` otherwise."""
        if self.streams is not None and stream not in self.streams:
            raise Forbidden(f"This token is for another stream than '{stream}'. Send the events with its own token.")


def system_actor(tenant: str = CITY) -> Actor:
    """The server itself, which may do everything in ``tenant``: workers and the demo act as this."""
    return Actor("lakefront", tenant, SCOPES, kind=Kind.SERVICE, roles=frozenset({"admin"}))
