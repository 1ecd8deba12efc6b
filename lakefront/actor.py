"""Who asks: made once for each request or socket, handed to every use-case, the only source of the tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lakefront.errors import Forbidden

CITY: Final = "city"
"""The tenant that every installation has."""

PERMITS_READ: Final = "permits:read"
PERMITS_WRITE: Final = "permits:write"
METRICS_READ: Final = "metrics:read"
KEYS_MANAGE: Final = "keys:manage"
"""API keys and ingest tokens of one's own tenant."""

TENANT_READ: Final = "tenant:read"
"""One's own tenant: profile, plan, usage."""

TENANTS_MANAGE: Final = "tenants:manage"
"""All tenants: onboard, suspend, resume. For the installation's own tenant, CITY, alone."""

ADMIN: Final = "admin"

ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "admin": frozenset(
            {PERMITS_READ, PERMITS_WRITE, METRICS_READ, ADMIN, KEYS_MANAGE, TENANT_READ, TENANTS_MANAGE}
        ),
        "reader": frozenset({PERMITS_READ}),
        "service": frozenset({PERMITS_READ, PERMITS_WRITE}),
        "ingest": frozenset({PERMITS_WRITE}),
        "monitor": frozenset({METRICS_READ}),
    }
)
"""What each role may do: role -> scopes."""


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

    def require(self, scope: str) -> None:
        """Pass if the actor holds ``scope``, be it for own rows; raises ``Forbidden`` otherwise (default deny)."""
        if scope not in self.scopes and scope not in self.own:
            raise Forbidden(f"This needs the scope '{scope}'. Ask for a token with a role that has it.", scope=scope)

    def require_stream(self, stream: str) -> None:
        """Pass if the actor's scopes hold for writing ``stream``; raises ``Forbidden`` otherwise."""
        if self.streams is not None and stream not in self.streams:
            raise Forbidden(f"This token is for another stream than '{stream}'. Send the events with its own token.")


def system_actor(tenant: str = CITY) -> Actor:
    """The server itself: workers and the demo act as this."""
    return Actor("lakefront", tenant, ROLES["admin"], kind=Kind.SERVICE, roles=frozenset({"admin"}))
