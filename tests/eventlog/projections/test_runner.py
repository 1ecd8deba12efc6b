"""The runner: every event once, whoever dies, and the whole anew while others read."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from lakefront.actor import CITY, Actor, system_actor
from lakefront.db.database import Database, Transaction
from lakefront.db.tables.log import consumer_offsets
from lakefront.db.tables.permits import permit_addresses, permits
from lakefront.domain import permits as domain
from lakefront.domain.services import Services
from lakefront.errors import InternalError, Unavailable
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.projections.permits import PERMITS, STREAM
from lakefront.eventlog.projections.runner import ProjectionRunner, rebuild
from tests.domain.permits.events import filed, text
from tests.eventlog.lake.sealing import seal_all


async def ingest(services: Services, actor: Actor, start: int, count: int) -> None:
    events = [
        text(**filed(f"p{number}", "2024-01-01T00:00:00Z", estimatedCost=number, addresses=[{"addressId": "1"}]))
        for number in range(start, start + count)
    ]
    assert (await domain.ingest(services, actor, events)).accepted == count


async def everything(database: Database) -> list[Any]:
    return [
        await database.rows(CITY, table.select().order_by(*table.primary_key.columns))
        for table in (permits, permit_addresses)
    ]


async def test_runners_of_several_processes_share_the_work(dsn: str, database: Database, services: Services) -> None:
    actor = Actor("a", CITY, frozenset({"permits:write", "permits:read", "lake:manage"}))
    others = [ProjectionRunner(database, PERMITS, Backlog(services.provisioner), poll=0.01) for _ in range(3)]
    tasks = [asyncio.create_task(other.run()) for other in others]
    for round_number in range(6):
        await ingest(services, actor, round_number * 300, 300)
        if round_number % 2:
            victim = tasks.pop()
            victim.cancel()  # in the middle of whatever it does
            await asyncio.gather(victim, return_exceptions=True)
    head = await services.log.head(actor, STREAM)
    assert await services.progress.reach(CITY, PERMITS, head, patience=20)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    rows, addresses = await everything(database)
    assert len(rows) == len(addresses) == 1800
    offsets = await database.rows(CITY, consumer_offsets.select())
    assert {row["shard"]: row["next"] for row in offsets} == head


async def test_a_rebuild_gives_the_same_rows_while_serving(services: Services, actor: Actor) -> None:
    database = services.database
    await ingest(services, actor, 0, 500)
    await services.progress.reach(CITY, PERMITS, await services.log.head(actor, STREAM))
    before = await everything(database)
    async with database.transaction(CITY) as transaction:
        await transaction.execute("UPDATE lakefront.permits SET status = 'spoilt' WHERE tenant_id = $1", CITY)
        await transaction.execute("DELETE FROM lakefront.permit_addresses WHERE tenant_id = $1", CITY)
    seen: set[int] = set()

    async def read() -> None:
        while True:
            seen.add(len(await database.rows(CITY, permits.select())))

    reader = asyncio.create_task(read())
    taken = await domain.rebuild(database, actor)
    await ingest(services, actor, 500, 10)
    await services.progress.reach(CITY, PERMITS, await services.log.head(actor, STREAM))
    reader.cancel()
    assert taken == 500
    after = await everything(database)
    assert [row for row in after[0] if int(row["permit_id"][1:]) < 500] == before[0]
    assert len(after[0]) == 510
    assert seen <= set(range(500, 511)), "a reader saw a half-built state"


async def test_a_rebuild_before_any_event(dsn: str, database: Database) -> None:
    log = PostgresLog(dsn)
    await log.open()
    assert await rebuild(database, CITY, PERMITS) == 0
    await log.close()


async def test_a_rebuild_of_a_trimmed_log_reads_the_lake(services: Services, actor: Actor) -> None:
    database, log = services.database, services.log
    assert isinstance(log, PostgresLog)
    await ingest(services, actor, 0, 700)
    await services.progress.reach(CITY, PERMITS, await log.head(actor, STREAM))
    before = await everything(database)
    await seal_all(database, services.objects, count=90)
    head = await log.head(actor, STREAM)
    await log.trim(actor, STREAM, {0: head[0] // 2, 1: head[1]})
    await ingest(services, actor, 700, 5)
    await services.progress.reach(CITY, PERMITS, await log.head(actor, STREAM))
    with pytest.raises(Unavailable, match="read the lake"):
        await domain.rebuild(database, actor)
    assert len((await everything(database))[0]) == 705
    assert await domain.rebuild(database, actor, History(database, services.objects)) == 705
    assert [row for row in (await everything(database))[0] if int(row["permit_id"][1:]) < 700] == before[0]
    await ingest(services, actor, 705, 5)
    assert await services.progress.reach(CITY, PERMITS, await log.head(actor, STREAM))


async def test_a_rebuild_of_a_projection_that_never_ran(services: Services, actor: Actor) -> None:
    database = services.database
    await ingest(services, actor, 0, 50)
    await services.progress.reach(CITY, PERMITS, await services.log.head(actor, STREAM))
    before = await everything(database)
    late = replace(PERMITS, name="late")
    assert await rebuild(database, CITY, late) == 50
    assert await everything(database) == before
    assert await services.progress.reach(CITY, late, await services.log.head(actor, STREAM), patience=1)


@pytest.mark.parametrize("whole", [False, True])
async def test_a_projection_that_begins_after_a_trim_goes_on_when_it_is_rebuilt(
    services: Services, actor: Actor, *, whole: bool
) -> None:
    database, log = services.database, services.log
    assert isinstance(log, PostgresLog)
    await ingest(services, actor, 0, 40)
    head = await log.head(actor, STREAM)
    await services.progress.reach(CITY, PERMITS, head)
    before = await everything(database)
    await seal_all(database, services.objects)
    await log.trim(actor, STREAM, head if whole else dict.fromkeys(head, 1))
    late = replace(PERMITS, name="late")
    runner = ProjectionRunner(database, late, Backlog(services.provisioner), poll=1)
    with pytest.raises(InternalError, match=r"in the lake alone.*`lakefront rebuild late`"):
        await runner.step(CITY)
    with pytest.raises(Unavailable, match="read the lake"):
        await rebuild(database, CITY, late)
    assert await everything(database) == before
    assert await rebuild(database, CITY, late, History(database, services.objects)) == 40
    assert await everything(database) == before
    assert await services.progress.reach(CITY, late, head, patience=1)
    await ingest(services, actor, 40, 10)
    await runner.step(CITY)
    assert await services.progress.reach(CITY, late, await log.head(actor, STREAM), patience=1)


async def test_a_tenant_whose_events_cannot_be_folded_holds_up_no_other(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    async def poisonous(transaction: Transaction, tenant: str, events: Iterable[Mapping[str, Any]]) -> None:
        if tenant == "acme":
            raise ValueError("poison")
        await PERMITS.project(transaction, tenant, events)

    careful = replace(PERMITS, name="careful", project=poisonous)
    database = services.database
    for tenant in ("acme", "other"):
        await ingest(services, system_actor(tenant), 0, 3)
    runner = ProjectionRunner(database, careful, Backlog(services.provisioner), poll=0.05)
    task = asyncio.create_task(runner.run())
    head = await services.log.head(system_actor("other"), STREAM)
    assert await services.progress.reach("other", careful, head)
    await ingest(services, system_actor("other"), 3, 3)
    runner.notice(f"other|{STREAM}")
    head = await services.log.head(system_actor("other"), STREAM)
    assert await services.progress.reach("other", careful, head, patience=2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not await services.progress.reach("acme", careful, {0: 1, 1: 1}, patience=0.1)
    assert "projection careful of acme failed" in caplog.text


async def test_notices_that_anybody_may_send_do_no_harm(services: Services, actor: Actor) -> None:
    runner = ProjectionRunner(services.database, PERMITS, Backlog(services.provisioner), poll=60)
    task = asyncio.create_task(runner.run())
    for payload in ("", "|", "nobody", f"nobody|{STREAM}", f"o'neil\"|{STREAM}", f"{'x' * 7000}|{STREAM}"):
        runner.notice(payload)
    await asyncio.sleep(0.2)
    await ingest(services, actor, 0, 3)
    runner.notice(f"{CITY}|{STREAM}")
    assert await services.progress.reach(CITY, PERMITS, await services.log.head(actor, STREAM))
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_tenants_at_rest_cost_one_statement(dsn: str, services: Services) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO lakefront.heads (tenant_id, stream, shard, layout, next) "
        f"SELECT 'tenant' || n, '{STREAM}', shard, 1, 7 FROM generate_series(1, 500) n, generate_series(0, 1) shard"
    )
    await connection.execute(
        "INSERT INTO lakefront.consumer_offsets (tenant_id, consumer, stream, shard, next) "
        f"SELECT tenant_id, '{PERMITS.name}', stream, shard, next FROM lakefront.heads"
    )
    backlog = Backlog(services.provisioner)
    assert await backlog.tenants(PERMITS.name, STREAM) == {}
    await connection.execute("UPDATE lakefront.heads SET next = 8 WHERE tenant_id = 'tenant3' AND shard = 1")
    await connection.close()
    assert await backlog.tenants(PERMITS.name, STREAM) == {"tenant3": 8 + 7}
    assert len(await backlog.tenants("late", STREAM)) == 500
    assert await backlog.tenants("late", "another") == {}
