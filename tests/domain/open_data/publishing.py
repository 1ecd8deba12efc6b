"""A simulated publisher, runners that read it, and what came of that."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from lakefront.actor import Actor
from lakefront.db.database import Row
from lakefront.domain import open_data
from lakefront.domain.open_data import OpenDataRunner
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.datasets import Dataset
from lakefront.simulator.systems.socrata import Socrata

INSPECTIONS = "43nn-pn8j"
REQUESTS = "erm2-nwe9"
ENDED = {"DONE", "FAILED", "CANCELLED"}


def publisher(city: Simulator) -> Socrata:
    """The simulated portal."""
    found = city.systems["socrata"]
    assert isinstance(found, Socrata)
    return found


def published(city: Simulator, dataset: str) -> Dataset:
    """A data set of it, whose rows a test may change."""
    return publisher(city)._dataset(dataset)


@asynccontextmanager
async def running(services: Services, **options: Any) -> AsyncIterator[OpenDataRunner]:
    """A runner at work until the block ends; then it is killed, with whatever it has in hand."""
    runner = OpenDataRunner(services, **({"poll": 0.05, "lease": 0.6, "first_pause": 0.05} | options))
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(services: Services, actor: Actor, import_id: str, met: Callable[[Row], bool]) -> Row:
    """The import's row once it is as it should be."""
    deadline = time.monotonic() + 150
    while True:
        row = await open_data.find(services, actor, import_id)
        if met(row):
            return row
        assert time.monotonic() < deadline, row
        await asyncio.sleep(0.05)


async def imported(services: Services, actor: Actor, dataset: str, **options: Any) -> Row:
    """The row of an import that was asked for and carried out."""
    asked = await open_data.ask_for(services, actor, dataset, **options)
    assert asked.row is not None
    async with running(services):
        return await until(services, actor, asked.row["import_id"], ended)


def ended(row: Row) -> bool:
    """Whether an import has."""
    return row["state"] in ENDED


def at_least(rows: int) -> Callable[[Row], bool]:
    """Whether so many rows were read."""
    return lambda row: bool(row["rows_read"] >= rows)


def counts(row: Row) -> tuple[int, int, int, int]:
    """Rows read, accepted, duplicates, rejected."""
    return row["rows_read"], row["accepted"], row["duplicates"], row["rejected"]


async def events(services: Services, actor: Actor, stream: str) -> list[Any]:
    """All events of the stream."""
    found: list[Any] = []
    position: dict[int, int] = {}
    while True:
        page = await services.log.read(actor, stream, position)
        if not page.events:
            return found
        found += page.events
        position = page.position


async def table(services: Services, actor: Actor, name: str, columns: str = "*") -> list[Any]:
    """Rows of a table of the actor's tenant."""
    async with services.database.transaction(actor.tenant) as transaction:
        return await transaction.fetch(f"SELECT {columns} FROM lakefront.{name} WHERE tenant_id = $1", actor.tenant)
