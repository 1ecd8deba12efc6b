"""What sign-in and rights cost of a request: a query of one row with them, and without.

``python -m bench.rights``: the whole HTTP path in this process, on an embedded PostgreSQL and Redis of its own, in half
a minute. The floor has an actor handed in, and a superuser's statement without row security and tenant guard.
Rounds of all sides alternate, so that a busy machine slows all.
"""

import asyncio
import gc
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import uvloop
from rich.console import Console
from rich.table import Table
from starlette.types import ASGIApp, Message

from lakefront.actor import CITY, Actor, system_actor
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedPostgres, EmbeddedRedis
from lakefront.db.migrate import migrate
from lakefront.domain import api_keys, permits
from lakefront.server.app import build_app
from lakefront.server.credentials import Credentials
from lakefront.server.keys import mint
from lakefront.server.lifespan import Running, running
from lakefront.server.metrics import Metrics
from lakefront.settings import Settings

ROUNDS: Final = 15
REQUESTS: Final = 15
"""Requests of one side in a round, one after the other."""

GOAL: Final = 0.15
"""Of a query of one row, sign-in and rights shall cost less than this part."""

PERMIT: Final = "PRM2024-001234"

_BODY: Final = orjson.dumps(
    {
        "query": "query ($id: ID!) { permit(permitId: $id) { permitId status description estimatedCost } }",
        "variables": {"id": PERMIT},
    }
)
_GUARD: Final = re.compile(r"set_config\((\$\d+::\w+), (\$\d+::\w+), true\)")

Headers = Mapping[str, str]


class Unguarded(Database):
    """Statements as a superuser, to whom row security does not apply, and without setting the tenant."""

    async def text(self, sql: str, *values: Any) -> bytes:
        """The answer of ``sql`` with the guard's parameters, but without its effect."""
        return await super().text(_GUARD.sub(r"coalesce(\2, \1)", sql), *values)


class Direct:
    """Instead of an authenticator: everybody is ``actor``."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    async def authenticate(self, _: Credentials) -> Actor:
        """The actor, whatever was sent."""
        return self._actor

    def on_revocation(self, _: Any) -> None:
        """Nothing is ever revoked."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way to ask: an application, and what is sent along."""

    name: str
    app: ASGIApp
    headers: Headers

    async def ask(self) -> None:
        """One request through all of the application but the socket; raises AssertionError for another answer."""
        head = {"host": "localhost", "content-type": "application/json", "content-length": str(len(_BODY))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in {**head, **self.headers}.items()],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 8000),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": _BODY, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        assert sent[0]["status"] == 200, sent
        assert PERMIT.encode() in sent[1]["body"], sent


@asynccontextmanager
async def sides(folder: Path) -> AsyncIterator[list[Side]]:
    """All sides on one database; the floor is the first."""
    async with AsyncExitStack() as stack:
        postgres, redis = EmbeddedPostgres(folder / "postgres"), EmbeddedRedis(folder / "redis")
        for part in (postgres, redis):
            await part.start()
            stack.push_async_callback(part.stop)
        await migrate(postgres.dsn())
        plain = Settings(data=folder, database_url=postgres.dsn(), redis_url=redis.url, rate_limits="off")
        parts = await stack.enter_async_context(running(plain))
        cold = await stack.enter_async_context(running(plain.model_copy(update={"token_cache": 0})))
        many = {"rate_limits": "on", "rate_limit_user": "99999/second"}
        limited = await stack.enter_async_context(running(plain.model_copy(update=many)))
        services = parts.doors.services
        await permits.ingest(services, system_actor(), [_event()])
        key = await api_keys.create(services, system_actor(), "bench", ["reader"])
        token = mint(parts.key, parts.settings, "bench", "reader", CITY, 3600)
        by_token, by_key = {"authorization": f"Bearer {token}"}, {"x-api-key": key.text}
        actor = await parts.doors.authenticator.authenticate(Credentials(authorization=by_token["authorization"]))
        unguarded = Unguarded(postgres.dsn(), role="postgres")
        await unguarded.open()
        stack.push_async_callback(unguarded.close)
        yield [
            Side("the floor: neither", _app(parts, actor, unguarded), {}),
            Side("row security alone", _app(parts, actor, services.database), {}),
            Side("sign-in alone, token cached", _app(parts, None, unguarded), by_token),
            Side("both, token cached", _app(parts, None, services.database), by_token),
            Side("both, API key cached", _app(parts, None, services.database), by_key),
            Side("both, token verified each time", build_app(cold), by_token),
            Side("both, token cached, and limits", build_app(limited), by_token),
        ]


def _app(parts: Running, actor: Actor | None, database: Database) -> ASGIApp:
    """The application on ``database``, with metrics of its own, everybody being ``actor`` if given."""
    services = replace(parts.doors.services, database=database)
    authenticator: Any = Direct(actor) if actor is not None else parts.doors.authenticator
    doors = replace(parts.doors, services=services, authenticator=authenticator, metrics=Metrics(services))
    return build_app(replace(parts, doors=doors))


def _event() -> bytes:
    data = {"description": "Two more stories", "estimatedCost": 180_000, "neighborhood": "Mission"}
    when = "2024-01-15T10:30:00Z"
    event = {"eventId": "bench", "permitId": PERMIT, "eventType": "permit_filed", "timestamp": when, "eventData": data}
    return orjson.dumps(event)


class Cost(NamedTuple):
    """Medians of a side's rounds: seconds and CPU seconds of a request, and the part of each beyond the floor's."""

    seconds: float
    cpu: float
    part: float
    cpu_part: float


async def measure(asked: list[Side]) -> dict[str, Cost]:
    """What each side costs; the first is the floor."""
    spent: dict[str, list[tuple[float, float]]] = {side.name: [] for side in asked}
    gc.collect()
    gc.freeze()  # seven applications make a heap whose collection would be what is measured
    for number in range(ROUNDS + 1):
        for side in asked:
            started, worked = time.perf_counter(), time.process_time()
            for _ in range(REQUESTS):
                await side.ask()
            took = time.perf_counter() - started, time.process_time() - worked
            if number:
                spent[side.name].append((took[0] / REQUESTS, took[1] / REQUESTS))
    floor = spent[asked[0].name]
    return {
        name: Cost(
            statistics.median(one for one, _ in rounds),
            statistics.median(cpu for _, cpu in rounds),
            statistics.median(1 - base / one for (one, _), (base, _) in zip(rounds, floor, strict=True)),
            statistics.median(1 - base / cpu for (_, cpu), (_, base) in zip(rounds, floor, strict=True)),
        )
        for name, rounds in spent.items()
    }


async def main() -> None:
    """Measure all of it and print the table."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        async with sides(Path(folder)) as asked:
            async with asyncio.timeout(30):
                await _projected(asked[0])
            found = await measure(asked)
    table = Table("a query of one row", "takes", "of which", "CPU here", "of which", title="Sign-in and rights")
    for name, cost in found.items():
        times = f"{cost.seconds * 1e6:,.0f} µs", f"{cost.part:.0%}", f"{cost.cpu * 1e6:,.0f} µs", f"{cost.cpu_part:.0%}"
        table.add_row(name, *times)
    Console(width=120).print(table)
    print(f"Goal: both, cached, under {GOAL:.0%} of the request.")


async def _projected(side: Side) -> None:
    while True:
        try:
            return await side.ask()
        except AssertionError:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    uvloop.run(main())
