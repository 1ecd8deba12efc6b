"""Locks between processes: whose holder is frozen loses them, and all go on when PostgreSQL's host comes back."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from lakefront.errors import Unavailable
from lakefront.eventlog.lake.locks import Locks
from tests.db.silent import silent_proxy


async def test_one_holder_at_a_time(dsn: str) -> None:
    first, second = Locks(dsn), Locks(dsn)
    async with first.hold("a") as held, second.hold("a") as also, second.hold("b") as other:
        assert (held, also, other) == (True, False, True)
    async with second.hold("a") as held:
        assert held
    await first.close()
    await second.close()


async def test_a_frozen_holder_loses_its_locks(dsn: str) -> None:
    """A process that is stopped says nothing to PostgreSQL, but its machine keeps the connection alive."""
    frozen, other = Locks(dsn, idle=0.2), Locks(dsn)
    async with frozen.hold("a") as held:
        assert held
        async with asyncio.timeout(10):
            while True:
                async with other.hold("a") as taken:
                    if taken:
                        break
                await asyncio.sleep(0.05)
    async with frozen.hold("a") as again:
        assert again, "it works on with a new connection"
    await frozen.close()
    await other.close()


async def test_a_host_that_vanished_is_unavailable(
    parts_folder: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakefront.eventlog.lake.locks._PATIENCE", 0.3)
    with tempfile.TemporaryDirectory(dir=parts_folder) as folder:
        async with silent_proxy(Path(folder), dsn) as proxy, asyncio.timeout(5):
            locks = Locks(proxy.dsn)
            async with locks.hold("a") as held:
                assert held
                proxy.silent = True
                with pytest.raises(Unavailable):
                    await locks.hold("b").__aenter__()
            proxy.silent = False
            async with locks.hold("b") as held:
                assert held
            await locks.close()
