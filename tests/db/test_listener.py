"""The listener: notices of several channels over one connection that comes back by itself."""

import asyncio
from collections.abc import Callable

import asyncpg

from lakefront.db.listener import Listener
from tests.eventlog.postgres.test_append import kill_backends, wait_until


async def test_notices_come_and_the_connection_comes_back(dsn: str) -> None:
    listener = Listener(dsn)
    heard: list[tuple[str, str]] = []
    changes: list[bool] = []

    def hear(channel: str) -> Callable[[str], None]:
        return lambda payload: heard.append((channel, payload))

    for channel in ("one", "two"):
        listener.on(channel, hear(channel))
    listener.watch(changes.append)
    await listener.open()
    other = await asyncpg.connect(dsn)
    await wait_until(lambda: listener.connected)
    await other.execute("SELECT pg_notify('one', 'a|b'), pg_notify('two', ''), pg_notify('three', 'x')")
    await wait_until(lambda: len(heard) == 2)
    await kill_backends(other)
    await wait_until(lambda: changes == [True, False, True])
    await other.execute("NOTIFY two, 'again'")
    await wait_until(lambda: len(heard) == 3)
    assert heard == [("one", "a|b"), ("two", ""), ("two", "again")]
    await listener.close()
    await other.close()


async def test_it_waits_for_a_database_that_is_not_there_yet(dsn: str) -> None:
    listener = Listener(dsn.replace("/test_", "/later_"))
    listener.on("one", lambda payload: None)
    await listener.open()
    await asyncio.sleep(0.3)
    assert not listener.connected
    other = await asyncpg.connect(dsn)
    name = await other.fetchval("SELECT replace(current_database(), 'test_', 'later_')")
    await other.execute(f"CREATE DATABASE {name}")
    await wait_until(lambda: listener.connected)
    await listener.close()
    await other.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await other.close()
