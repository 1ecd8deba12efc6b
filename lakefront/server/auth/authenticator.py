"""From credentials to an Actor: verified once, remembered for a minute at most, good for what the policy says now."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from hashlib import sha256
from typing import Final

from lakefront.actor import Actor
from lakefront.db.listener import Listener
from lakefront.domain import api_keys, ingest_tokens, rights
from lakefront.domain.rights import Granted
from lakefront.domain.services import Services
from lakefront.domain.tenants import directory
from lakefront.errors import Unauthenticated
from lakefront.server.auth.identity import Identity, TokenVerifier
from lakefront.server.auth.keyring import KeyRing
from lakefront.server.auth.known import KnownSecrets
from lakefront.server.auth.last_used import LastUsed
from lakefront.server.credentials import Credentials

MAX_TOKEN: Final = 8192
"""Longest token in characters; no crypto is run on a longer one."""

MAX_HEADER: Final = MAX_TOKEN + 100
"""Longest Authorization header: a token, and its scheme."""

MAX_SECRET: Final = 200
"""Longest API key or ingest token in characters."""

BLIND: Final = 0.8
"""Seconds for which anything is believed while notices are missed: with the look-up, a second at most."""

_MOST_CACHED: Final = 10_000

_UNKNOWN_KEY: Final = "This API key is not valid (any more). Use the one from the last rotation, or create one."
_UNKNOWN_INGEST: Final = "This ingest token is not valid (any more). Use the one from the last rotation."


class _Form(Enum):
    JWT = auto()
    INGEST_TOKEN = auto()
    API_KEY = auto()


@dataclass(slots=True)
class _Known:
    """An identity, until when it may be believed, and the actor it was for the rights it had."""

    identity: Identity
    until: float
    granted: Granted | None = None
    actor: Actor | None = None

    def actor_for(self, granted: Granted) -> Actor:
        """The actor with these rights: the same one as long as they are the same."""
        if self.actor is None or granted != self.granted:
            self.granted, self.actor = granted, self.identity.actor(granted)
        return self.actor


Key = tuple[bool, bytes]
"""Whether an API key was sent or an Authorization header, and the SHA-256 of that."""


class Authenticator:
    """Makes Actors. Identities are remembered by the SHA-256 of what proved them; whatever failed is not.

    Its tenant must be active and its rights are those of the policy each time, remembered or not. Concurrent requests
    with the same credentials share one look-up.
    """

    def __init__(self, keys: KeyRing, services: Services) -> None:
        self.keys = keys
        self._services = services
        self._remember = services.settings.token_cache
        self._verifier = TokenVerifier(services.settings, keys)
        self._secrets = KnownSecrets(services.signing_in)
        self._last_used = LastUsed(services.database)
        self._watchers: list[Callable[[], None]] = []
        self._cache: OrderedDict[Key, _Known] = OrderedDict()
        self._looking: dict[Key, asyncio.Task[_Known]] = {}
        self._tasks: set[asyncio.Task[_Known]] = set()
        self._forgotten = 0
        self._listening = True
        self._beat: asyncio.TimerHandle | None = None

    def listen(self, listener: Listener) -> None:
        """Hear of revocations, suspensions and new policies; to be called once directory and rights are wired."""
        listener.damp(ingest_tokens.CHANNEL, directory.CHANNEL, rights.CHANNEL)
        listener.on(ingest_tokens.CHANNEL, self.forget)
        listener.on(directory.CHANNEL, self.look_again)
        listener.on(rights.CHANNEL, self.look_again)
        listener.watch(self.watch)
        self.watch(listener.connected)

    def on_revocation(self, look_again: Callable[[], None]) -> None:
        """Call ``look_again`` whenever what held may not hold any more; it must be quick and must not raise."""
        self._watchers.append(look_again)

    def look_again(self, _notice: str = "") -> None:
        """Tenants or rights changed: let everybody who signed in for long look whether they may stay."""
        for look_again in self._watchers:
            look_again()

    def forget(self, _notice: str = "") -> None:
        """Void what is remembered, and what is being looked up just now: a token or key may be revoked."""
        self._forgotten += 1
        self._cache.clear()
        self._looking.clear()
        self.look_again()

    def watch(self, connected: bool) -> None:
        """While notices may be missed, believe everything for ``BLIND`` seconds only."""
        self._listening = connected
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self.forget()
        if not connected:
            self._beat = asyncio.get_running_loop().call_later(BLIND, self._look_around)

    async def close(self) -> None:
        """Stop, and leave nothing behind."""
        if self._beat is not None:
            self._beat.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._last_used.close()

    async def authenticate(self, credentials: Credentials) -> Actor:
        """Who signs in with these.

        Raises ``Unauthenticated`` when they are absent or do not hold, ``Forbidden`` when their tenant is suspended,
        ``Unavailable`` when that cannot be known.
        """
        known = await self._known(credentials)
        identity = known.identity
        await self._services.directory.require_active(identity.tenant)
        actor = known.actor_for(await self._services.rights.of(identity.roles, identity.tenant))
        if identity.key_id is not None:
            self._last_used.note(identity.tenant, identity.key_id)
        return actor if credentials.user_id is None else replace(actor, on_behalf_of=credentials.user_id)

    def recognised(self, key: Key) -> Actor | None:
        """The actor of the credentials with that ``key_of`` where nobody has to be asked; ``None`` otherwise."""
        known = self._cache.get(key)
        if known is None or time.time() >= known.until:
            return None
        identity = known.identity
        granted = self._services.rights.known(identity.roles, identity.tenant)
        if granted is None or not self._services.directory.serves(identity.tenant):
            return None
        if identity.key_id is not None:
            self._last_used.note(identity.tenant, identity.key_id)
        return known.actor_for(granted)

    async def _known(self, credentials: Credentials) -> _Known:
        key = key_of(credentials)
        remembered = self._cache.get(key)
        if remembered is not None and time.time() < remembered.until:
            return remembered
        task = self._looking.get(key)
        if task is None:
            form, text = _form(credentials)
            task = self._looking[key] = asyncio.create_task(self._look_up(key, form, text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _look_up(self, key: Key, form: _Form, text: str) -> _Known:
        started, forgotten = time.time(), self._forgotten
        try:
            identity = await self._identity(form, text)
        finally:
            if self._looking.get(key) is asyncio.current_task():
                del self._looking[key]
        until = started + (self._remember if self._listening else min(BLIND, self._remember))
        known = _Known(identity, min(until, identity.expires_at or until))
        if forgotten == self._forgotten:  # else what was read may be older than the revocation
            self._cache[key] = known
            if len(self._cache) > _MOST_CACHED:
                self._cache.popitem(last=False)
        return known

    async def _identity(self, form: _Form, text: str) -> Identity:
        if form is _Form.JWT:
            return await self._verifier.verify(text)
        there = await self._secrets.have(sha256(text.encode()).digest())
        if form is _Form.API_KEY:
            found = await api_keys.find(self._services.database, text) if there else None
            if found is None:
                raise Unauthenticated(_UNKNOWN_KEY)
            return Identity.of_key(found)
        token = await ingest_tokens.find(self._services.database, text) if there else None
        if token is None:
            raise Unauthenticated(_UNKNOWN_INGEST)
        return Identity.of_ingest_token(token)

    def _look_around(self) -> None:
        self._services.directory.changed()
        self._services.rights.changed()
        self.forget()
        self._beat = asyncio.get_running_loop().call_later(BLIND, self._look_around)


def key_of(credentials: Credentials) -> Key:
    """By what they are remembered; raises ``Unauthenticated`` if nothing was sent, or more than any of them has."""
    sent = credentials.authorization if credentials.api_key is None else credentials.api_key
    if sent is None:
        raise Unauthenticated(problem=None)
    if len(sent) > MAX_HEADER:
        raise Unauthenticated("This token is too long to be one of this server's. Send it as it was made.")
    return credentials.api_key is not None, sha256(sent.encode("utf-8", "surrogatepass")).digest()


def _form(credentials: Credentials) -> tuple[_Form, str]:
    """What was sent, by its form; raises ``Unauthenticated`` for what has none, before anything is looked up."""
    if credentials.api_key is not None:
        key = credentials.api_key.strip()
        if not api_keys.looks_like_one(key) or not _is_plain(key, MAX_SECRET):
            raise Unauthenticated("This is no API key. Send one as it was shown: <tenant>_api_…")
        return _Form.API_KEY, key
    scheme, _, token = (credentials.authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(problem=None)
    if not _is_plain(token, MAX_TOKEN):
        raise Unauthenticated("This token is malformed. Send it as it was made: Authorization: Bearer <token>.")
    if ingest_tokens.looks_like_one(token):
        if len(token) > MAX_SECRET:
            raise Unauthenticated(_UNKNOWN_INGEST)
        return _Form.INGEST_TOKEN, token
    if api_keys.looks_like_one(token):
        raise Unauthenticated("This is an API key, not a bearer token. Send it as X-API-Key: <key>.")
    return _Form.JWT, token


def _is_plain(text: str, most: int) -> bool:
    return len(text) <= most and text.isascii() and text.isprintable()
