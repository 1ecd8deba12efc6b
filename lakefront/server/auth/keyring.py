"""From a bearer token to an Actor: the server's own JWTs and ingest tokens (C9, P9)."""

import asyncio
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jwt import JWTClaimsRegistry

from lakefront.actor import CITY, Actor
from lakefront.db.database import Database
from lakefront.domain import ingest_tokens
from lakefront.errors import Unauthenticated, Unavailable
from lakefront.server.keys import ALGORITHM, SigningKey
from lakefront.settings import Settings

MAX_TOKEN = 8192
"""Longest token in characters; no crypto is run on a longer one."""

_REFRESH_FLOOR = 0.5
"""Least seconds between two look-ups of keys: a flood of unknown ones costs two statements a second."""

_MOST_CACHED = 10_000


class KeyRing:
    """The public keys whose tokens hold: this server's own and those that other servers of the database registered."""

    def __init__(self, own: SigningKey, database: Database) -> None:
        self._own = own
        self._database = database
        self._keys = {own.kid: RSAKey.import_key(own.public_jwk)}
        self._jwks = {own.kid: own.public_jwk}
        self._refreshed_at = -_REFRESH_FLOOR
        self._next_refresh: asyncio.Future[None] | None = None

    async def register(self) -> None:
        """Make this server's public key known to all servers of the database, and learn theirs."""
        async with self._database.transaction("-") as transaction:
            await transaction.execute(
                "INSERT INTO lakefront.signing_keys (kid, public_jwk, created_at) VALUES ($1, $2, now()) "
                "ON CONFLICT DO NOTHING",
                *(self._own.kid, orjson.dumps(self._own.public_jwk)),
            )
        await self._refresh()

    async def find(self, kid: str) -> RSAKey | None:
        """The key with that id; an unknown one waits for the next look-up, which all who ask by then share.

        So a key that another server registered holds from its first token on.
        """
        if kid not in self._keys:
            await self._refresh()
        return self._keys.get(kid)

    async def jwks(self) -> dict[str, Any]:
        """All public keys, as ``/.well-known/jwks.json`` shows them."""
        if time.monotonic() - self._refreshed_at >= _REFRESH_FLOOR:
            with suppress(Unavailable):  # the keys known so far verify all the same
                await self._refresh()
        return {"keys": list(self._jwks.values())}

    async def _refresh(self) -> None:
        if self._next_refresh is None:
            self._next_refresh = asyncio.ensure_future(self._look_up())
        await asyncio.shield(self._next_refresh)

    async def _look_up(self) -> None:
        await asyncio.sleep(self._refreshed_at + _REFRESH_FLOOR - time.monotonic())
        # Who asks from here on may ask for a key that this look-up does not see: it waits for the next.
        self._next_refresh = None
        self._refreshed_at = time.monotonic()
        async with self._database.transaction("-") as transaction:
            rows = await transaction.fetch("SELECT kid, public_jwk FROM lakefront.signing_keys")
        self._keys |= {kid: RSAKey.import_key(jwk) for kid, jwk in rows if kid not in self._keys}
        self._jwks |= dict(rows)


class Authenticator:
    """Makes an Actor of an ``Authorization`` header; verified tokens are remembered by SHA-256 for at most a minute."""

    def __init__(self, settings: Settings, keys: KeyRing, database: Database) -> None:
        self.keys = keys
        self._database = database
        self._remember = settings.token_cache
        self._claims = JWTClaimsRegistry(
            iss={"essential": True, "value": settings.token_issuer},
            aud={"essential": True, "value": settings.token_audience},
            sub={"essential": True},
            exp={"essential": True},
            tenant={"essential": True},
        )
        self._listening = True
        self._forgotten = 0
        self._watchers: list[Callable[[], None]] = []
        self._cache: OrderedDict[bytes, tuple[float, Actor]] = OrderedDict()

    def forget(self, _notice: str = "") -> None:
        """Void what is remembered, and what is being looked up just now: a token was revoked."""
        self._forgotten += 1
        self._cache.clear()
        for look_again in self._watchers:
            look_again()

    def on_revocation(self, look_again: Callable[[], None]) -> None:
        """Call ``look_again`` whenever a token that held may not hold any more; it must be quick and must not raise."""
        self._watchers.append(look_again)

    def watch(self, connected: bool) -> None:
        """While notices of revocations may be missed, remember tokens for a second at most."""
        self._listening = connected
        self.forget()

    async def authenticate(self, authorization: str | None) -> Actor:
        """The actor of ``Bearer <token>``; raises ``Unauthenticated`` when it is absent or does not hold."""
        if authorization is None:
            raise Unauthenticated
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise Unauthenticated
        if not token.isascii() or not token.isprintable():
            raise Unauthenticated
        digest = sha256(token.encode()).digest()
        now = time.time()
        remembered = self._cache.get(digest)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        forgotten = self._forgotten
        actor = await self._verify(token)
        if forgotten != self._forgotten:
            return actor  # what was read may be older than the revocation: look again the next time
        until = now + (self._remember if self._listening else min(1, self._remember))
        self._cache[digest] = (min(until, actor.expires_at or until), actor)
        if len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return actor

    async def _verify(self, token: str) -> Actor:
        if ingest_tokens.looks_like_one(token):
            actor = await ingest_tokens.find(self._database, token)
            if actor is None:
                raise Unauthenticated("This ingest token is not valid (any more). Use the one from the last rotation.")
            return actor
        return await self._verify_jwt(token)

    async def _verify_jwt(self, token: str) -> Actor:
        try:
            kid = orjson.loads(_base64(token.partition(".")[0])).get("kid")
            key = await self.keys.find(kid) if isinstance(kid, str) else None
            if key is None:
                raise Unauthenticated("This token was signed by a key that is not known here.")
            decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, AttributeError, KeyError):
            raise Unauthenticated("This token does not hold: expired, malformed or not ours. Get a new one.") from None
        return _actor(decoded.claims)


def _base64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _actor(claims: dict[str, Any]) -> Actor:
    subject, tenant, scope = claims["sub"], claims["tenant"], claims.get("scope", "")
    texts = all(isinstance(text, str) for text in (subject, tenant, scope))
    if not texts or not subject or tenant != CITY:
        raise Unauthenticated("This token lacks a subject, or its tenant is not one of this server's.")
    return Actor(subject, tenant, frozenset(scope.split()), float(claims["exp"]))
