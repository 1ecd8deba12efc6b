"""The appender's connections: one that is lost is told at once, wherever an append stands."""

import asyncio
import time

import asyncpg
import pytest

from lakefront.errors import Unavailable
from lakefront.eventlog.postgres import PostgresLog
from tests.eventlog.samples import ACTOR, STREAM, event, events


async def test_a_connection_lost_in_a_copy_that_waits_for_room_is_told_at_once(log: PostgresLog, dsn: str) -> None:
    await log.append(ACTOR, STREAM, events("before", 10))
    other = await asyncpg.connect(dsn)
    async with other.transaction():
        await other.execute("LOCK TABLE lakefront.events IN EXCLUSIVE MODE")  # COPY begins, and takes nothing in
        large = [event(f"large-{n}", key="one", payload=b'"' + b"x" * 100_000 + b'"') for n in range(200)]
        appending = asyncio.ensure_future(log.append(ACTOR, STREAM, large))
        await asyncio.sleep(0.5)
        killed = time.monotonic()
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        with pytest.raises(Unavailable):
            await appending
        assert time.monotonic() - killed < 5
    await other.close()
    assert len(await log.append(ACTOR, STREAM, large)) == 200
