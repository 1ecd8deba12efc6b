"""A tenant's keys, managed by those who may: listed, created, rotated, revoked (T2)."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from sqlalchemy import func, select

from lakefront.actor import KEYS_MANAGE, TENANTS_MANAGE, Actor
from lakefront.db.database import Database, Transaction
from lakefront.db.tables.tenants import tenant_api_keys
from lakefront.domain import idempotency
from lakefront.domain.api_keys.issue import add, announce, check, invalid, issue, lock, room_for_one
from lakefront.domain.api_keys.keys import COLUMNS, MAX_OVERLAP, ApiKey, ApiKeyState, NewKey
from lakefront.domain.rights import Rights
from lakefront.errors import Conflict, Forbidden, NotFound
from lakefront.settings import Settings

MOST_LISTED: Final = 500


class Parts(Protocol):
    """What this takes of ``Services``: a command line has no more."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def database(self) -> Database:
        """The application's."""

    @property
    def rights(self) -> Rights:
        """What roles may do."""


async def acting_for(database: Database, actor: Actor, tenant: str) -> Actor:
    """``actor`` as one of ``tenant``: itself in its own; whoever manages tenants acts for any, as ``home:subject``.

    Raises ``Forbidden`` for a foreign tenant without the scope tenants:manage, ``NotFound`` where there is no tenant.
    """
    if tenant == actor.tenant:
        return actor
    if TENANTS_MANAGE not in actor.scopes:
        raise Forbidden("This is not your tenant. Use your own tenant's id in the path.")
    known: list[Any] = []
    if tenant.isprintable():  # others are no text for PostgreSQL, some of them
        async with database.transaction(tenant) as transaction:
            known = await transaction.fetch("SELECT 1 FROM tenants.tenant_profiles WHERE tenant_id = $1", tenant)
    if not known:
        raise NotFound("There is no such tenant. Check its id.")
    return replace(actor, tenant=tenant, subject=f"{actor.tenant}:{actor.subject}")


def key_id(text: str) -> UUID:
    """The id that ``text`` names; raises ``NotFound`` for what is none, as for one that is not there."""
    try:
        return UUID(text)
    except ValueError:
        raise _not_found() from None


async def keys(parts: Parts, actor: Actor) -> list[ApiKey]:
    """The keys of the actor's tenant, newest first, those that ended as well. Needs the scope keys:manage.

    Those that hold come all, and of the others the newest: MOST_LISTED together.
    """
    actor.require(KEYS_MANAGE)
    holds = tenant_api_keys.c.revoked_at.is_(None) & (tenant_api_keys.c.expires_at > func.now())
    async with parts.database.transaction(actor.tenant) as transaction:
        rows = await transaction.fetch(
            select(*COLUMNS)
            .where(tenant_api_keys.c.tenant_id == actor.tenant)
            .order_by(holds.desc(), tenant_api_keys.c.created_at.desc())
            .limit(MOST_LISTED)
        )
    return sorted(map(ApiKey.of, rows), key=lambda key: (key.created_at, key.key_id), reverse=True)


