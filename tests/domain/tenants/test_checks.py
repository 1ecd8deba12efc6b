"""Every check of onboarding: each tells what is wrong, none hides another, nothing is left behind."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from lakefront.actor import Actor
from lakefront.adapters.objects import LocalStore
from lakefront.domain.services import Services
from lakefront.domain.tenants import onboarding
from lakefront.domain.tenants.checks import MARKER, check
from lakefront.domain.tenants.configuration import Configuration
from lakefront.settings import Settings
from tests.domain.tenants.companies import ACME, company, settled
from tests.domain.tenants.traces import traces


async def failed(services: Services, configuration: Configuration) -> dict[str, str]:
    """What did not pass, and what it says."""
    return {one.check: one.message for one in await check(services, configuration) if one.ok is False}


async def test_a_good_configuration_passes_and_leaves_nothing_but_a_marker(services: Services) -> None:
    before = await _schemas(services)
    assert not await failed(services, ACME)
    assert not await failed(services, ACME)
    assert await _schemas(services) == before
    assert not await traces(services.provisioner, ACME.tenant_id)
    assert [(found.key.rpartition("/")[0], found.size) async for found in services.objects.list()] == [
        ("lakefront/onboarding", len(MARKER))
    ]


async def _schemas(services: Services) -> list[str]:
    async with services.provisioner.transaction("-") as transaction:
        return [name for (name,) in await transaction.fetch("SELECT nspname FROM pg_namespace ORDER BY 1")]


async def test_all_checks_run_whatever_fails(services: Services) -> None:
    found = await failed(services, Configuration("No", "", "nobody", "GOLD"))
    assert found.keys() == {"tenant_id", "company_name", "admin_email", "subscription_plan"}
    assert "FREE, BASIC, PROFESSIONAL, ENTERPRISE" in found["subscription_plan"]
    assert "nobody" not in str(found)


async def test_what_depends_on_a_failed_check_is_not_checked_and_no_failure_of_its_own(
    services: Services, actor: Actor
) -> None:
    report = await onboarding.dry_run(services, actor, Configuration("No", "Acme", "ann@acme.example", "GOLD"))
    assert not report.ok
    assert report.message.startswith("2 of 9 checks failed.")
    assert {one.check: one.message for one in report.checks if one.ok is None} == {
        "quotas": "Not checked, as subscription_plan failed.",
        "availability": "Not checked, as tenant_id failed.",
    }


@pytest.mark.parametrize("tenant", ["\0", "\ud800", "a" * 100_000], ids=["nul", "surrogate", "long"])
async def test_what_postgresql_cannot_take_is_told_not_raised(services: Services, tenant: str) -> None:
    assert (await failed(services, company(tenant))).keys() == {"tenant_id"}


async def test_reserved_words(services: Services) -> None:
    for tenant in ("bench", "public", "pg_acme"):
        assert "reserved_words" in await failed(services, company(tenant))
    streams = Settings(rate_limits="off", streams={"user_events": {}})
    assert "reserved_words" in await failed(replace(services, settings=streams), company("user_events"))
    assert not await failed(services, company("user_events"))


async def test_an_id_is_taken_by_a_tenant_a_schema_a_word_of_sql_or_objects(
    services: Services, actor: Actor, dsn: str
) -> None:
    await settled(services, actor)
    assert "a tenant" in (await failed(services, ACME))["availability"]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE SCHEMA stranger")
    finally:
        await connection.close()
    assert "a schema" in (await failed(services, company("stranger")))["availability"]
    assert "SQL" in (await failed(services, company("select")))["availability"]
    await services.objects.put("hoarder/sf-permit-events/year=2024/x.json.gz", b"x")
    assert "Objects" in (await failed(services, company("hoarder")))["availability"]
    assert not await failed(services, company("hoard"))


async def test_a_provisioner_without_rights_is_told_what_it_lacks(services: Services, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"REVOKE CREATE ON DATABASE {name} FROM lakefront_provisioner")
        found = await failed(services, ACME)
        assert found.keys() == {"database"}
        assert "GRANT CREATE ON DATABASE" in found["database"]
    finally:
        await connection.close()


async def test_a_store_that_cannot_be_written_is_told(services: Services, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    broken = LocalStore(tmp_path / "file")
    found = await failed(replace(services, objects=broken), ACME)
    assert found.keys() == {"availability", "object_store"}


async def test_another_versions_marker_is_as_good(services: Services) -> None:
    for hour in (datetime.now(UTC), datetime.fromtimestamp(datetime.now(UTC).timestamp() + 3600, UTC)):
        await services.objects.put(f"lakefront/onboarding/{hour:%Y-%m-%dT%H}.txt", b"other")
    assert not await failed(services, ACME)


async def test_the_quotas_are_told(services: Services) -> None:
    told = {one.check: one.message for one in await check(services, ACME)}
    assert "25 pipelines" in told["quotas"]
