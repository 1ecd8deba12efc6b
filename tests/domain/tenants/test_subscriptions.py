"""Changing a tenant's plan: at once, by the city's administrator alone, once for a key (T5, X2, X4)."""

from dataclasses import replace

import pytest

from lakefront.actor import CITY, Actor
from lakefront.db.database import Database
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.domain.tenants.plans import PLANS
from lakefront.domain.tenants.subscriptions import change_plan
from lakefront.domain.tenants.usage import Use, usage
from lakefront.errors import Forbidden, IdempotencyConflict, NotFound, RateLimited, ValidationError
from tests.domain.tenants.subscribed import batch, bound, subscribe
from tests.domain.tenants.test_usage import take


@pytest.fixture
async def acme(provisioner: Database) -> Actor:
    return await subscribe(provisioner, events=1000, requests=10, storage=10_000)


async def test_a_new_plan_holds_at_once_and_keeps_what_was_used(services: Services, acme: Actor, actor: Actor) -> None:
    services = bound(services)
    await permits.ingest(services, acme, batch(0, 5))
    for _ in range(3):
        await take(services, acme)
    with pytest.raises(RateLimited):
        await take(services, acme)
    would = await change_plan(services, actor, "acme", "BASIC", dry_run=True)
    assert (would.subscription_plan, would.daily_events) == ("BASIC", PLANS["BASIC"].daily_events)
    assert (await usage(services, acme)).plan == "FREE"
    await change_plan(services, actor, "acme", "BASIC")
    assert await take(services, acme) == 4
    found = await usage(services, acme)
    assert (found.plan, found.pipelines, found.events) == ("BASIC", Use(4, 10), Use(5, 1_000_000))
    await change_plan(services, actor, "acme", "FREE")
    assert (await usage(services, acme)).pipelines == Use(4, 3)
    assert (await usage(services, acme)).pipelines.remaining == 0


async def test_plans_are_changed_by_the_citys_administrator(services: Services, acme: Actor, actor: Actor) -> None:
    with pytest.raises(Forbidden):
        await change_plan(services, replace(acme, scopes=actor.scopes), "acme", "BASIC")
    with pytest.raises(ValidationError):
        await change_plan(services, actor, "acme", "basic")
    with pytest.raises(ValidationError):
        await change_plan(services, actor, CITY, "BASIC")
    with pytest.raises(NotFound):
        await change_plan(services, actor, "nobody", "BASIC")


async def test_a_key_changes_a_plan_once(services: Services, acme: Actor, actor: Actor) -> None:
    del acme
    await change_plan(services, actor, "acme", "BASIC", idempotency_key="k")
    await change_plan(services, actor, "acme", "PROFESSIONAL")
    again = await change_plan(services, actor, "acme", "BASIC", idempotency_key="k")
    assert again.subscription_plan == "PROFESSIONAL"
    with pytest.raises(IdempotencyConflict):
        await change_plan(services, actor, "acme", "FREE", idempotency_key="k")
