"""API keys of tenants (T2, T4, L14): shown once, kept as their SHA-256, rotated with an overlap, revoked at once.

A key is ``<tenant>_api_<256 random bits>``. Its tenant is what stands before the first mark: the random part may hold
an underscore, a tenant's id never makes a mark (``domain.tenants.configuration``).
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import func, insert, select

from lakefront.actor import KEYS_MANAGE, TENANTS_MANAGE, Actor
from lakefront.db.database import Database, Transaction
from lakefront.db.tables.tenants import tenant_api_keys as TABLE  # noqa: N812
from lakefront.domain import idempotency, ingest_tokens
from lakefront.domain.ingest_tokens import CHANNEL
from lakefront.domain.services import Services
from lakefront.errors import Conflict, Forbidden, NotFound, ValidationError

MARK: Final = "_api_"

MAX_TTL: Final = timedelta(days=365)
MAX_OVERLAP: Final = timedelta(days=30)
MAX_NAME: Final = 100
MOST_LIVE: Final = 50
"""Keys that a tenant may have at once; one that was rotated and is in its overlap does not count."""

MOST_LISTED: Final = 500

_PREFIX: Final = 8
_MAX_TEXT: Final = 200
_NO_DIGEST: Final = bytes(32)


class KeyState(StrEnum):
    """Whether a key holds, and if not, why."""

    ACTIVE = "active"
    ROTATED = "rotated"
    """There is a newer one; this one holds until its overlap ends."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key; its text is not. ``prefix``: the first 8 characters after the mark, to tell keys apart."""

    key_id: UUID
    name: str
    prefix: str
    roles: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: UUID | None

    def state(self, at: datetime) -> KeyState:
        """What the key is at that time."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at <= at:
            return KeyState.EXPIRED
        return KeyState.ACTIVE if self.replaced_by is None else KeyState.ROTATED


_COLUMNS: Final = [TABLE.c[field.name] for field in fields(ApiKey)]
_HOLDS: Final = TABLE.c.revoked_at.is_(None) & (TABLE.c.expires_at > func.now())


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. ``text`` is shown this once.

    It is empty on a dry run, and when a request with the same idempotency key is answered again: then the key is
    there, and its text is gone.
    """

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that holds: what an actor is made of."""

    key_id: UUID
    tenant: str
    roles: tuple[str, ...]
    expires_at: datetime
    created_at: datetime


def looks_like_one(text: str) -> bool:
    """Whether ``text`` has the form of an API key: its mark comes before any other's, and it is no JWT."""
    return MARK in text and "." not in text and ingest_tokens.MARK not in text[: text.index(MARK) + len(MARK)]


async def find(database: Database, text: str) -> FoundKey | None:
    """The key with that text, None if there is none that holds.

    Whether it is there or not, one hash is made and compared in constant time, so that timing tells nothing. Raises
    ``Unavailable`` when PostgreSQL is away.
    """
    tenant, _, random = text.partition(MARK)
    if not tenant or not random or len(text) > _MAX_TEXT or not (text.isascii() and text.isprintable()):
        return None
    digest = _hash(text)
    async with database.transaction(tenant) as transaction:
        rows = await transaction.fetch(
            "SELECT sha256, key_id, roles, expires_at, created_at FROM tenants.tenant_api_keys "
            "WHERE tenant_id = $1 AND prefix = $2 AND revoked_at IS NULL AND expires_at > now()",
            *(tenant, random[:_PREFIX]),
        )
    found = None
    for stored, key_id, roles, expires_at, created_at in rows or [(_NO_DIGEST, None, (), None, None)]:
        if hmac.compare_digest(stored, digest):
            found = FoundKey(key_id, tenant, tuple(roles), expires_at, created_at)
    return found


async def used(database: Database, uses: Mapping[tuple[str, UUID], datetime]) -> None:
    """Write when keys were last used, all at once: (tenant, key_id) -> when. Raises ``Unavailable``."""
    for tenant in sorted({tenant for tenant, _ in uses}):
        times = {key_id: at for (its, key_id), at in uses.items() if its == tenant}
        async with database.transaction(tenant) as transaction:
            # Locked in the order of their ids, so that two servers that write the same keys do not wait for each other.
            await transaction.execute(
                "WITH uses AS (SELECT k.key_id, u.at FROM tenants.tenant_api_keys k "
                "JOIN unnest($2::uuid[], $3::timestamptz[]) u (key_id, at) ON u.key_id = k.key_id "
                "WHERE k.tenant_id = $1 ORDER BY k.key_id FOR NO KEY UPDATE OF k) "
                "UPDATE tenants.tenant_api_keys k SET last_used_at = greatest(k.last_used_at, uses.at) "
                "FROM uses WHERE k.tenant_id = $1 AND k.key_id = uses.key_id",
                *(tenant, list(times), list(times.values())),
            )


