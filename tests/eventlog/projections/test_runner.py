"""The runner: every event once, whoever dies, and the whole anew while others read."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import CITY, Actor
from lakefront.db.database import Database
from lakefront.db.tables.log import consumer_offsets
from lakefront.db.tables.permits import permit_addresses, permits
from lakefront.domain import permits as domain
from lakefront.domain.services import Services
from lakefront.errors import InternalError, Unavailable
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
    actor = Actor("a", CITY, frozenset({"permits:write", "permits:read", "admin"}))
    others = [ProjectionRunner(database, PERMITS, tenants=lambda: [CITY], poll=0.01) for _ in range(3)]
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
    runner = ProjectionRunner(database, late, tenants=lambda: [CITY], poll=1)
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
