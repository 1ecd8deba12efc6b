"""Who asks: made once for each request or socket, handed to every use-case, the only source of the tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lakefront.errors import Forbidden

CITY: Final = "city"
"""The tenant that every installation has."""

PERMITS_READ: Final = "permits:read"
PERMITS_WRITE: Final = "permits:write"
METRICS_READ: Final = "metrics:read"
ADMIN: Final = "admin"

ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "admin": frozenset({PERMITS_READ, PERMITS_WRITE, METRICS_READ, ADMIN}),
        "reader": frozenset({PERMITS_READ}),
        "service": frozenset({PERMITS_READ, PERMITS_WRITE}),
        "ingest": frozenset({PERMITS_WRITE}),
        "monitor": frozenset({METRICS_READ}),
    }
)
"""What each role may do: role -> scopes."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A user, a key or a service, with what it may do.

    ``expires_at`` is in seconds since the epoch (``None``: never); long-lived sockets look again when it has passed.
    """

    subject: str
    tenant: str
    scopes: frozenset[str]
    expires_at: float | None = None

    def require(self, scope: str) -> None:
        """Pass if the actor holds ``scope``; raises ``Forbidden`` otherwise (default deny)."""
        if scope not in self.scopes:
            raise Forbidden(f"This needs the scope '{scope}'. Ask for a token with a role that has it.")


def system_actor(tenant: str = CITY) -> Actor:
    """The server itself: workers and the demo act as this."""
    return Actor(subject="lakefront", tenant=tenant, scopes=ROLES["admin"])