async def issue(
    transaction: Transaction, tenant: str, name: str, roles: Iterable[str], created_by: str, ttl: timedelta
) -> NewKey:
    """Make a key within the caller's ``transaction``, be it the provisioner's; what it may grant is the caller's duty.

    Raises ``ValidationError`` for a bad name, no roles or a lifetime beyond a year, ``Conflict`` past MOST_LIVE keys.
    """
    named = sorted(set(roles))
    _check(name, named, ttl)
    await _lock(transaction, tenant)
    [(live,)] = await transaction.fetch(
        "SELECT count(*) FROM tenants.tenant_api_keys WHERE tenant_id = $1 AND revoked_at IS NULL "
        "AND replaced_by IS NULL AND expires_at > now()",
        tenant,
    )
    if live >= MOST_LIVE:
        raise Conflict(f"This tenant has {MOST_LIVE} API keys that hold, which is the most. Revoke one first.")
    return await _insert(transaction, tenant, name, named, created_by, ttl)


async def acting_for(services: Services, actor: Actor, tenant: str) -> Actor:
    """``actor`` as one of ``tenant``: itself in its own; whoever manages tenants acts for any, as ``home:subject``.

    Raises ``Forbidden`` for a foreign tenant without the scope tenants:manage, ``NotFound`` where there is no tenant.
    """
    if tenant == actor.tenant:
        return actor
    if TENANTS_MANAGE not in actor.scopes:
        raise Forbidden("This is not your tenant. Use your own tenant's id in the path.")
    async with services.database.transaction(tenant) as transaction:
        known = await transaction.fetch("SELECT 1 FROM tenants.tenant_profiles WHERE tenant_id = $1", tenant)
    if not known:
        raise NotFound("There is no such tenant. Check its id.")
    return replace(actor, tenant=tenant, subject=f"{actor.tenant}:{actor.subject}")


async def keys(services: Services, actor: Actor) -> list[ApiKey]:
    """The keys of the actor's tenant, newest first, those that ended as well. Needs the scope keys:manage.

    Those that hold come all, and of the others the newest: MOST_LISTED together.
    """
    actor.require(KEYS_MANAGE)
    async with services.database.transaction(actor.tenant) as transaction:
        rows = await transaction.fetch(
            select(*_COLUMNS)
            .where(TABLE.c.tenant_id == actor.tenant)
            .order_by(_HOLDS.desc(), TABLE.c.created_at.desc())
            .limit(MOST_LISTED)
        )
    return sorted(map(_key, rows), key=lambda key: (key.created_at, key.key_id), reverse=True)


