"""What `lakefront doctor` tells about the server's roles in PostgreSQL, and about its room for locks."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from lakefront.server.cli.examine import locks
from tests.server.forked import lakefront

WRONG = (
    (
        "ALTER ROLE lakefront_provisioner NOCREATEROLE",
        "ALTER ROLE lakefront_provisioner CREATEROLE",
        "logins for BI tools, run",
    ),
    (
        "ALTER ROLE lakefront_app BYPASSRLS",
        "ALTER ROLE lakefront_app NOBYPASSRLS",
        "run ALTER ROLE lakefront_app NOSUP",
    ),
)


async def examine(dsn: str, folder: Path) -> str:
    done = await asyncio.to_thread(lakefront, "doctor", "--data", folder, DATABASE_URL=dsn, LAKEFRONT_PORT="0")
    assert done.returncode == 0, done.stdout
    return " ".join(done.stdout.split())


async def test_roles_as_they_should_be(dsn: str, tmp_path: Path) -> None:
    report = await examine(dsn, tmp_path)
    assert "tenants can be onboarded and get logins for BI tools" in report
    assert "room for the" in report


def test_too_few_locks_for_the_tenants() -> None:
    assert not locks("here", each=64, times=100, tenants=160).advice
    found = locks("here", each=64, times=100, tenants=161)
    assert "max_locks_per_transaction to 65 or more" in found.advice
    assert "of 160 tenants; there are 161" in found.state
    assert not found.fatal


async def test_a_copied_database_lacks_a_right(dsn: str, tmp_path: Path) -> None:
    operator = await asyncpg.connect(dsn)
    name = await operator.fetchval("SELECT current_database()")
    await operator.execute(f"REVOKE CREATE ON DATABASE {name} FROM lakefront_provisioner")
    await operator.close()
    assert "roles: run GRANT CREATE ON DATABASE … TO lakefront_provisioner" in await examine(dsn, tmp_path)


@pytest.mark.parametrize("wrong", range(len(WRONG)))
async def test_rights_too_few_or_too_many(dsn: str, tmp_path: Path, wrong: int) -> None:
    spoil, heal, advice = WRONG[wrong]
    operator = await asyncpg.connect(dsn)
    await operator.execute(spoil)
    try:
        assert advice in await examine(dsn, tmp_path)
    finally:
        await operator.execute(heal)
        await operator.close()
