"""What the log does not do, and why: two wrong designs, each shown to fail where the log holds (ADR 0005)."""

import asyncio
from typing import Any

import asyncpg
import pytest

from lakefront.eventlog.events import Outcome
from tests.eventlog.conftest import OpenLog
from tests.eventlog.samples import ACTOR, STREAM, event


@pytest.fixture
async def sessions(dsn: str) -> Any:
    """Three connections: two writers and a reader."""
    opened = [await asyncpg.connect(dsn) for _ in range(3)]
    yield opened
    for connection in opened:
        await connection.close()


@pytest.mark.parametrize("cursor", ["number", "at"])
async def test_a_serial_or_a_timestamp_as_cursor_loses_rows(sessions: list[Any], cursor: str) -> None:
    slow, quick, reader = sessions
    await reader.execute(
        "CREATE TABLE wrong (number bigserial, at timestamptz NOT NULL DEFAULT clock_timestamp(), name text NOT NULL)"
    )
    seen: list[str] = []
    last: Any = None

    async def poll() -> None:
        nonlocal last
        rows = await reader.fetch(
            f"SELECT {cursor} AS place, name FROM wrong "
            f"WHERE $1::text IS NULL OR {cursor}::text > $1 ORDER BY {cursor}",
            last,
        )
        seen.extend(row["name"] for row in rows)
        last = str(rows[-1]["place"]) if rows else last

    async with slow.transaction():
        await slow.execute("INSERT INTO wrong (name) VALUES ('slow')")
        await quick.execute("INSERT INTO wrong (name) VALUES ('quick')")
        await poll()
    await poll()
    assert seen == ["quick"], "the slower transaction's row came below a cursor that had moved on"
    assert await reader.fetchval("SELECT count(*) FROM wrong") == 2


async def test_the_logs_offsets_lose_none(open_log: OpenLog, sessions: list[Any]) -> None:
    log, other = await open_log(), await open_log()
    await log.append(ACTOR, STREAM, [event("first", key="k")])
    [slow, *_] = sessions
    async with slow.transaction():
        shard, offset = await slow.fetchrow(
            "SELECT shard, next FROM lakefront.heads WHERE next = 1 ORDER BY shard FOR UPDATE"
        )
        quick = asyncio.create_task(other.append(ACTOR, STREAM, [event("quick", key="k")]))
        await asyncio.sleep(0.1)
        assert not quick.done(), "it waits for the head, so that no later offset is seen before an earlier one"
        await slow.execute(
            "INSERT INTO lakefront.events SELECT tenant_id, stream, shard, $1, 'slow', event_type, partition_key, "
            "occurred_at, ingested_at, payload, trace_id, correlation_id, schema_version, source "
            "FROM lakefront.events WHERE event_id = 'first'",
            offset,
        )
        await slow.execute("UPDATE lakefront.heads SET next = $1 WHERE shard = $2", offset + 1, shard)
    await quick
    page = await log.read(ACTOR, STREAM, {})
    assert [(e.event_id, e.offset) for e in page.events] == [("first", 0), ("slow", 1), ("quick", 2)]


LOCK_AND_LOOK_UP = """
SELECT h.next, (SELECT count(*) FROM wrong_keys WHERE id = $1) AS known FROM wrong_heads h FOR UPDATE OF h
"""


async def test_lock_and_look_up_in_one_statement_gives_unique_violations(sessions: list[Any]) -> None:
    first, second, setup = sessions
    await setup.execute(
        "CREATE TABLE wrong_heads (next bigint NOT NULL); INSERT INTO wrong_heads VALUES (0);"
        "CREATE TABLE wrong_keys (id text PRIMARY KEY)"
    )

    async def rest(connection: Any, known: int) -> str:
        if known:
            return "duplicate"
        await connection.execute("INSERT INTO wrong_keys VALUES ('e')")
        await connection.execute("UPDATE wrong_heads SET next = next + 1")
        return "accepted"

    async def wrong_append(connection: Any) -> str:
        async with connection.transaction():
            row = await connection.fetchrow(LOCK_AND_LOOK_UP, "e")
            return await rest(connection, row["known"])

    async with first.transaction():
        row = await first.fetchrow(LOCK_AND_LOOK_UP, "e")
        racing = asyncio.create_task(wrong_append(second))
        await asyncio.sleep(0.1)
        assert not racing.done()
        assert await rest(first, row["known"]) == "accepted"
    # It got the lock after the first had committed, but looked with the snapshot from before: it does not see the key.
    with pytest.raises(asyncpg.UniqueViolationError):
        await racing


async def test_the_log_looks_up_after_it_has_the_lock(open_log: OpenLog, sessions: list[Any]) -> None:
    log, other = await open_log(), await open_log()
    await log.append(ACTOR, STREAM, [event("first", key="k")])
    [holder, *_] = sessions
    async with holder.transaction():
        await holder.execute("SELECT FROM lakefront.heads FOR UPDATE")
        racing = [asyncio.create_task(each.append(ACTOR, STREAM, [event("e", key="k")])) for each in (log, other)]
        await asyncio.sleep(0.1)
    outcomes = sorted(verdict.outcome for [verdict] in await asyncio.gather(*racing))
    assert outcomes == [Outcome.ACCEPTED, Outcome.DUPLICATE]
    assert all(each._connections._idle for each in (log, other)), "nobody needed a second attempt"