async def create(
    services: Services,
    actor: Actor,
    name: str,
    roles: Iterable[str],
    ttl: timedelta | None = None,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> NewKey:
    """Make a key with ``roles`` that ends after ``ttl`` (the setting ``api_key_ttl`` if None).

    Needs the scope keys:manage. Raises ``Forbidden`` if the roles may do what the actor may not, and what ``issue``
    raises; ``IdempotencyConflict`` as ``idempotency.once`` does.
    """
    actor.require(KEYS_MANAGE)
    named, lifetime = sorted(set(roles)), ttl or timedelta(seconds=services.settings.api_key_ttl)
    await _may_grant(services, actor, named)

    async def step(transaction: Transaction) -> NewKey:
        return await issue(transaction, actor.tenant, name, named, actor.subject, lifetime)

    return await _change(services, actor, step, ("createApiKey", name, named, ttl), idempotency_key, dry_run)


async def rotate(
    services: Services,
    actor: Actor,
    key_id: UUID,
    overlap: timedelta = timedelta(days=1),
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> NewKey:
    """A new key in place of another: its name, roles and lifetime. The old one holds on for ``overlap``, 0 to 30 days.

    What the old one had replaced itself ends at once: two of a chain hold at most. Needs the scope keys:manage. Raises
    ``NotFound``, ``Forbidden`` if the key may do what the actor may not, ``Conflict`` if it was rotated before or does
    not hold any more, ``ValidationError`` for another overlap.
    """
    actor.require(KEYS_MANAGE)
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise _invalid("overlap", "The overlap must be 0 to 30 days.")

    async def step(transaction: Transaction) -> NewKey:
        await _lock(transaction, actor.tenant)
        old, now = await _one(transaction, actor.tenant, key_id)
        await _may_grant(services, actor, old.roles)
        if (state := old.state(now)) is not KeyState.ACTIVE:
            raise Conflict(f"This key is {state}. Rotate the one that replaced it, or create a new one.")
        lifetime = old.expires_at - old.created_at
        new = await _insert(transaction, actor.tenant, old.name, old.roles, actor.subject, lifetime)
        await transaction.execute(
            "UPDATE tenants.tenant_api_keys SET replaced_by = CASE key_id WHEN $2 THEN $3 ELSE replaced_by END, "
            "expires_at = least(expires_at, now() + CASE key_id WHEN $2 THEN $4::interval ELSE '0' END) "
            "WHERE tenant_id = $1 AND (key_id = $2 OR replaced_by = $2)",
            *(actor.tenant, key_id, new.key.key_id, overlap),
        )
        return new

    return await _change(services, actor, step, ("rotateApiKey", key_id, overlap), idempotency_key, dry_run)


async def regenerate(services: Services, actor: Actor, key_id: UUID, *, idempotency_key: str | None = None) -> NewKey:
    """A new key in place of another that ends at once: ``rotate`` without an overlap."""
    return await rotate(services, actor, key_id, timedelta(0), idempotency_key=idempotency_key)


async def revoke(
    services: Services, actor: Actor, key_id: UUID, *, idempotency_key: str | None = None, dry_run: bool = False
) -> ApiKey:
    """End a key now, on every server within a second; one that was revoked before stays as it is.

    Needs the scope keys:manage, whatever the key itself may do: to take away is always right. Raises ``NotFound``.
    """
    actor.require(KEYS_MANAGE)

    async def step(transaction: Transaction) -> NewKey:
        await transaction.execute(
            "UPDATE tenants.tenant_api_keys SET revoked_at = coalesce(revoked_at, now()) "
            "WHERE tenant_id = $1 AND key_id = $2",
            *(actor.tenant, key_id),
        )
        await _announce(transaction)
        key, _ = await _one(transaction, actor.tenant, key_id)
        return NewKey(key, "")

    return (await _change(services, actor, step, ("revokeApiKey", key_id), idempotency_key, dry_run)).key


class _DryRun(Exception):
    """Everything was checked, nothing is to stay."""


async def _change(
    services: Services,
    actor: Actor,
    step: Callable[[Transaction], Awaitable[NewKey]],
    request: tuple[Any, ...],
    idempotency_key: str | None,
    dry_run: bool,
) -> NewKey:
    """Do ``step`` in a transaction, once for an idempotency key; what is stored for its replay is without the text."""
    text = ""

    async def run() -> ApiKey:
        nonlocal text
        made = await step(transaction)
        text = "" if dry_run else made.text
        return made.key

    with suppress(_DryRun):
        async with services.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = msgspec.json.encode(request)
            stored = await idempotency.once_within(transaction, actor, str(request[0]), key, body, run)
            if dry_run:
                raise _DryRun
    return NewKey(msgspec.convert(stored, ApiKey), text)


async def _may_grant(services: Services, actor: Actor, roles: Iterable[str]) -> None:
    """Pass if ``roles`` may do nothing that the actor may not."""
    for role in roles:
        granted = await services.rights.of([role], actor.tenant)
        if not granted.scopes | granted.own:
            raise _invalid("roles", f"There is no role '{role}' for keys of this tenant. Choose one that there is.")
        if not (granted.scopes <= actor.scopes and granted.own <= actor.scopes | actor.own):
            raise Forbidden(f"The role '{role}' may do what you may not. Ask somebody who holds it.")


async def _insert(
    transaction: Transaction, tenant: str, name: str, roles: Iterable[str], created_by: str, ttl: timedelta
) -> NewKey:
    random = token_urlsafe(32)
    text = f"{tenant}{MARK}{random}"
    values = {
        "tenant_id": tenant,
        "key_id": uuid4(),
        "name": name,
        "prefix": random[:_PREFIX],
        "sha256": _hash(text),
        "roles": list(roles),
        "created_at": func.now(),
        "created_by": created_by,
        "expires_at": func.now() + ttl,
    }
    [row] = await transaction.fetch(insert(TABLE).values(values).returning(*_COLUMNS))
    await _announce(transaction)
    return NewKey(_key(row), text)


async def _one(transaction: Transaction, tenant: str, key_id: UUID) -> tuple[ApiKey, datetime]:
    """The key, and PostgreSQL's time."""
    ours = (TABLE.c.tenant_id == tenant) & (TABLE.c.key_id == key_id)
    rows = await transaction.fetch(select(*_COLUMNS, func.now()).where(ours))
    if not rows:
        raise NotFound("This tenant has no API key with that id. List the keys to see their ids.")
    [(*columns, now)] = rows
    return _key(columns), now


async def _lock(transaction: Transaction, tenant: str) -> None:
    """One change of a tenant's keys at a time: of two rotations of a key, the second sees the first."""
    await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"api_keys:{tenant}")


async def _announce(transaction: Transaction) -> None:
    await transaction.execute("SELECT pg_notify($1, '')", CHANNEL)


def _check(name: str, roles: list[str], ttl: timedelta) -> None:
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not name.strip():
        raise _invalid("name", f"A key's name has 1 to {MAX_NAME} printable characters.")
    if not roles:
        raise _invalid("roles", "Name at least one role.")
    if not timedelta(0) < ttl <= MAX_TTL:
        raise _invalid("ttl", f"A key lives at most {MAX_TTL.days} days. Ask for less, and rotate it in time.")


def _key(row: Iterable[Any]) -> ApiKey:
    key_id, name, prefix, roles, *rest = row
    return ApiKey(key_id, name, prefix, tuple(roles), *rest)


def _invalid(field: str, message: str) -> ValidationError:
    return ValidationError(message, details=[{"field": field, "message": message}])


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
