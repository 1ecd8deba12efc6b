"""Onboarding that is killed anywhere leaves all of a tenant or nothing, and can be done again."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import msgspec
import pytest
from asyncpg.connection import LoggedQuery
from asyncpg.pool import PoolConnectionProxy

from lakefront.actor import Actor
from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.domain import api_keys
from lakefront.domain.services import Services
from lakefront.domain.tenants.configuration import Configuration
from lakefront.domain.tenants.onboarding import Onboarded, dry_run, onboard
from lakefront.errors import Conflict, Unavailable
from tests.domain.tenants.companies import company
from tests.domain.tenants.traces import EVERYTHING, traces
from tests.process import ServerProcess

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds until PostgreSQL has recovered, or has noticed that a client is gone."""


class DoomedDatabase(Database):
    """Its backend is ended right after the statement number ``fatal`` (from 1 on) was answered."""

    def __init__(self, dsn: str, fatal: int) -> None:
        super().__init__(dsn, pool_size=1, role=PROVISIONER_ROLE)
        self.statements: list[str] = []
        self._fatal = fatal

    @asynccontextmanager
    async def _connection(self) -> "AsyncIterator[PoolConnectionProxy[Any]]":
        async with super()._connection() as connection:

            def answered(statement: LoggedQuery) -> None:
                if statement.exception is not None:
                    return
                self.statements.append(statement.query)
                if len(self.statements) == self._fatal:
                    pid = connection.get_server_pid()
                    os.kill(pid, signal.SIGTERM)
                    _wait_for_the_end_of(pid)  # or it might yet take the next statement

            with connection.query_logger(answered):
                yield connection


def _wait_for_the_end_of(pid: int) -> None:
    """Within PATIENCE; it stops the event loop, so that nothing else happens meanwhile."""
    until = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
        time.sleep(0.001)


@asynccontextmanager
async def doomed(dsn: str, fatal: int) -> AsyncIterator[DoomedDatabase]:
    database = DoomedDatabase(dsn, fatal)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """What ``attempt`` gives once PostgreSQL is back."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Unavailable, asyncpg.PostgresError):
                return await attempt()
            await asyncio.sleep(0.05)


async def whole_or_nothing(services: Services, configuration: Configuration) -> bool:
    """Whether the tenant is there, after a look at everything that it consists of."""
    found = await again(lambda: traces(services.provisioner, configuration.tenant_id))
    assert found in (set(), EVERYTHING)
    return bool(found)


async def onboarded_again(services: Services, actor: Actor, configuration: Configuration) -> None:
    """After the kill: a tenant that is not there can be onboarded, one that is there is taken."""
    if await whole_or_nothing(services, configuration):
        with pytest.raises(Conflict):
            await onboard(services, actor, configuration)
        return
    assert (await again(lambda: dry_run(services, actor, configuration))).ok
    made = await again(lambda: onboard(services, actor, configuration))
    assert await whole_or_nothing(services, configuration)
    assert await api_keys.find(services.database, made.api_key or "") is not None


async def test_a_backend_that_ends_after_any_statement(services: Services, actor: Actor, dsn: str) -> None:
    fatal, outcomes = 0, []
    while True:
        fatal += 1
        configuration = company(f"doomed_{fatal}")
        await dry_run(services, actor, configuration)
        async with doomed(dsn, fatal) as provisioner:
            try:
                await onboard(replace(services, provisioner=provisioner), actor, configuration)
            except Unavailable:
                outcomes.append(False)
            else:
                outcomes.append(True)
            statements = provisioner.statements
        # What was answered before COMMIT is nothing, what came after it all.
        assert outcomes[-1] is ("COMMIT;" in statements), statements
        assert await whole_or_nothing(services, configuration) is outcomes[-1]
        await onboarded_again(services, actor, configuration)
        if len(statements) < fatal:
            break
    assert outcomes[-2:] == [True, True]
    assert outcomes.count(False) > 20


@pytest.mark.parametrize("how", ["end", "kill"])
async def test_a_backend_that_ends_at_any_time(services: Services, actor: Actor, dsn: str, how: str) -> None:
    """``kill`` is SIGKILL: PostgreSQL then throws all connections out and recovers."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for number in range(20 if how == "end" else 4):
        configuration = company(f"random_{number}")
        await again(lambda configuration=configuration: dry_run(services, actor, configuration))  # type: ignore[misc]
        async with doomed(dsn, 0) as provisioner:
            async with provisioner.transaction("-") as transaction:
                pid = transaction.connection.get_server_pid()
            doing = asyncio.create_task(onboard(replace(services, provisioner=provisioner), actor, configuration))
            await asyncio.sleep(chance.uniform(0, 0.04))
            os.kill(pid, signal.SIGTERM if how == "end" else signal.SIGKILL)
            [outcome] = await asyncio.gather(doing, return_exceptions=True)
        assert isinstance(outcome, Onboarded | Unavailable), (seed, outcome)
        there = await whole_or_nothing(services, configuration)
        assert there or isinstance(outcome, Unavailable), seed
        await onboarded_again(services, actor, configuration)


async def test_a_server_that_is_killed_at_any_time(services: Services, actor: Actor, dsn: str) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    environment = {"DATABASE_URL": dsn, "LAKEFRONT_ONBOARDING": "open", "LAKEFRONT_RATE_LIMITS": "off"}
    async with ServerProcess(environment=environment) as server:
        for number in range(3):
            configuration = company(f"killed_{number}")
            body = msgspec.structs.asdict(configuration)
            async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
                report = await client.post("/api/v1/tenants/dryrun", json=body)
                assert report.json()["ok"], report.text
                doing = asyncio.create_task(client.post("/api/v1/tenants/onboard", json=body))
                await asyncio.sleep(chance.uniform(0, 0.05))
                server.kill()
                [outcome] = await asyncio.gather(doing, return_exceptions=True)
                await server.wait()
            assert isinstance(outcome, httpx.Response | httpx.TransportError), (seed, outcome)
            await _nobody_provisions(dsn)
            there = await whole_or_nothing(services, configuration)
            assert there or isinstance(outcome, httpx.TransportError), seed
            await onboarded_again(services, actor, configuration)
            await server.start()


async def _nobody_provisions(dsn: str) -> None:
    """Return once PostgreSQL has noticed that the killed server is gone, and undone what it had not committed."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(PATIENCE):
            while await connection.fetchval(  # noqa: ASYNC110 - another process is waited for
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND (xact_start IS NOT NULL OR state = 'active') AND pid <> pg_backend_pid() "
                "AND application_name = 'lakefront'"
            ):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
