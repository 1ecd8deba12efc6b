"""Suspending and resuming a tenant: every door refuses a suspended one within a second, on every server."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import msgspec

from lakefront.actor import CITY, Actor
from lakefront.db.database import Transaction
from lakefront.domain import idempotency
from lakefront.domain.tenants import bi
from lakefront.domain.tenants.directory import CHANNEL
from lakefront.domain.tenants.parts import Parts
from lakefront.domain.tenants.profiles import Profile, read_profile, require_manager
from lakefront.errors import ValidationError

MAX_REASON: Final = 500
"""Characters of the reason for a suspension."""


async def suspend(
    parts: Parts,
    actor: Actor,
    tenant_id: str,
    reason: str,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Profile:
    """Let nobody of the tenant in until it is resumed, its BI login included; suspended again it has another reason.

    Its data stays, and what was acknowledged is projected and sealed as ever.

    Needs the scope tenants:manage. Raises ``ValidationError`` for the installation's own tenant and for a reason that
    is blank or too long, ``NotFound``, ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    require_manager(actor)
    if tenant_id == CITY:
        raise _refused("tenant_id", "The installation's own tenant cannot be suspended. Name another.")
    if not (reason.strip() and len(reason) <= MAX_REASON and reason.isprintable()):
        raise _refused("reason", f"Give a reason of 1 to {MAX_REASON} printable characters.")

    async def step(transaction: Transaction) -> None:
        await transaction.execute(
            "UPDATE tenants.tenant_profiles SET status = 'suspended', suspended_at = coalesce(suspended_at, now()), "
            "suspension_reason = $2 WHERE tenant_id = $1",
            *(tenant_id, reason),
        )

    request = ("suspendTenant", tenant_id, reason)
    return await _change(parts, actor, request, step, dry_run=dry_run, idempotency_key=idempotency_key)


async def resume(
    parts: Parts, actor: Actor, tenant_id: str, *, dry_run: bool = False, idempotency_key: str | None = None
) -> Profile:
    """Let the tenant in again; one that is active stays so.

    Needs the scope tenants:manage. Raises ``NotFound``, ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    require_manager(actor)

    async def step(transaction: Transaction) -> None:
        await transaction.execute(
            "UPDATE tenants.tenant_profiles SET status = 'active', suspended_at = NULL, suspension_reason = NULL "
            "WHERE tenant_id = $1",
            tenant_id,
        )

    request = ("resumeTenant", tenant_id, "")
    return await _change(parts, actor, request, step, dry_run=dry_run, idempotency_key=idempotency_key)


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def _change(
    parts: Parts,
    actor: Actor,
    request: tuple[str, str, str],
    step: Callable[[Transaction], Awaitable[None]],
    *,
    dry_run: bool,
    idempotency_key: str | None,
) -> Profile:
    """Do ``step`` and announce it, once for an idempotency key; the tenant as it is then (or would be).

    Its BI login follows once that is committed, also where a key is answered again: sessions of it may be in the way.
    """
    operation, tenant_id, _ = request

    async def run() -> None:
        await read_profile(transaction, tenant_id)  # before anything is written: there is such a tenant
        await step(transaction)
        await transaction.execute("SELECT pg_notify($1, $2)", CHANNEL, tenant_id)

    with suppress(_DryRun):
        async with parts.provisioner.transaction(actor.tenant) as transaction:
            key = None if dry_run else idempotency_key
            await idempotency.once_within(transaction, actor, operation, key, msgspec.json.encode(request), run)
            found = await read_profile(transaction, tenant_id)
            if dry_run:
                raise _DryRun
    if not dry_run:
        await bi.follow_status(parts.provisioner, tenant_id)
    return found


def _refused(field: str, message: str) -> ValidationError:
    return ValidationError(message, details=[{"field": field, "message": message}])
