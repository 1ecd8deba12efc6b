"""Onboarding (T1, T2): a dry run of all checks, then, within the hour, one transaction that makes the tenant."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec

from lakefront.actor import CITY, TENANTS_MANAGE, Actor, Kind
from lakefront.db import tenant_views
from lakefront.db.database import Transaction
from lakefront.domain import api_keys, idempotency
from lakefront.domain.tenants.checks import Check, check, taken_as
from lakefront.domain.tenants.configuration import Configuration
from lakefront.domain.tenants.directory import CHANNEL
from lakefront.domain.tenants.parts import Parts
from lakefront.domain.tenants.plans import PLANS
from lakefront.domain.tenants.profiles import require_manager
from lakefront.errors import Conflict, DryRunRequired

VALID_FOR: Final = timedelta(hours=1)
"""How long a dry run that passed lets exactly its configuration be onboarded."""

FIRST_KEY: Final = "onboarding"
"""The name of a tenant's first API key, and who made it."""


VISITOR: Final = Actor("visitor", CITY, frozenset({TENANTS_MANAGE}), kind=Kind.SERVICE)
"""Who onboards without a token, where that is open; good for ``dry_run`` and ``onboard`` alone."""


class DryRun(msgspec.Struct, frozen=True):
    """What a dry run found; ``ok``: this very configuration may be onboarded within the hour."""

    tenant_id: str
    subscription_plan: str
    ok: bool
    checks: list[Check]
    message: str


class Onboarded(msgspec.Struct, frozen=True):
    """A tenant that was just made. ``api_key`` is shown this once; None when the answer is given again (X2)."""

    tenant_id: str
    api_key: str | None
    subscription_plan: str
    dataset_created: bool
    message: str = "Tenant onboarded successfully"


async def dry_run(
    parts: Parts,
    actor: Actor,
    configuration: Configuration,
    *,
    remember: bool = True,
    idempotency_key: str | None = None,
) -> DryRun:
    """Run every check of onboarding; create nothing, but remember for an hour that the configuration passed.

    Unless it is to ``remember`` nothing: then it is a dry run of the dry run (X4). Needs the scope tenants:manage;
    raises ``Forbidden``, ``IdempotencyConflict``, ``Unavailable`` without PostgreSQL.
    """
    require_manager(actor)
    run = partial(_check, parts, configuration, remember=remember)
    key = idempotency_key if remember else None
    stored = await idempotency.once(parts.database, actor, "dryRunTenant", key, configuration.digest(), run)
    return msgspec.convert(stored, DryRun)


async def _check(parts: Parts, configuration: Configuration, *, remember: bool) -> DryRun:
    checks = await check(parts, configuration)
    failed = sum(one.ok is False for one in checks)
    if failed:
        message = f"{failed} of {len(checks)} checks failed. Correct what they say, and run this again."
    else:
        message = "Every check passed. Onboard exactly this configuration within an hour."
        if remember:
            await _remember(parts, configuration)
    return DryRun(configuration.tenant_id, configuration.subscription_plan, not failed, checks, message)


async def _remember(parts: Parts, configuration: Configuration) -> None:
    async with parts.provisioner.transaction(CITY) as transaction:
        await transaction.execute("DELETE FROM tenants.dry_runs WHERE passed_at < now() - $1::interval", VALID_FOR)
        await transaction.execute(
            "INSERT INTO tenants.dry_runs (configuration, passed_at) VALUES ($1, now()) "
            "ON CONFLICT (configuration) DO UPDATE SET passed_at = excluded.passed_at",
            configuration.digest(),
        )


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def onboard(
    parts: Parts,
    actor: Actor,
    configuration: Configuration,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Onboarded:
    """Make the tenant: profile, plan, first API key, schema and views, all or nothing; needs tenants:manage.

    What is stored for ``idempotency_key`` is the answer without the key's text: given again, ``api_key`` is None. With
    ``dry_run`` (X4) all of it is done and rolled back. Raises ``DryRunRequired``, ``Conflict`` when the id is taken
    (also by somebody who was faster), ``IdempotencyConflict``, ``Forbidden``, ``Unavailable``.
    """
    require_manager(actor)
    text: str | None = None

    async def run() -> Onboarded:
        nonlocal text
        text = await _make(transaction, configuration, timedelta(seconds=parts.settings.api_key_ttl))
        return Onboarded(configuration.tenant_id, None, configuration.subscription_plan, dataset_created=True)

    with suppress(_DryRun):
        async with parts.provisioner.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            answer = await _once(transaction, actor, key, configuration, run)
            if dry_run:
                raise _DryRun
    if dry_run:
        told = "The tenant could be made; nothing was kept."
        return msgspec.structs.replace(answer, dataset_created=False, message=told)
    if text is None:
        told = "This tenant was onboarded by an earlier request with this idempotency key, which was shown the API key."
        return msgspec.structs.replace(answer, message=told)
    return msgspec.structs.replace(answer, api_key=text)


async def _once(
    transaction: Transaction,
    actor: Actor,
    key: str | None,
    configuration: Configuration,
    run: Callable[[], Awaitable[Onboarded]],
) -> Onboarded:
    stored = await idempotency.once_within(transaction, actor, "onboardTenant", key, configuration.digest(), run)
    return msgspec.convert(stored, Onboarded)


async def _make(transaction: Transaction, configuration: Configuration, ttl: timedelta) -> str:
    """All of a tenant, within ``transaction``; the text of its first key, which holds for ``ttl``."""
    tenant, plan = configuration.tenant_id, configuration.subscription_plan
    await _free(transaction, tenant)
    await _use_dry_run(transaction, configuration)
    await transaction.execute(
        "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
        "VALUES ($1, $2, $3, 'active')",
        *(tenant, configuration.company_name, configuration.admin_email),
    )
    await transaction.execute(
        "INSERT INTO tenants.tenant_subscriptions "
        "(tenant_id, plan, daily_pipelines, daily_events, daily_requests, storage_bytes) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        *(tenant, plan, *PLANS[plan]),
    )
    made = await api_keys.issue(transaction, tenant, FIRST_KEY, ["admin"], FIRST_KEY, ttl)
    await tenant_views.create(transaction, tenant)
    await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, tenant)
    return made.text


async def _free(transaction: Transaction, tenant: str) -> None:
    """Pass if nothing has the tenant's id; of two who want it at once, the second waits for the first.

    Raises ``Conflict`` otherwise.
    """
    # An id that nobody checked may hold what PostgreSQL takes no text with; none such has a dry run.
    if not (tenant.isascii() and tenant.isprintable()):
        raise DryRunRequired
    await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"tenants:{tenant}")
    if (taken := await taken_as(transaction, tenant)) is not None:
        raise Conflict(f"{taken} Choose another id, and start with a dry run of it.")


async def _use_dry_run(transaction: Transaction, configuration: Configuration) -> None:
    """Take the dry run of ``configuration`` away, as one dry run is good for one onboarding."""
    used = await transaction.fetch(
        "DELETE FROM tenants.dry_runs WHERE configuration = $1 AND passed_at >= now() - $2::interval RETURNING 1",
        *(configuration.digest(), VALID_FOR),
    )
    if not used:
        raise DryRunRequired
