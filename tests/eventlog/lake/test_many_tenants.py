"""Sealing for many tenants: each served, none in another's way, and those at rest cost next to nothing."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from lakefront.actor import system_actor
from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.lake.conftest import OpenSealer
from tests.eventlog.lake.lake import NEVER, change, manifest, running, sealed, until
from tests.eventlog.samples import ACTOR, STREAM, events

TENANTS = 500
POLL = 0.1


async def transactions(connection: Any) -> int:
    """How many transactions all backends of the database ever had, as far as they told."""
    return int(
        await connection.fetchval(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
    )


async def test_a_new_tenant_is_served_at_once(
    log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    async with running(await open_sealer(seal_interval=0.05)):
        for tenant in ("acme", "other"):
            await log.append(system_actor(tenant), STREAM, events(tenant, 30))

            async def done(tenant: str = tenant) -> bool:
                counts: list[int] = [row["event_count"] for row in await manifest(database, tenant)]
                return sum(counts) == 30

            await until(done)
            assert len(await sealed(database, store, tenant)) == 30


async def test_a_tenant_whose_log_is_damaged_holds_up_no_other(
    log: PostgresLog,
    open_sealer: OpenSealer,
    database: Database,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for tenant in ("acme", "other"):
        await log.append(system_actor(tenant), STREAM, events(tenant, 30))
    await change(database, "DELETE FROM lakefront.events WHERE tenant_id = 'acme' AND \"offset\" = 0")
    await (await open_sealer()).seal_now()
    assert len(await sealed(database, store, "other")) == 30
    assert await manifest(database, "acme") == []
    assert "sealing of acme stands still" in caplog.text


async def test_tenants_that_wait_or_rest_cost_one_statement_a_look(
    dsn: str, log: PostgresLog, open_sealer: OpenSealer, database: Database, store: LocalStore
) -> None:
    await log.append(ACTOR, STREAM, events("e", 10))
    for table in ("heads", "events"):
        columns = (
            "stream, shard, layout, next, first"
            if table == "heads"
            else (
                'stream, shard, "offset", event_id, event_type, partition_key, occurred_at, ingested_at, payload, '
                "trace_id, correlation_id, schema_version, source"
            )
        )
        await change(
            database,
            f"INSERT INTO lakefront.{table} (tenant_id, {columns}) "
            f"SELECT 'tenant' || n, {columns} FROM lakefront.{table}, generate_series(1, {TENANTS}) n",
        )
    sealer = await open_sealer(seal_interval=NEVER, poll=POLL)
    connection = await asyncpg.connect(dsn)
    async with running(sealer):

        async def looked() -> bool:
            return len(sealer._waiting) == TENANTS + 1

        await until(looked)
        await asyncio.sleep(1.5)  # backends tell what they did once a second
        before, started = await transactions(connection), time.monotonic()
        await asyncio.sleep(2)
        spent = await transactions(connection) - before
        looks = (time.monotonic() - started) / POLL
    await connection.close()
    assert spent < 3 * looks + 20, f"{spent} transactions in {looks:.0f} looks at {TENANTS} tenants"
