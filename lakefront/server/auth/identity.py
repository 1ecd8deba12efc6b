"""What credentials prove, apart from what that is good for: the policy says so, each time anew."""

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import UUID

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from lakefront.actor import Actor, Kind
from lakefront.domain.api_keys import FoundKey
from lakefront.domain.ingest_tokens import FoundToken
from lakefront.domain.rights import Granted
from lakefront.errors import Unauthenticated
from lakefront.server.auth.keyring import KeyRing
from lakefront.server.keys import ALGORITHM
from lakefront.settings import Settings

INGEST_ROLE: Final = "ingest"
"""The role of every ingest token."""

_MALFORMED: Final = "This token lacks a subject, a tenant, or a list of roles. Get a new one."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, in which roles, until when (seconds since the epoch; ``None``: until it is taken back).

    ``scopes``, where given, are all that it is meant for, whatever its roles may do. ``key_id`` is an API key's.
    """

    subject: str
    tenant: str
    roles: frozenset[str]
    kind: Kind
    expires_at: float | None
    scopes: frozenset[str] | None = None
    streams: frozenset[str] | None = None
    key_id: UUID | None = None

    def actor(self, granted: Granted) -> Actor:
        """The actor that this is where its roles are ``granted`` that."""
        scopes, own = granted
        if self.scopes is not None:
            scopes, own = scopes & self.scopes, own & self.scopes
        return Actor(
            self.subject,
            self.tenant,
            scopes,
            self.expires_at,
            kind=self.kind,
            roles=self.roles,
            own=own,
            streams=self.streams,
        )

    @classmethod
    def of_key(cls, found: FoundKey) -> Self:
        """Whoever holds the API key."""
        return cls(
            f"api-key:{found.key_id}",
            found.tenant,
            frozenset(found.roles),
            Kind.KEY,
            found.expires_at.timestamp(),
            key_id=found.key_id,
        )

    @classmethod
    def of_ingest_token(cls, found: FoundToken) -> Self:
        """Whoever holds the ingest token: it opens its own stream, and nothing else."""
        return cls(
            f"ingest-token:{found.token_id}",
            found.tenant,
            frozenset({INGEST_ROLE}),
            Kind.SERVICE,
            found.expires_at.timestamp() if found.expires_at else None,
            streams=frozenset({found.stream}),
        )

    @classmethod
    def of_claims(cls, claims: dict[str, Any]) -> Self:
        """Whoever a token that was verified tells of; raises ``Unauthenticated`` if it tells too little."""
        subject, tenant, roles, scope = claims["sub"], claims["tenant"], claims.get("roles"), claims.get("scope")
        if not (_is_name(subject) and _is_name(tenant) and isinstance(roles, list) and all(map(_is_name, roles))):
            raise Unauthenticated(_MALFORMED)
        if not isinstance(scope, str | None):
            raise Unauthenticated(_MALFORMED)
        scopes = frozenset(scope.split()) if scope is not None else None
        return cls(subject, tenant, frozenset(roles), Kind.USER, float(claims["exp"]), scopes)


class TokenVerifier:
    """Verifies JWTs: of our issuer, for our audience, signed by a key of the ring."""

    def __init__(self, settings: Settings, keys: KeyRing) -> None:
        self._keys = keys
        self._claims = JWTClaimsRegistry(
            iss={"essential": True, "value": settings.token_issuer},
            aud={"essential": True, "value": settings.token_audience},
            sub={"essential": True},
            exp={"essential": True},
            tenant={"essential": True},
        )

    async def verify(self, token: str) -> Identity:
        """Who the token tells of; raises ``Unauthenticated`` if it does not hold."""
        try:
            kid = orjson.loads(_base64(token.partition(".")[0])).get("kid")
            key = await self._keys.find(kid) if isinstance(kid, str) else None
            if key is None:
                raise Unauthenticated("This token was signed by a key that is not known here.")
            decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, AttributeError, KeyError):
            raise Unauthenticated("This token does not hold: expired, malformed or not ours. Get a new one.") from None
        return Identity.of_claims(decoded.claims)


def _base64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""
