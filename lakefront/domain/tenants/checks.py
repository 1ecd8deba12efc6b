"""Every check of onboarding (T1): all of them run, whatever the others find, and nothing is left behind."""

import asyncio
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

import asyncpg
import msgspec

from lakefront.adapters.objects import ObjectConflict
from lakefront.db import tenant_views
from lakefront.db.database import Transaction
from lakefront.domain import permits
from lakefront.domain.tenants.configuration import (
    MAX_NAME,
    Configuration,
    is_company_name,
    is_email,
    is_reserved,
    is_tenant_id,
)
from lakefront.domain.tenants.parts import Parts
from lakefront.domain.tenants.plans import PLANS
from lakefront.errors import Unavailable

STORE_PATIENCE: Final = 10.0
"""Seconds that the object store has for an answer."""

MARKER: Final = b"A dry run of onboarding wrote this, to see whether it can. It holds no data.\n"
"""What is written into the object store: one object an hour at most, as objects are never removed."""


class Check(msgspec.Struct, frozen=True):
    """What one check found; where it is not ``ok``, ``message`` says what to do.

    ``ok`` is None where nothing was checked, as another check failed, on which this one depends.
    """

    check: str
    ok: bool | None
    message: str


async def check(parts: Parts, configuration: Configuration) -> list[Check]:
    """All checks of ``configuration``, in an order fit for reading; raises ``Unavailable`` without PostgreSQL."""
    plan = configuration.subscription_plan
    found = await asyncio.gather(_availability(parts, configuration.tenant_id), _database(parts), _object_store(parts))
    return [
        _tenant_id(configuration.tenant_id),
        _reserved_words(parts, configuration.tenant_id),
        _company_name(configuration.company_name),
        _admin_email(configuration.admin_email),
        _subscription_plan(plan),
        _quotas(plan),
        *found,
    ]


def _passed(name: str, message: str) -> Check:
    return Check(name, ok=True, message=message)


def _failed(name: str, message: str) -> Check:
    return Check(name, ok=False, message=message)


def _unchecked(name: str, failed: str) -> Check:
    return Check(name, ok=None, message=f"Not checked, as {failed} failed.")


def _tenant_id(tenant: str) -> Check:
    if is_tenant_id(tenant):
        return _passed("tenant_id", "The id can be a tenant's.")
    return _failed(
        "tenant_id",
        "Give 3 to 40 lower-case letters, digits and underscores, a letter first; '_api' and '_ingest' may neither end "
        "it nor stand before an underscore, as they mark the parts of keys.",
    )


def _reserved_words(parts: Parts, tenant: str) -> Check:
    if is_reserved(tenant) or tenant in {permits.STREAM, *parts.settings.streams}:
        return _failed("reserved_words", "This id is reserved. Choose another, your company's name say.")
    return _passed("reserved_words", "The id is no reserved word.")


def _company_name(name: str) -> Check:
    if is_company_name(name):
        return _passed("company_name", "The name can be kept.")
    told = f"Give 1 to {MAX_NAME} printable characters on one line, without spaces around them."
    return _failed("company_name", told)


def _admin_email(address: str) -> Check:
    if is_email(address):
        return _passed("admin_email", "The address looks like one.")
    return _failed("admin_email", "Give an e-mail address such as name@company.example.")


def _subscription_plan(plan: str) -> Check:
    if plan in PLANS:
        return _passed("subscription_plan", f"{plan} is a plan.")
    return _failed("subscription_plan", f"Give one of {', '.join(PLANS)}, in capitals.")


def _quotas(plan: str) -> Check:
    quotas = PLANS.get(plan)
    if quotas is None:
        return _unchecked("quotas", "subscription_plan")
    told = (
        f"A day has {quotas.daily_pipelines:,} pipelines, {quotas.daily_events:,} events and "
        f"{quotas.daily_requests:,} requests; the lake keeps {quotas.storage_bytes:,} bytes."
    )
    return _passed("quotas", told)


async def _availability(parts: Parts, tenant: str) -> Check:
    if not is_tenant_id(tenant):
        return _unchecked("availability", "tenant_id")
    async with parts.provisioner.transaction("-") as transaction:
        taken = await taken_as(transaction, tenant)
    if taken is None:
        try:
            if await _has_objects(parts, tenant):
                taken = "Objects are stored under this id already."
        except (Unavailable, TimeoutError):
            told = "The object store does not answer, which may hold objects under this id. Try again later."
            return _failed("availability", told)
    if taken is not None:
        return _failed("availability", f"{taken} Choose another id.")
    return _passed("availability", "The id is free.")


async def taken_as(transaction: Transaction, tenant: str) -> str | None:
    """What has the name ``tenant`` in the database already, in a sentence; None when nothing has.

    PostgreSQL's own words count, too: a schema of such a name could be reached in quotation marks alone.
    """
    [(profile, schema, keyword)] = await transaction.fetch(
        "SELECT EXISTS (SELECT FROM tenants.tenant_profiles WHERE tenant_id = $1), "
        "EXISTS (SELECT FROM pg_namespace WHERE nspname = $1), "
        "EXISTS (SELECT FROM pg_get_keywords() WHERE word = $1 AND catcode IN ('R', 'T'))",
        tenant,
    )
    if profile:
        return "There is a tenant with this id already."
    if schema:
        return "The database has a schema of this name already."
    return "This id is a reserved word of SQL." if keyword else None


async def _has_objects(parts: Parts, tenant: str) -> bool:
    async with asyncio.timeout(STORE_PATIENCE), aclosing(parts.objects.list(f"{tenant}/")) as objects:
        async for _ in objects:
            return True
    return False


class _Undo(Exception):
    """Ends a transaction that was for trying."""


async def _database(parts: Parts) -> Check:
    """Make a tenant's schema under a name that no tenant may have, and roll it back."""
    try:
        with suppress(_Undo):
            async with parts.provisioner.transaction("-") as transaction:
                await tenant_views.create(transaction, f"lakefront_dry_run_{token_hex(8)}")
                raise _Undo
    except asyncpg.InsufficientPrivilegeError:
        told = (
            "The role lakefront_provisioner may not make schemas and views here. Whoever runs this server does: "
            "GRANT CREATE ON DATABASE … TO lakefront_provisioner, and lakefront migrate."
        )
        return _failed("database", told)
    except asyncpg.PostgresError:
        told = "The database refuses to make a schema. Whoever runs this server finds why in PostgreSQL's log."
        return _failed("database", told)
    return _passed("database", "A schema with a tenant's views could be made; it was undone.")


async def _object_store(parts: Parts) -> Check:
    key = f"lakefront/onboarding/{datetime.now(UTC):%Y-%m-%dT%H}.txt"
    try:
        async with asyncio.timeout(STORE_PATIENCE):
            await parts.objects.put(key, MARKER)
    except (Unavailable, TimeoutError):
        told = "The object store cannot be written. Whoever runs this server finds why in its log; then try again."
        return _failed("object_store", told)
    except ObjectConflict:
        pass  # another version's marker of this hour: the store could be written, and answers
    return _passed("object_store", "The object store can be written.")
