"""The two scenarios: one server with its own PostgreSQL, and two servers on one database."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lakefront.db.embedded import EmbeddedPostgres
from tests.chaos.journal import Door, Journal
from tests.chaos.store import Folder, Store, stormy_s3
from tests.chaos.subscriber import Subscriber, Wish
from tests.chaos.verify import settle, verify
from tests.chaos.writer import PERMITS, Writer
from tests.process import ServerProcess

WRITERS = 4

OF_ONE_WRITER = tuple(f"w0-{number}" for number in range(PERMITS))

WISHES = {
    "replay": Wish("earliest"),
    "replay of changes": Wish("earliest", event_types=("STATUS_CHANGE",)),
    "replay with permit": Wish("earliest", permit_ids=OF_ONE_WRITER, with_permit=True),
    "live": Wish(),
    "live rarities": Wish(event_types=("PERMIT_FILED",)),
    "live with permit": Wish(permit_ids=OF_ONE_WRITER, with_permit=True),
}

ENVIRONMENT = {
    "LAKEFRONT_RATE_LIMITS": "off",
    "LAKEFRONT_FOLLOWER_BUFFER": "100",
    "LAKEFRONT_SEAL_INTERVAL": "1",
}
"""No quotas; a follower that is slow is LAGGED soon, and batches are sealed all the time: all is to be gone through."""


@dataclass(frozen=True)
class Plan:
    """How hard it is to be: kills, events/s, the least seconds of load, and the seed of every random choice."""

    kills: int
    postgres_kills: int
    seed: int
    rate: float = 400.0
    seconds: float = 0.0

    def random(self, name: str) -> Random:
        """Choices of their own for each part of the run, the same for the same seed."""
        return Random(f"{self.seed} {name}")

    def victims(self, random: Random) -> list[str]:
        """Whom to kill, in turn; once it is both at a time, where there are enough."""
        both = min(1, self.kills - 1, self.postgres_kills - 1) if self.kills and self.postgres_kills else 0
        victims = [
            *(["both"] * both),
            *(["server"] * (self.kills - both)),
            *(["postgres"] * (self.postgres_kills - both)),
        ]
        random.shuffle(victims)
        return victims


async def one_server(plan: Plan) -> Journal:
    """A server with its own PostgreSQL; either is killed, or both at once. Its objects are in an S3 in bad weather."""
    journal, random = Journal(), plan.random("killer")
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(stormy_s3(plan.random("weather"), journal))
        server = await stack.enter_async_context(ServerProcess(environment={**ENVIRONMENT, **store.environment}))

        async def torment() -> None:
            for victim in plan.victims(random):
                await asyncio.sleep(random.uniform(0.2, 2.5))
                if victim != "server":
                    await _kill_embedded_postgres(server, journal)
                if victim != "postgres":
                    await _kill(server, random, journal)
            if not server.pid:
                await server.start()

        await _run(plan, journal, [Door.of(server, server.token(ttl=86_400))], server.dsn, store, torment)
        _check_log([server], journal)
    return journal


async def two_servers(plan: Plan) -> Journal:
    """Two servers on one PostgreSQL: one of them at a time is killed, or PostgreSQL, or one with PostgreSQL."""
    journal, random = Journal(), plan.random("killer of two")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lf-", ignore_cleanup_errors=True)))
        postgres = EmbeddedPostgres(folder)
        await postgres.start()
        stack.push_async_callback(postgres.stop)
        store = Folder(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lf-"))))
        environment = {**ENVIRONMENT, **store.environment, "DATABASE_URL": postgres.dsn()}
        servers = [
            await stack.enter_async_context(ServerProcess(environment=environment)),
            await stack.enter_async_context(ServerProcess(environment=environment)),
        ]

        async def torment() -> None:
            for victim in plan.victims(random):
                await asyncio.sleep(random.uniform(0.2, 2.5))
                async with asyncio.TaskGroup() as group:
                    if victim != "server":
                        group.create_task(_kill_postgres(postgres, random, journal))
                    if victim != "postgres":
                        group.create_task(_kill(random.choice(servers), random, journal))

        token = servers[0].token(ttl=86_400)  # the other server knows its key through the database
        doors = [Door.of(server, token) for server in servers]
        await _run(plan, journal, doors, postgres.dsn(), store, torment)
        _check_log(servers, journal)
    return journal


async def _kill(server: ServerProcess, random: Random, journal: Journal) -> None:
    """Kill it and start it again; now and then it takes another kill while it starts."""
    server.kill()
    await server.wait()
    journal.counts["kills of a server"] += 1
    if random.random() < 0.3:
        await server.launch()
        await asyncio.sleep(random.uniform(0.0, 3.0))
        server.kill()
        await server.wait()
        journal.counts["kills of a starting server"] += 1
    await server.start()


async def _kill_embedded_postgres(server: ServerProcess, journal: Journal) -> None:
    async with asyncio.timeout(60):
        while (pid := server.postgres_pid) is None:  # noqa: ASYNC110 - another process brings it back
            await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    journal.counts["kills of PostgreSQL"] += 1


async def _kill_postgres(postgres: EmbeddedPostgres, random: Random, journal: Journal) -> None:
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    await postgres.wait()
    journal.counts["kills of PostgreSQL"] += 1
    await asyncio.sleep(random.uniform(0.0, 1.0))
    await postgres.start()


async def _run(
    plan: Plan,
    journal: Journal,
    doors: Sequence[Door],
    dsn: str,
    store: Store,
    torment: Callable[[], Awaitable[None]],
) -> None:
    """Load and torment together; then everybody comes to rest and the promises are checked."""
    started, ending = time.monotonic(), asyncio.Event()
    writers = [
        Writer(f"w{number}", doors, journal, plan.random(f"writer {number}"), rate=plan.rate / WRITERS)
        for number in range(WRITERS)
    ]
    subscribers = [Subscriber(name, wish, doors, journal, plan.random(name)) for name, wish in WISHES.items()]
    async with asyncio.TaskGroup() as group:
        following = [group.create_task(each.run(), name=each.name) for each in subscribers]
        writing = [group.create_task(each.run(ending)) for each in writers]
        await torment()
        await asyncio.sleep(max(0.5, plan.seconds - (time.monotonic() - started)))
        ending.set()
        await asyncio.wait(writing)
        journal.counts["seconds of load"] = round(time.monotonic() - started)
        store.calm()
        await settle(dsn, journal, subscribers)
        for task in following:
            task.cancel()
    await verify(dsn, journal, subscribers, store)


def _check_log(servers: Sequence[ServerProcess], journal: Journal) -> None:
    """A traceback in a server's log is a failure that nobody foresaw."""
    for server in servers:
        text = server.log_text()
        if (place := text.find("Traceback")) >= 0:
            journal.violation(f"a server logged a traceback:\n{text[max(0, place - 500) : place + 3000]}")
