"""Onboarding (T1, T2): no tenant without a dry run, one transaction, one winner, a key that is shown once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lakefront.actor import CITY, TENANTS_MANAGE, Actor
from lakefront.db.database import Database
from lakefront.domain import api_keys
from lakefront.domain.services import Services
from lakefront.domain.tenants.configuration import Configuration
from lakefront.domain.tenants.onboarding import VISITOR, Onboarded, dry_run, onboard
from lakefront.errors import Conflict, DryRunRequired, Forbidden, IdempotencyConflict
from tests.domain.tenants.companies import ACME, company, settled
from tests.domain.tenants.traces import EVERYTHING, traces


async def test_a_dry_run_and_an_onboarding_make_a_tenant(services: Services, actor: Actor) -> None:
    report = await dry_run(services, actor, ACME)
    assert report.ok
    assert all(check.ok and check.message for check in report.checks)
    assert not await traces(services.provisioner, ACME.tenant_id)
    made = await onboard(services, actor, ACME)
    assert made.api_key is not None
    assert made == Onboarded("acme_corp", made.api_key, "PROFESSIONAL", dataset_created=True)
    assert made.message == "Tenant onboarded successfully"
    assert made.api_key.startswith("acme_corp_api_")
    found = await api_keys.find(services.database, made.api_key)
    assert found is not None
    assert (found.tenant, found.roles) == ("acme_corp", ("admin",))
    assert found.expires_at - found.created_at == timedelta(days=90)
    assert await traces(services.provisioner, "acme_corp") == EVERYTHING


async def test_every_server_learns_of_it(services: Services, actor: Actor) -> None:
    await settled(services, actor)
    await services.directory.require_active("acme_corp")


async def test_without_a_dry_run_there_is_no_tenant(services: Services, actor: Actor) -> None:
    with pytest.raises(DryRunRequired, match="dryrun"):
        await onboard(services, actor, ACME)
    assert not await traces(services.provisioner, ACME.tenant_id)


@pytest.mark.parametrize(
    "other", [company(), company(subscription_plan="PROFESSIONAL", company_name="Acme"), company("acme_corp2")], ids=str
)
async def test_a_dry_run_is_good_for_its_very_configuration(
    services: Services, actor: Actor, other: Configuration
) -> None:
    await dry_run(services, actor, ACME)
    with pytest.raises(DryRunRequired):
        await onboard(services, actor, other)


async def test_a_dry_run_that_failed_or_was_not_to_be_remembered_is_none(services: Services, actor: Actor) -> None:
    bad = company(admin_email="nobody")
    assert not (await dry_run(services, actor, bad)).ok
    assert (await dry_run(services, actor, ACME, remember=False)).ok
    for configuration in (bad, ACME):
        with pytest.raises(DryRunRequired):
            await onboard(services, actor, configuration)


async def test_a_dry_run_is_good_for_an_hour_and_one_tenant(services: Services, actor: Actor) -> None:
    await dry_run(services, actor, ACME)
    await _age(services.provisioner, timedelta(minutes=61))
    with pytest.raises(DryRunRequired):
        await onboard(services, actor, ACME)
    await dry_run(services, actor, ACME)
    await _age(services.provisioner, timedelta(minutes=59))
    await onboard(services, actor, ACME)
    with pytest.raises(Conflict, match="already"):
        await onboard(services, actor, ACME)


async def _age(provisioner: Database, age: timedelta) -> None:
    async with provisioner.transaction(CITY) as transaction:
        await transaction.execute("UPDATE tenants.dry_runs SET passed_at = passed_at - $1::interval", age)


async def test_another_server_remembers_it(services: Services, actor: Actor, dsn: str) -> None:
    await dry_run(services, actor, ACME)
    other = Database(dsn, pool_size=1, role="lakefront_provisioner")
    await other.open()
    try:
        await onboard(replace(services, provisioner=other), actor, ACME)
    finally:
        await other.close()


async def test_of_two_who_race_for_an_id_one_wins(services: Services, actor: Actor) -> None:
    plans = ("FREE", "BASIC", "PROFESSIONAL", "ENTERPRISE")
    rivals = [company(subscription_plan=plan) for plan in plans] + [company()]
    for rival in rivals:
        assert (await dry_run(services, actor, rival)).ok
    answers = await asyncio.gather(*(onboard(services, actor, rival) for rival in rivals), return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, Onboarded)]
    assert len(made) == 1
    for answer in answers:
        assert isinstance(answer, Onboarded | Conflict), answer
    found = await api_keys.find(services.database, made[0].api_key or "")
    assert found is not None


async def test_many_come_at_once(services: Services, actor: Actor) -> None:
    ids = [f"company_{number}" for number in range(8)]
    await asyncio.gather(*(settled(services, actor, company(tenant)) for tenant in ids))
    for tenant in ids:
        assert await traces(services.provisioner, tenant) == EVERYTHING


async def test_what_an_idempotency_key_keeps_has_no_api_key(services: Services, actor: Actor) -> None:
    await dry_run(services, actor, ACME)
    first = await onboard(services, actor, ACME, idempotency_key="once")
    again = await onboard(services, actor, ACME, idempotency_key="once")
    assert first.api_key is not None
    assert again.api_key is None
    assert (again.tenant_id, again.dataset_created) == (first.tenant_id, True)
    assert "earlier request" in again.message
    async with services.database.transaction(CITY) as transaction:
        [(kept,)] = await transaction.fetch("SELECT result::text FROM lakefront.idempotency_keys")
    assert first.api_key not in str(kept)
    assert ACME.admin_email not in str(kept)
    with pytest.raises(IdempotencyConflict):
        await onboard(services, actor, company("other_one"), idempotency_key="once")


async def test_a_failed_onboarding_leaves_its_idempotency_key_free(services: Services, actor: Actor) -> None:
    with pytest.raises(DryRunRequired):
        await onboard(services, actor, ACME, idempotency_key="once")
    await dry_run(services, actor, ACME)
    assert (await onboard(services, actor, ACME, idempotency_key="once")).api_key is not None


async def test_onboarding_itself_can_be_tried(services: Services, actor: Actor) -> None:
    await dry_run(services, actor, ACME)
    tried = await onboard(services, actor, ACME, dry_run=True, idempotency_key="once")
    assert (tried.api_key, tried.dataset_created) == (None, False)
    assert not await traces(services.provisioner, ACME.tenant_id)
    assert (await onboard(services, actor, ACME, idempotency_key="once")).dataset_created


@pytest.mark.parametrize("who", ["reader", "tenant_admin", "own_rows"])
async def test_it_needs_the_scope_in_the_installations_own_tenant(services: Services, actor: Actor, who: str) -> None:
    asking = {
        "reader": replace(actor, scopes=frozenset({"permits:read"})),
        "tenant_admin": replace(actor, tenant="acme_corp"),
        "own_rows": replace(actor, scopes=frozenset(), own=frozenset({TENANTS_MANAGE})),
    }[who]
    with pytest.raises(Forbidden):
        await dry_run(services, asking, ACME)
    with pytest.raises(Forbidden):
        await onboard(services, asking, ACME)


async def test_a_visitor_may_where_it_is_open(services: Services) -> None:
    await settled(services, VISITOR)


@pytest.mark.parametrize("tenant", ["\0", "\ud800", "", "a b", "city", "pg_catalog"], ids=ascii)
async def test_what_is_no_id_has_no_dry_run(services: Services, actor: Actor, tenant: str) -> None:
    with pytest.raises((DryRunRequired, Conflict)):
        await onboard(services, actor, company(tenant))
