"""The listener: notices of several channels over one connection that comes back by itself."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from lakefront.db import listener as listening
from lakefront.db.listener import DAMPED, PROBE, Listener
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


async def test_a_flood_on_a_damped_channel_calls_back_now_and_then(dsn: str) -> None:
    listener = Listener(dsn)
    damped: list[str] = []
    others: list[str] = []
    listener.damp("one")
    listener.on("one", damped.append)
    listener.on("two", others.append)
    await listener.open()
    other = await asyncpg.connect(dsn)
    await wait_until(lambda: listener.connected)
    began = time.monotonic()
    for number in range(500):
        await other.execute(f"SELECT pg_notify('one', '{number}'), pg_notify('two', '{number}')")
        if number == 0:
            await wait_until(lambda: damped == ["0"])  # without a second one
    await wait_until(lambda: damped[-1] == "499")  # and none is lost
    assert len(damped) <= 2 + (time.monotonic() - began) / DAMPED
    assert len(others) == 500
    await asyncio.sleep(2 * DAMPED)
    assert damped[-1] == "499"
    assert damped.count("499") == 1
    await listener.close()
    await other.close()


async def listening_backend(connection: "asyncpg.Connection[Any]") -> int:
    """The process of the one listener of the connection's database."""
    [(pid,)] = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND query ~ '^LISTEN|^SELECT pg_listening_channels'"
    )
    return int(pid)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_connection_that_hangs_is_not_trusted_and_not_left_at_once(dsn: str) -> None:
    listener = Listener(dsn)
    heard: list[str] = []
    changes: list[bool] = []
    listener.on("one", heard.append)
    listener.watch(changes.append)
    await listener.open()
    other = await asyncpg.connect(dsn)
    await wait_until(lambda: listener.connected)
    await asyncio.sleep(3 * PROBE)
    assert changes == [True]
    pid = await listening_backend(other)
    with stopped(pid):
        began = time.monotonic()
        await wait_until(lambda: not listener.connected)
        # Twice the time of a probe, and as much again for a busy machine.
        assert time.monotonic() - began < 4 * PROBE
        await other.execute("NOTIFY one, 'late'")
        await asyncio.sleep(PROBE)
        assert heard == []
    await wait_until(lambda: listener.connected and heard == ["late"])
    assert changes == [True, False, True]
    assert await listening_backend(other) == pid
    await listener.close()
    await other.close()


async def test_a_connection_that_hangs_for_good_is_left(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_GIVE_UP", 0.2)
    listener = Listener(dsn)
    heard: list[str] = []
    listener.on("one", heard.append)
    await listener.open()
    other = await asyncpg.connect(dsn)
    await wait_until(lambda: listener.connected)
    with stopped(await listening_backend(other)):
        await wait_until(lambda: not listener.connected)
        await wait_until(lambda: listener.connected)
        await other.execute("NOTIFY one, 'new'")
        await wait_until(lambda: heard == ["new"])
        await listener.close()
    await other.close()


async def test_closing_waits_for_no_connection_that_hangs(dsn: str) -> None:
    listener = Listener(dsn)
    listener.on("one", lambda payload: None)
    await listener.open()
    other = await asyncpg.connect(dsn)
    await wait_until(lambda: listener.connected)
    with stopped(await listening_backend(other)):
        await asyncio.sleep(1.5 * PROBE)
        async with asyncio.timeout(2):
            await listener.close()
    await other.close()
