"""What `lakefront serve` starts beside itself, and keeps running."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from lakefront.db.embedded.errors import EmbeddedError
from lakefront.db.embedded.folder import Lock, bound_log, make_data_folder
from lakefront.db.embedded.postgres import EmbeddedPostgres
from lakefront.db.embedded.process import unprivileged
from lakefront.db.embedded.redis import EmbeddedRedis

log = logging.getLogger(__name__)

FIRST_DELAY = 0.1
LAST_DELAY = 10.0
"""Seconds before a restart: doubled from the first to the last while the part keeps failing."""

STEADY = 5.0
"""Seconds that a part must have run for its next restart to be quick again."""


class Part(Protocol):
    """A server process that can be started again."""

    log_file: Path

    async def start(self) -> None:
        """Return once it answers; raises EmbeddedError."""

    async def stop(self) -> None:
        """Return once it has ended."""

    def running(self) -> bool:
        """Whether its process lives."""
        ...

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        ...


class EmbeddedParts:
    """What `lakefront serve` starts: lock on the data folder, PostgreSQL and Redis as wanted, restarted when they die.

    Start it from the main thread: the parts die with the thread that started them. `parameters` are PostgreSQL's.
    """

    def __init__(
        self, data: Path, *, postgres: bool, redis: bool, parameters: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.data = data.absolute()
        self.postgres = EmbeddedPostgres(self.data / "postgres", parameters=parameters) if postgres else None
        self.redis = EmbeddedRedis(self.data / "redis") if redis else None
        self._parts: dict[str, Part] = {}
        if self.postgres:
            self._parts["postgres"] = self.postgres
        if self.redis:
            self._parts["redis"] = self.redis
        self._lock = Lock(self.data)
        self._ready: set[str] = set()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def healthy(self) -> dict[str, bool]:
        """Which of the parts that we run answer now; one being restarted does not."""
        return {name: name in self._ready and part.running() for name, part in self._parts.items()}

    async def start(self) -> None:
        """Lock the data folder and return once every part answers; raises EmbeddedError, with nothing left running."""
        make_data_folder(self.data, unprivileged().owner if self.postgres else os.geteuid())
        try:
            self._lock.acquire()
        except BlockingIOError:
            raise EmbeddedError(
                f"{self.data} is in use by another Lakefront server ({self._lock.holder()}); "
                "stop that one, or give this one a folder of its own with `--data DIR`"
            ) from None
        try:
            for name, part in self._parts.items():
                await part.start()
                self._ready.add(name)
        except BaseException:
            await self.stop()
            raise
        self._keepers = [asyncio.create_task(self._keep(name), name=f"keep {name}") for name in self._parts]

    async def stop(self) -> None:
        """Stop the parts, the last started first, and unlock the data folder."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []
        self._ready.clear()
        for part in reversed(self._parts.values()):
            await part.stop()
        self._lock.release()

    async def _keep(self, name: str) -> None:
        """Restart the part whenever it dies, for ever; one line of log for its death, one for its return."""
        part, delay = self._parts[name], FIRST_DELAY
        while True:
            since = time.monotonic()
            code = await self._ended(part)
            self._ready.discard(name)
            log.warning("embedded %s ended with %d; restarting it, see %s", name, code, part.log_file)
            delay = FIRST_DELAY if time.monotonic() - since > STEADY else min(2 * delay, LAST_DELAY)
            delay = await self._restart(name, part, delay)
            self._ready.add(name)
            log.warning("embedded %s answers again", name)

    async def _restart(self, name: str, part: Part, delay: float) -> float:
        reported = False
        while True:
            await asyncio.sleep(delay)
            try:
                await part.start()
            except (EmbeddedError, OSError) as error:
                if not reported:
                    log.error("embedded %s cannot be restarted, trying on: %s", name, error)  # noqa: TRY400 - says it all
                    reported = True
                delay = min(2 * delay, LAST_DELAY)
            else:
                return delay

    async def _ended(self, part: Part) -> int:
        ended = asyncio.ensure_future(part.wait())
        try:
            while not (await asyncio.wait((ended,), timeout=60))[0]:
                bound_log(part.log_file)
            return ended.result()
        finally:
            ended.cancel()
