"""A city of a few permits, and a way to ask it that tells which SQL ran."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery
from asyncpg.pool import PoolConnectionProxy

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.simulator import Simulator
from tests.city import settle
from tests.domain.calling import calling

Ask = Callable[..., Awaitable[dict[str, Any]]]


class RecordingDatabase(Database):
    """Keeps the text and values of every statement that asyncpg ran for it."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.statements: list[LoggedQuery] = []

    @asynccontextmanager
    async def _connection(self) -> "AsyncIterator[PoolConnectionProxy[Any]]":
        async with super()._connection() as connection:
            with connection.query_logger(self._record):
                yield connection
            await asyncio.sleep(0)  # asyncpg tells it soon, not at once

    def _record(self, statement: LoggedQuery) -> None:
        # asyncpg asks for array types once a connection; that is none of ours.
        if "lakefront." in statement.query:
            self.statements.append(statement)


@pytest.fixture
async def recorder(dsn: str) -> AsyncIterator[RecordingDatabase]:
    """The application's door to the test's database, with a record of what ran."""
    opened = RecordingDatabase(dsn)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def city(dsn: str) -> None:
    """Sixty permits of the tenant ``city`` with addresses and events, and one of another tenant."""
    connection = await asyncpg.connect(dsn)
    try:
        await settle(connection)
    finally:
        await connection.close()


def asking(services: Services, actor: Actor, *, compiled: bool) -> Ask:
    """What runs a document with variables and gives the answer's members: ``data``, ``errors``."""
    operations = Operations(build_schema(), services, Context.for_operation, permission, compiled=compiled)

    async def run(document: str, asking: Actor = actor, **variables: Any) -> dict[str, Any]:
        answer = await operations.execute(OperationRequest(document, variables=variables), asking, "trace")
        return answer.payload()

    return run


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as running:
        yield running


@pytest.fixture
async def reaching(
    request: pytest.FixtureRequest, services: Services, actor: Actor, simulator: Simulator
) -> AsyncIterator[Services]:
    """Services that reach the module's ``PROVIDERS`` in the simulator."""
    async with calling(services, actor, simulator, request.module.PROVIDERS) as made:
        yield made


@pytest.fixture
def ask(services: Services, recorder: RecordingDatabase, actor: Actor) -> Ask:
    """As the server answers."""
    return asking(replace(services, database=recorder), actor, compiled=True)


@pytest.fixture
def ask_resolvers(services: Services, recorder: RecordingDatabase, actor: Actor) -> Ask:
    """As the resolvers answer, which read by a statement for each list, connection and count."""
    return asking(replace(services, database=recorder), actor, compiled=False)
