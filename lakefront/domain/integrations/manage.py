"""A tenant's integrations, managed by those who may: listed, made, changed, their credentials renewed (C7)."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import msgspec

from lakefront.actor import INTEGRATIONS_MANAGE, Actor
from lakefront.adapters.base import Adapter
from lakefront.adapters.endpoint import checked_base_url
from lakefront.db.database import Transaction
from lakefront.domain import idempotency
from lakefront.domain.cities import invalid, is_slug, require_city
from lakefront.domain.integrations.integration import (
    MOST_CALLS,
    Change,
    Integration,
    IntegrationInput,
    adapter_of,
    check_credentials,
)
from lakefront.domain.integrations.rows import read, read_one
from lakefront.domain.integrations.writing import Parts, write
from lakefront.errors import NotFound
from lakefront.settings import Settings

_log = logging.getLogger(__name__)


async def integrations(parts: Parts, actor: Actor) -> list[Integration]:
    """The integrations of the actor's tenant, by provider and city. Needs the scope integrations:manage."""
    actor.require(INTEGRATIONS_MANAGE)
    async with parts.database.transaction(actor.tenant) as transaction:
        return [Integration.of(row) for row in await read(transaction, actor.tenant)]


async def upsert(
    parts: Parts, actor: Actor, given: IntegrationInput, *, idempotency_key: str | None = None, dry_run: bool = False
) -> Change:
    """Let the integration be as it is ``given``; all servers take it at once. On a dry run, what would be.

    Credentials are sent only to the host that they were given for: who names another host gives all of them anew.
    Needs the scope integrations:manage. Raises ``ValidationError``, ``Conflict`` (the stored credentials cannot be
    read, past MOST), ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(INTEGRATIONS_MANAGE)
    adapter = adapter_of(given.provider)
    _check(parts.settings, adapter, given)

    async def step(transaction: Transaction) -> Change:
        await _lock(transaction, actor.tenant)
        if adapter.city_bound:
            await require_city(transaction, actor.tenant, given.city)
        old = await read_one(transaction, actor.tenant, given.provider, given.city, lock=True)
        return await write(parts, actor, transaction, adapter, given, old)

    return await _change(parts, actor, step, ("upsertIntegration", given), idempotency_key, dry_run)


async def rotate(
    parts: Parts,
    actor: Actor,
    provider: str,
    city: str,
    credentials: Mapping[str, str],
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> Change:
    """Put new ``credentials`` in place of those of the same names; the others stay. What was there is gone.

    Needs the scope integrations:manage. Raises ``NotFound`` where there is no such integration, and as ``upsert``.
    """
    actor.require(INTEGRATIONS_MANAGE)
    adapter = adapter_of(provider)
    given = IntegrationInput(provider=provider, city=city, credentials=dict(credentials))
    _check(parts.settings, adapter, given)
    if not credentials or None in given.credentials.values():
        raise invalid("credentials", "Give a new value for each credential that is to be renewed.")

    async def step(transaction: Transaction) -> Change:
        await _lock(transaction, actor.tenant)
        old = await read_one(transaction, actor.tenant, provider, city, lock=True)
        if old is None:
            raise not_found()
        return await write(parts, actor, transaction, adapter, given, old)

    return await _change(parts, actor, step, ("rotateIntegrationKey", given), idempotency_key, dry_run)


def check_place(adapter: type[Adapter], city: str) -> None:
    """Pass if the adapter may be of that city (``""``: of none); raises ``ValidationError``."""
    if adapter.city_bound and not is_slug(city):
        raise invalid("city", f"{adapter.title} is of a city. Name one that there is: cities lists them.")
    if city and not adapter.city_bound:
        raise invalid("city", f"{adapter.title} is of no city. Leave city out.")


def not_found() -> NotFound:
    """There is no such integration."""
    return NotFound(
        "There is no such integration. integrations lists those that there are; upsertIntegration adds one."
    )


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def _change(
    parts: Parts,
    actor: Actor,
    step: Callable[[Transaction], Awaitable[Change]],
    request: tuple[str, IntegrationInput],
    idempotency_key: str | None,
    dry_run: bool,
) -> Change:
    """Do ``step`` in a transaction, once for an idempotency key; what is kept of it holds no credential."""
    made: Change | None = None

    async def run() -> Change:
        nonlocal made
        made = await step(transaction)
        return made

    with suppress(_DryRun):
        async with parts.database.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            body = parts.endpoints.keys.fingerprint(msgspec.json.encode(request))
            stored = await idempotency.once_within(transaction, actor, request[0], key, body, run)
            if dry_run:
                raise _DryRun
    change = msgspec.convert(stored, Change)
    if made is not None and not dry_run:
        parts.endpoints.changed()  # who asks this server next sees it, however late the notice is
        _tell(actor, change)
    return change


def _check(settings: Settings, adapter: type[Adapter], given: IntegrationInput) -> None:
    """Raise ``ValidationError`` for what can be told without the stored row."""
    check_place(adapter, given.city)
    if isinstance(given.base_url, str):
        checked_base_url(given.base_url, loopback=settings.loopback_integrations)
    if isinstance(given.api_version, str) and given.api_version not in adapter.api_versions:
        raise invalid("apiVersion", f"{adapter.title} is spoken in the versions {', '.join(adapter.api_versions)}.")
    if isinstance(given.quota_daily, int) and not 0 <= given.quota_daily <= MOST_CALLS:
        raise invalid("quotaDaily", f"A daily quota is 0 to {MOST_CALLS} calls, or null for no bound.")
    check_credentials(adapter, given.credentials)


async def _lock(transaction: Transaction, tenant: str) -> None:
    """One change of a tenant's integrations at a time."""
    await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"integrations:{tenant}")


def _tell(actor: Actor, change: Change) -> None:
    """What was changed, for the log: names alone; who did it is in ``integration_changes``."""
    it = change.integration
    _log.info(
        "integration %s tenant=%s integration.provider=%s city=%s version=%d what=%s",
        *("created" if change.created else "changed", actor.tenant, it.provider, it.city, it.version),
        ",".join(change.changed),
    )