async def create(
    parts: Parts,
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
    named, lifetime = sorted(set(roles)), timedelta(seconds=parts.settings.api_key_ttl) if ttl is None else ttl
    check(name, named, lifetime)
    await _may_grant(parts, actor, named)

    async def step(transaction: Transaction) -> NewKey:
        return await issue(transaction, actor.tenant, name, named, actor.subject, lifetime)

    return await _change(parts, actor, step, ("createApiKey", name, named, ttl), idempotency_key, dry_run)


async def rotate(
    parts: Parts,
    actor: Actor,
    key_id: UUID,
    overlap: timedelta = timedelta(days=1),
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> NewKey:
    """A new key in place of another: its name, roles and lifetime. The old one holds on for ``overlap``, 0 to 30 days.

    An overlap that was promised is kept: what the old one had replaced itself holds until its own ``expires_at``, and
    only ``revoke`` ends it before. Needs the scope keys:manage. Raises ``NotFound``, ``Forbidden`` if the key may do
    what the actor may not, ``Conflict`` if it was rotated before, does not hold any more, or with the overlap would
    hold beside MOST_LIVE others, ``ValidationError`` for another overlap.
    """
    actor.require(KEYS_MANAGE)
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise invalid("overlap", "The overlap must be 0 to 30 days.")

    async def step(transaction: Transaction) -> NewKey:
        await lock(transaction, actor.tenant)
        old, now = await _one(transaction, actor.tenant, key_id)
        await _may_grant(parts, actor, old.roles)
        if (state := old.state(now)) is not ApiKeyState.ACTIVE:
            raise Conflict(f"This key is {state}. Rotate the one that replaced it, or create a new one.")
        if overlap:
            await room_for_one(transaction, actor.tenant)
        lifetime = old.expires_at - old.created_at
        new = await add(transaction, actor.tenant, old.name, old.roles, actor.subject, lifetime)
        await transaction.execute(
            "UPDATE tenants.tenant_api_keys SET replaced_by = $3, expires_at = least(expires_at, now() + $4::interval) "
            "WHERE tenant_id = $1 AND key_id = $2",
            *(actor.tenant, key_id, new.key.key_id, overlap),
        )
        await announce(transaction)
        return new

    return await _change(parts, actor, step, ("rotateApiKey", key_id, overlap), idempotency_key, dry_run)


async def regenerate(parts: Parts, actor: Actor, key_id: UUID, *, idempotency_key: str | None = None) -> NewKey:
    """A new key in place of another that ends at once: ``rotate`` without an overlap.

    One that the other had replaced keeps the overlap that it was promised.
    """
    return await rotate(parts, actor, key_id, timedelta(0), idempotency_key=idempotency_key)


async def revoke(
    parts: Parts,
    actor: Actor,
    key_id: UUID,
    *,
    force: bool = False,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> ApiKey:
    """End a key now, on every server within a second; one that was revoked before stays as it is.

    Needs the scope keys:manage, whatever the key itself may do: to take away is always right. Raises ``NotFound``, and
    without ``force`` ``Conflict`` for the last key by which the tenant can make others.
    """
    actor.require(KEYS_MANAGE)

    async def step(transaction: Transaction) -> NewKey:
        await lock(transaction, actor.tenant)
        if not force:
            await _not_the_last(parts, transaction, actor.tenant, key_id)
        await transaction.execute(
            "UPDATE tenants.tenant_api_keys SET revoked_at = coalesce(revoked_at, now()) "
            "WHERE tenant_id = $1 AND key_id = $2",
            *(actor.tenant, key_id),
        )
        await announce(transaction)
        key, _ = await _one(transaction, actor.tenant, key_id)
        return NewKey(key, "")

    return (await _change(parts, actor, step, ("revokeApiKey", key_id, force), idempotency_key, dry_run)).key


class _DryRun(Exception):
    """Everything was checked, nothing is to stay."""


async def _change(
    parts: Parts,
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
        # A step may ask for rights, which are read by another connection when a rule has changed.
        async with idempotency.place(parts.database), parts.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = msgspec.json.encode(request)
            stored = await idempotency.once_within(transaction, actor, str(request[0]), key, body, run)
            if dry_run:
                raise _DryRun
    return NewKey(msgspec.convert(stored, ApiKey), text)


async def _may_grant(parts: Parts, actor: Actor, roles: Iterable[str]) -> None:
    """Pass if ``roles`` may do nothing that the actor may not."""
    for role in roles:
        granted = await parts.rights.of([role], actor.tenant)
        if not granted.scopes | granted.own:
            known = (await parts.rights.policy()).roles_of(actor.tenant)
            there = ", ".join(name for name in known if name != role)
            raise invalid("roles", f"There is no role '{role[:50]}' for keys of this tenant. Choose from: {there}.")
        if not (granted.scopes <= actor.scopes and granted.own <= actor.scopes | actor.own):
            raise Forbidden(f"The role '{role}' may do what you may not. Ask somebody who holds it.")


async def _not_the_last(parts: Parts, transaction: Transaction, tenant: str, key_id: UUID) -> None:
    """Pass unless that key holds, may manage keys, and no other that is to stay may; raises ``Conflict``.

    One in its overlap does not count as another: it ends by itself.
    """
    key, now = await _one(transaction, tenant, key_id)

    async def manages(key: ApiKey) -> bool:
        return KEYS_MANAGE in (await parts.rights.of(key.roles, tenant)).scopes

    if key.state(now) not in (ApiKeyState.ACTIVE, ApiKeyState.ROTATED) or not await manages(key):
        return
    live = (tenant_api_keys.c.tenant_id == tenant) & tenant_api_keys.c.revoked_at.is_(None)
    for row in await transaction.fetch(select(*COLUMNS).where(live)):
        other = ApiKey.of(row)
        if other.key_id != key_id and other.state(now) is ApiKeyState.ACTIVE and await manages(other):
            return
    raise Conflict(
        "This is the tenant's last API key that may manage keys: without it, nobody makes another by key. Regenerate "
        "it, create one with the role admin first, or revoke it with force."
    )


async def _one(transaction: Transaction, tenant: str, key_id: UUID) -> tuple[ApiKey, datetime]:
    """The key, and PostgreSQL's time."""
    ours = (tenant_api_keys.c.tenant_id == tenant) & (tenant_api_keys.c.key_id == key_id)
    rows = await transaction.fetch(select(*COLUMNS, func.now()).where(ours))
    if not rows:
        raise _not_found()
    [(*columns, now)] = rows
    return ApiKey.of(columns), now


def _not_found() -> NotFound:
    return NotFound("This tenant has no API key with that id. List the keys to see their ids.")
