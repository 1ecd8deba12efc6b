"""Logins for BI tools: made, rotated, dropped; what they give is proved in test_bi_isolation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from lakefront.actor import CITY, KEYS_MANAGE, PERMITS_INSPECTOR, PERMITS_READ, Actor, system_actor
from lakefront.db.database import CONNECTION_LOST
from lakefront.db.tenant_views import VIEWS
from lakefront.domain.services import Services
from lakefront.domain.tenants import bi, lifecycle
from lakefront.domain.tenants.bi import BiLogin
from lakefront.domain.tenants.bi_sign_in import server_of
from lakefront.errors import Conflict, Forbidden, NotFound, Unavailable
from tests.domain.tenants.logins import remove_logins, sign_in
from tests.tenants import onboard, write_rows

ACME = Actor("admin", "acme", frozenset({KEYS_MANAGE, PERMITS_READ, PERMITS_INSPECTOR}))


@pytest.fixture(autouse=True)
async def tenants(dsn: str, services: Services) -> AsyncIterator[None]:
    """Two tenants; logins of theirs are gone afterwards, as roles belong to the whole cluster."""
    await onboard(services.provisioner, "acme", "other")
    yield
    await remove_logins(dsn)


async def test_it_reads_its_tenants_views(dsn: str, services: Services) -> None:
    for tenant in ("acme", "other"):
        await write_rows(dsn, tenant)
    made = await bi.create_login(services, ACME, "acme")
    assert (made.login, made.schema) == ("acme_bi", "acme")
    assert made.password is not None
    assert len(made.password) > 40
    assert made.password not in repr(made)
    async with sign_in(dsn, made) as connection:
        assert await connection.fetchval("SELECT current_database()") == made.database
        for view in VIEWS:
            assert await connection.fetchval(f"SELECT count(*) FROM {view} WHERE tenant_id = 'acme'")  # its search path
        assert await connection.fetchval("SHOW default_transaction_read_only") == "on"
        assert await connection.fetchval("SHOW statement_timeout") == "1min"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM other.permits")


@pytest.fixture
async def asking_for_passwords(dsn: str) -> AsyncIterator[None]:
    """The server asks this one login for its password; the embedded one asks nobody who reaches its socket."""
    operator = await asyncpg.connect(dsn)
    rules = Path(await operator.fetchval("SHOW hba_file"))
    before = await asyncio.to_thread(rules.read_text)
    await asyncio.to_thread(rules.write_text, f"local all acme_bi scram-sha-256\n{before}")
    await operator.execute("SELECT pg_reload_conf()")
    yield
    await asyncio.to_thread(rules.write_text, before)
    await operator.execute("SELECT pg_reload_conf()")
    await operator.close()


@pytest.mark.usefixtures("asking_for_passwords")
async def test_it_signs_in_by_scram(dsn: str, services: Services) -> None:
    made = await bi.create_login(services, ACME, "acme")
    async with sign_in(dsn, made) as connection:
        assert await connection.fetchval("SELECT current_user") == "acme_bi"
    rotated = await bi.rotate_login(services, ACME, "acme")
    async with sign_in(dsn, rotated) as connection:
        assert await connection.fetchval("SELECT current_user") == "acme_bi"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn, user=made.login, password=made.password)


async def test_rotation_ends_sessions_and_undoes_what_they_set(dsn: str, services: Services) -> None:
    made = await bi.create_login(services, ACME, "acme")
    async with sign_in(dsn, made) as connection:
        await connection.execute("SET transaction_read_only = off")
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("ALTER ROLE acme_bi SET default_transaction_read_only = off")
        for database in (made.database, "postgres"):
            await connection.execute(f"ALTER ROLE acme_bi IN DATABASE {database} SET statement_timeout = 0")
        rotated = await bi.rotate_login(services, ACME, "acme")
        with pytest.raises(CONNECTION_LOST):
            await connection.fetch("SELECT 1")
    assert rotated.password != made.password
    async with sign_in(dsn, rotated) as connection:
        assert await connection.fetchval("SHOW default_transaction_read_only") == "on"
        assert await connection.fetchval("SHOW statement_timeout") == "1min"


async def test_dropping_ends_sessions(dsn: str, services: Services) -> None:
    made = await bi.create_login(services, ACME, "acme")
    async with sign_in(dsn, made) as connection:
        assert (await bi.drop_login(services, ACME, "acme", dry_run=True)).login == "acme_bi"
        assert await connection.fetchval("SELECT 1") == 1
        assert (await bi.drop_login(services, ACME, "acme")).password is None
        with pytest.raises(CONNECTION_LOST):
            await connection.fetch("SELECT 1")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(dsn, user=made.login, password=made.password)
    with pytest.raises(NotFound):
        await bi.drop_login(services, ACME, "acme")
    with pytest.raises(NotFound):
        await bi.rotate_login(services, ACME, "acme")
    assert (await bi.create_login(services, ACME, "acme")).login == "acme_bi"


async def test_it_follows_its_tenants_status(dsn: str, services: Services) -> None:
    made = await bi.create_login(services, ACME, "acme")
    await _set_status(services, "suspended")
    await bi.follow_status(services.provisioner, "acme")
    await bi.follow_status(services.provisioner, "other")  # has none: nothing to do
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(dsn, user=made.login, password=made.password)
    await _set_status(services, "active")
    await bi.follow_status(services.provisioner, "acme")
    async with sign_in(dsn, made):
        pass


async def _set_status(services: Services, status: str) -> None:
    async with services.provisioner.transaction("-") as transaction:
        await transaction.execute("UPDATE tenants.tenant_profiles SET status = $1 WHERE tenant_id = 'acme'", status)


@asynccontextmanager
async def in_the_way(dsn: str, login: BiLogin, *, again: bool = True) -> AsyncIterator[None]:
    """A session that changed its own login and never ends its transaction; ended, it comes back at once."""

    async def stand() -> None:
        while True:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                connection = await asyncpg.connect(dsn, user=login.login, password=login.password)
                try:
                    await connection.execute(
                        "SET default_transaction_read_only = off; SET statement_timeout = 0; "
                        "SET idle_in_transaction_session_timeout = 0"
                    )
                    await connection.execute(f"BEGIN; ALTER ROLE {login.login} PASSWORD 'x'")
                    standing.set()
                    ended = asyncio.Event()
                    connection.add_termination_listener(lambda _, ended=ended: ended.set())
                    await ended.wait()
                finally:
                    connection.terminate()
            if not again:
                return
            await asyncio.sleep(0.01)

    standing = asyncio.Event()
    task = asyncio.create_task(stand())
    try:
        await asyncio.wait_for(standing.wait(), 5)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("again", [False, True], ids=["once", "again-and-again"])
async def test_its_sessions_keep_nobody_from_changing_it(dsn: str, services: Services, *, again: bool) -> None:
    manager, made = system_actor(), await bi.create_login(services, ACME, "acme")
    async with asyncio.timeout(20):
        async with in_the_way(dsn, made, again=again):
            made = await bi.rotate_login(services, ACME, "acme")
            assert made.password
        async with in_the_way(dsn, made, again=again):
            await lifecycle.suspend(services, manager, "acme", "unpaid")
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await asyncpg.connect(dsn, user=made.login, password=made.password)
        await lifecycle.resume(services, manager, "acme")
        async with in_the_way(dsn, made, again=again):
            await lifecycle.resume(services, manager, "acme")  # there is nothing to change
            await bi.drop_login(services, ACME, "acme")


async def test_a_transaction_that_is_open_for_too_long_is_ended(dsn: str, services: Services) -> None:
    made = await bi.create_login(services, ACME, "acme")
    elsewhere = await asyncpg.connect(dsn, user=made.login, password=made.password, database="postgres")
    async with sign_in(dsn, made) as idle, sign_in(dsn, made) as hoarder:
        for connection in (hoarder, elsewhere):
            await connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            await connection.execute("LISTEN lakefront_events")
            await connection.execute("BEGIN")
            await connection.execute("SELECT 1")
        async with services.provisioner.transaction("-") as transaction:  # as long as theirs, and not theirs
            await bi.end_overlong(services.provisioner)
            assert await hoarder.fetchval("SELECT 1") == 1
            await bi.end_overlong(services.provisioner, timedelta())
            await transaction.fetch("SELECT 1")
        for connection in (hoarder, elsewhere):
            with pytest.raises(CONNECTION_LOST):
                await connection.fetch("SELECT 1")
        assert await idle.fetchval("SELECT 1") == 1


async def test_a_tenant_is_suspended_whatever_is_in_the_way_of_its_login(dsn: str, services: Services) -> None:
    """Here the operator is, whose sessions nobody ends."""
    await bi.create_login(services, ACME, "acme")
    operator = await asyncpg.connect(dsn)
    await operator.execute("BEGIN; ALTER ROLE acme_bi PASSWORD 'x'")
    suspending = asyncio.create_task(lifecycle.suspend(services, system_actor(), "acme", "unpaid", idempotency_key="1"))
    rotating = [asyncio.create_task(bi.rotate_login(services, ACME, "acme")) for _ in range(2)]
    await asyncio.sleep(0.5)
    with pytest.raises(Forbidden, match="suspended"):
        await services.directory.require_active("acme")
    with pytest.raises(Unavailable, match="kept it from"):
        await suspending
    await asyncio.gather(*rotating, return_exceptions=True)
    await operator.close()
    await lifecycle.suspend(services, system_actor(), "acme", "unpaid", idempotency_key="1")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(dsn, user="acme_bi")


async def test_once_and_a_dry_run(dsn: str, services: Services) -> None:
    dry = await bi.create_login(services, ACME, "acme", dry_run=True)
    assert dry == BiLogin("acme_bi", dry.database, "acme", server=dry.server, asks_for_password=False)
    made = await bi.create_login(services, ACME, "acme", idempotency_key="one")
    again = await bi.create_login(services, ACME, "acme", idempotency_key="one")
    assert made.password
    assert again == replace_password(made)
    with pytest.raises(Conflict, match="already"):
        await bi.create_login(services, ACME, "acme")


def replace_password(login: BiLogin) -> BiLogin:
    return msgspec.structs.replace(login, password=None)


async def test_dropped_once(services: Services) -> None:
    await bi.create_login(services, ACME, "acme")
    one, two = await asyncio.gather(*(bi.drop_login(services, ACME, "acme", idempotency_key="one") for _ in range(2)))
    assert one == two
    await bi.create_login(services, ACME, "acme")
    assert await bi.drop_login(services, ACME, "acme", idempotency_key="one") == one
    assert await bi.drop_login(services, ACME, "acme", dry_run=True) == one, "the one made since is there"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://ada:secret@db.example:5433/city?password=secret&sslmode=require", "db.example:5433"),
        ("postgresql://ada:s%40cret@one:1,two:2/city", "one:1,two:2"),
        ("postgresql://postgres@/city?host=%2Frun%2Fpg&port=5434", "/run/pg:5434"),
        ("postgresql:///city", "localhost:5432"),
    ],
    ids=["host", "hosts", "socket", "none"],
)
def test_where_to_connect_tells_no_secret(url: str, server: str) -> None:
    assert server_of(url) == server


async def test_who_may(services: Services) -> None:
    for tenant in ("other", CITY, "nobody"):
        with pytest.raises(Forbidden):
            await bi.create_login(services, ACME, tenant)
        with pytest.raises(Forbidden):
            await bi.drop_login(services, ACME, tenant)
    with pytest.raises(Forbidden):
        await bi.create_login(services, replace(ACME, scopes=frozenset({PERMITS_READ})), "acme")
    for missing in (PERMITS_READ, PERMITS_INSPECTOR):
        poor = replace(ACME, scopes=ACME.scopes - {missing}, own=frozenset({missing}))
        for use in (bi.create_login, bi.rotate_login):
            with pytest.raises(Forbidden, match=missing):
                await use(services, poor, "acme")
        with pytest.raises(NotFound):
            await bi.drop_login(services, poor, "acme")
    manager = system_actor()
    for tenant in ("nobody", "no\0body", "\ud800"):
        with pytest.raises(NotFound):
            await bi.create_login(services, manager, tenant)
        with pytest.raises(NotFound):
            await bi.drop_login(services, manager, tenant)
    assert (await bi.create_login(services, manager, "other")).login == "other_bi"


async def test_a_role_of_somebody_else_is_left_alone(dsn: str, services: Services) -> None:
    operator = await asyncpg.connect(dsn)
    await operator.execute("CREATE ROLE acme_bi NOLOGIN")
    await operator.close()
    for use in (bi.create_login, bi.rotate_login, bi.drop_login):
        with pytest.raises(Conflict, match="operator"):
            await use(services, ACME, "acme")


async def test_where_no_roles_may_be_made(dsn: str, services: Services) -> None:
    operator = await asyncpg.connect(dsn)
    await operator.execute("ALTER ROLE lakefront_provisioner NOCREATEROLE")
    try:
        with pytest.raises(Conflict, match="ALTER ROLE lakefront_provisioner CREATEROLE"):
            await bi.create_login(services, ACME, "acme")
    finally:
        await operator.execute("ALTER ROLE lakefront_provisioner CREATEROLE")
        await operator.close()


async def test_a_suspended_tenant_gets_none(services: Services) -> None:
    async with services.provisioner.transaction("-") as transaction:
        await transaction.execute("UPDATE tenants.tenant_profiles SET status = 'suspended' WHERE tenant_id = 'acme'")
    with pytest.raises(Conflict, match="suspended"):
        await bi.create_login(services, system_actor(), "acme")


async def test_suspending_a_tenant_locks_its_login(dsn: str, services: Services) -> None:
    manager = system_actor()
    made = await bi.create_login(services, ACME, "acme")
    async with sign_in(dsn, made) as connection:
        await lifecycle.suspend(services, manager, "acme", "unpaid", dry_run=True)
        assert await connection.fetchval("SELECT 1") == 1
        await lifecycle.suspend(services, manager, "acme", "unpaid")
        with pytest.raises(CONNECTION_LOST):
            await connection.fetch("SELECT 1")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(dsn, user=made.login, password=made.password)
    await lifecycle.resume(services, manager, "acme")
    async with sign_in(dsn, made) as connection:
        assert await connection.fetch("SELECT * FROM permits") == []
