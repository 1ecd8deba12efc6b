"""Suspending and resuming: announced, once, and never the city."""

import asyncio
from dataclasses import replace

import pytest

from lakefront.actor import CITY, Actor
from lakefront.domain.services import Services
from lakefront.domain.tenants.lifecycle import MAX_REASON, resume, suspend
from lakefront.errors import Forbidden, IdempotencyConflict, NotFound, ValidationError
from tests.domain.tenants.companies import company, settled


async def test_every_server_hears_of_it_within_a_second(services: Services, actor: Actor) -> None:
    await settled(services, actor, company())
    await services.directory.require_active("acme_corp")
    found = await suspend(services, actor, "acme_corp", "unpaid")
    assert (found.status, found.suspension_reason) == ("suspended", "unpaid")
    await asyncio.sleep(0.5)
    with pytest.raises(Forbidden, match="suspended"):
        await services.directory.require_active("acme_corp")
    found = await resume(services, actor, "acme_corp")
    assert (found.status, found.suspended_at, found.suspension_reason) == ("active", None, None)
    await asyncio.sleep(0.5)
    await services.directory.require_active("acme_corp")


async def test_again_changes_the_reason_alone(services: Services, actor: Actor) -> None:
    await settled(services, actor, company())
    first = await suspend(services, actor, "acme_corp", "unpaid")
    second = await suspend(services, actor, "acme_corp", "fraud")
    assert (second.suspended_at, second.suspension_reason) == (first.suspended_at, "fraud")


async def test_a_dry_run_tells_and_changes_nothing(services: Services, actor: Actor) -> None:
    await settled(services, actor, company())
    tried = await suspend(services, actor, "acme_corp", "unpaid", dry_run=True)
    assert tried.status == "suspended"
    assert (await resume(services, actor, "acme_corp", dry_run=True)).status == "active"
    await services.directory.load()
    await services.directory.require_active("acme_corp")


async def test_an_idempotency_key_does_it_once(services: Services, actor: Actor) -> None:
    await settled(services, actor, company())
    await suspend(services, actor, "acme_corp", "unpaid", idempotency_key="once")
    await resume(services, actor, "acme_corp")
    again = await suspend(services, actor, "acme_corp", "unpaid", idempotency_key="once")
    assert again.status == "active"
    with pytest.raises(IdempotencyConflict):
        await suspend(services, actor, "acme_corp", "fraud", idempotency_key="once")


@pytest.mark.parametrize(
    "reason", ["", " ", "a\nb", "\0", "x" * (MAX_REASON + 1)], ids=["none", "blank", "lines", "nul", "long"]
)
async def test_a_reason_is_given(services: Services, actor: Actor, reason: str) -> None:
    with pytest.raises(ValidationError):
        await suspend(services, actor, "acme_corp", reason)


async def test_the_city_and_nobody_are_not_suspended(services: Services, actor: Actor) -> None:
    with pytest.raises(ValidationError):
        await suspend(services, actor, CITY, "unpaid")
    for tenant in ("nobody", "\0", ""):
        with pytest.raises(NotFound):
            await suspend(services, actor, tenant, "unpaid")
        with pytest.raises(NotFound):
            await resume(services, actor, tenant)


async def test_a_tenants_administrator_suspends_nobody(services: Services, actor: Actor) -> None:
    await settled(services, actor, company())
    other = replace(actor, tenant="acme_corp")
    with pytest.raises(Forbidden):
        await suspend(services, other, "acme_corp", "unpaid")
    with pytest.raises(Forbidden):
        await resume(services, other, "acme_corp")
