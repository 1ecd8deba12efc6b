"""Where the server's user is no superuser, as in managed PostgreSQL: it owns the database and may create roles."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from lakefront.actor import system_actor
from lakefront.db.database import CONNECTION_LOST, PROVISIONER_ROLE, Database
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import migrate
from lakefront.domain.services import Services
from lakefront.domain.tenants import bi
from tests.domain.tenants.logins import sign_in
from tests.tenants import onboard


@pytest.fixture
async def managed(parts_folder: Path) -> AsyncIterator[str]:
    """A cluster of its own, as roles belong to all databases of one; the DSN of such a user."""
    server = EmbeddedPostgres(parts_folder / "managed")
    await server.start()
    try:
        operator = await asyncpg.connect(server.dsn("postgres"))
        await operator.execute("CREATE ROLE landlord LOGIN CREATEROLE")
        await operator.execute("CREATE DATABASE managed OWNER landlord")
        await operator.close()
        yield server.dsn("managed").replace("postgres@", "landlord@")
    finally:
        await server.stop()


async def test_tenants_and_their_logins_are_made_all_the_same(managed: str, services: Services) -> None:
    await migrate(managed)
    provisioner = Database(managed, pool_size=2, role=PROVISIONER_ROLE)
    await provisioner.open()
    there, manager = replace(services, provisioner=provisioner), system_actor()
    await onboard(provisioner, "acme", "other")
    made = await bi.create_login(there, manager, "acme")
    async with sign_in(managed, made) as connection:
        assert await connection.fetch("SELECT * FROM permits") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM other.permits")
        await bi.rotate_login(there, manager, "acme")
        with pytest.raises(CONNECTION_LOST):
            await connection.fetch("SELECT 1")
    assert (await bi.drop_login(there, manager, "acme")).login == "acme_bi"
    await provisioner.close()
