"""The application's door closes, whatever has become of its connections."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from lakefront.actor import CITY
from lakefront.db import database as module
from lakefront.db.database import Database
from lakefront.errors import Unavailable
from tests.db.silent import SilentProxy, silent_proxy

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("loop", LOOPS)
def test_backends_that_end_while_it_closes(dsn: str, loop: str) -> None:
    """A loop that has not heard of the end yet writes to a closed socket: each has its own error for that."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        for turns in range(8):  # of the loop, before the backends end: one of them is right before the writes
            runner.run(_closed_after(dsn, turns))


async def _closed_after(dsn: str, turns: int) -> None:
    database = Database(dsn, pool_size=2)
    await database.open()
    async with database.transaction(CITY) as one, database.transaction(CITY) as other:
        backends = [transaction.connection.get_server_pid() for transaction in (one, other)]

    async def end() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        for pid in backends:
            with suppress(ProcessLookupError):  # closed before
                os.kill(pid, signal.SIGTERM)
        _wait_for_the_end_of(backends)

    ending = asyncio.create_task(end())
    await database.close()
    await ending
    assert database.connections == (0, 0)


def _wait_for_the_end_of(backends: list[int]) -> None:
    """Without a turn of the loop, which must not hear of it."""
    while any(Path(f"/proc/{pid}").exists() for pid in backends):
        time.sleep(0.001)


@pytest.fixture
async def proxy(parts_folder: Path, dsn: str) -> AsyncIterator[SilentProxy]:
    with tempfile.TemporaryDirectory(dir=parts_folder) as folder:
        async with silent_proxy(Path(folder), dsn) as opened:
            yield opened


async def test_a_host_that_vanished_is_not_waited_for(proxy: SilentProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSING", 0.2)
    database = Database(proxy.dsn)
    await database.open()
    await database.ping()
    proxy.silent = True
    async with asyncio.timeout(5):
        await database.close()
    assert database.connections == (0, 0)


async def _using(database: Database, seconds: float) -> asyncio.Task[None]:
    """Somebody who runs a statement of ``seconds`` right now."""
    using = asyncio.Event()

    async def use() -> None:
        async with database.transaction(CITY) as transaction:
            using.set()
            await transaction.fetch(f"SELECT pg_sleep({seconds})")

    user = asyncio.create_task(use())
    await using.wait()
    return user


async def test_who_still_uses_a_connection_is_told(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSING", 0.2)
    database = Database(dsn)
    await database.open()
    user = await _using(database, 60)
    async with asyncio.timeout(5):
        await database.close()
        with pytest.raises(Unavailable):
            await user


async def test_a_statement_that_ends_meanwhile_is_waited_for_and_no_longer(dsn: str) -> None:
    """Its connection goes back to the pool, which waits for it, instead of being kept for the next one."""
    database = Database(dsn)
    await database.open()
    user = await _using(database, 0.2)
    began = time.monotonic()
    await database.close()
    assert time.monotonic() - began < module.CLOSING / 2
    await user
    assert database.connections == (0, 0)
