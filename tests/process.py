"""A real `lakefront serve` in a process of its own, for tests that stop it, kill it, and start it again."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import httpx

from lakefront.actor import CITY
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.embedded.folder import Lock
from lakefront.server.keys import SigningKey, mint
from lakefront.settings import Settings

ROOT = Path(__file__).parents[1]

START_PATIENCE = 90.0
"""Seconds until `/ready` must be 200; a first start makes a cluster, on a machine that may be busy."""

STOP_PATIENCE = 60.0
"""Seconds that a server, or a part that outlived its killed server, may take to shut down."""


class ServerProcess:
    """A server on a port that stays its own over restarts; `environment` goes over ours, less Lakefront's settings.

    Its package is the one in `folder`.

    It has a temporary data folder, removed at the end, unless `data` names one. `await start()` returns once `/ready`
    is 200; as an async context manager it is started, and in the end stopped, whatever happened between.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        data: Path | None = None,
        folder: Path = ROOT,
    ) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="lf-"))  # short: a unix socket's path is
        self.data = data or self._temporary / "data"
        self.log_file = self._temporary / "server.log"
        self._environment = dict(environment)
        self._folder = folder
        self._port = _reserve()
        self._process: Process | None = None
        host, port = self._port.getsockname()
        self.url = f"http://{host}:{port}"
        self.ws_url = f"ws://{host}:{port}/graphql"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The server's process id, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def postgres_pid(self) -> int | None:
        """The process id of the embedded postmaster, None when there is none that runs."""
        try:
            pid = int((self.data / "postgres" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
            return pid if Path(f"/proc/{pid}/comm").read_text().strip() == "postgres" else None
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None

    @property
    def dsn(self) -> str:
        """The DSN of its database, outside or embedded; the latter changes nothing over restarts."""
        return self._environment.get("DATABASE_URL") or EmbeddedPostgres(self.data / "postgres").dsn()

    def token(self, role: str = "admin", *, ttl: int = 3600) -> str:
        """A token of `role` in the city's tenant, valid for `ttl` seconds; the server must have been started once."""
        return mint(SigningKey.load_or_create(self.data), Settings(), f"test:{role}", role, CITY, ttl)

    def log_text(self) -> str:
        """All that the server wrote to its log, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    async def start(self) -> None:
        """Start it and return once `/ready` is 200; raises AssertionError with its log when that does not come."""
        await self.launch()
        await self.ready()

    async def launch(self) -> None:
        """Start its process and return at once."""
        assert self.pid is None, "it runs already"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LAKEFRONT_") and name not in {"DATABASE_URL", "REDIS_URL", "OBJECT_STORE_URL"}
        }
        port = self._port.getsockname()[1]
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig=SIGTERM", "--"),  # a killed test run leaves nothing behind either
                *(sys.executable, "-m", "lakefront", "serve", "--no-demo"),
                *("--host", "127.0.0.1", "--port", str(port), "--data", str(self.data)),
                cwd=self._folder,
                env=kept | self._environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Send SIGKILL to the server's process alone: its parts must end by themselves."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> int:
        """Send SIGTERM and return the exit code (minus the signal that ended it); 0 if it was never started.

        Raises AssertionError with the log if it does not end in time.
        """
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError(self._told(f"SIGTERM did not end the server within {STOP_PATIENCE:.0f} s")) from None

    async def wait(self) -> int:
        """Return the exit code once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def restart(self) -> None:
        """Stop it if it runs, and start it again at the same URL on the same data."""
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """Stop it, wait until its parts are gone, and remove the temporary folder."""
        try:
            await self.stop()
            await self._parts_gone()
        finally:
            self._port.close()
            shutil.rmtree(self._temporary, ignore_errors=True)

    async def ready(self) -> None:
        """Return once `/ready` is 200; raises AssertionError with its log when that does not come in time."""
        assert self._process is not None, "it was never started"
        process, said = self._process, "nothing"
        try:
            async with asyncio.timeout(START_PATIENCE), httpx.AsyncClient(trust_env=False) as client:
                while process.returncode is None:
                    try:
                        answer = await client.get(f"{self.url}/ready", timeout=5)
                    except httpx.TransportError as error:
                        said = repr(error)
                    else:
                        if answer.status_code == 200:
                            return
                        said = f"{answer.status_code} {answer.text}"
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(self._told(f"not ready within {START_PATIENCE:.0f} s, last: {said}")) from None
        raise AssertionError(self._told(f"the server ended with {process.returncode} while starting"))

    async def _parts_gone(self) -> None:
        """Each part holds its folder's lock until it and its children have ended."""
        for part in ("postgres", "redis"):
            if (self.data / part / "lock").exists():
                lock = Lock(self.data / part)
                await lock.acquire_when_free(STOP_PATIENCE)
                lock.release()

    def _told(self, what: str) -> str:
        return f"{what}; the end of its log:\n{self.log_text()[-4000:]}"


def _reserve() -> socket.socket:
    """A socket bound to a free port of the loopback address: while it is open and does not listen, the port is ours."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
