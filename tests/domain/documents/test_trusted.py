"""Trusted documents: known without a look-up each time, gone within a second, whoever removes them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from lakefront.db.database import Database
from lakefront.db.listener import Listener
from lakefront.domain.documents import CHANNEL, Trusted, sha256_of
from lakefront.errors import Unavailable

TEXT = "{ permits { totalCount } }"
NAME = sha256_of(TEXT)
ADD = "INSERT INTO lakefront.persisted_documents (sha256, name, document) VALUES ($1, 'permits', $2)"


@pytest.fixture
async def operator(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def trusted(dsn: str, database: Database) -> AsyncIterator[Trusted]:
    """What a server knows, its listener running."""
    made = Trusted(database)
    listener = Listener(dsn)
    listener.damp(CHANNEL)
    listener.on(CHANNEL, made.changed)
    listener.watch(made.watch)
    connected = asyncio.Event()
    listener.watch(lambda _: connected.set())
    await listener.open()
    await connected.wait()
    yield made
    await listener.close()


async def until(trusted: Trusted, *, there: bool) -> None:
    """Wait until the server knows, which it must within two seconds."""
    async with asyncio.timeout(2):
        while True:
            if await trusted.has(NAME) is there:
                return
            await asyncio.sleep(0.01)


async def test_a_document_comes_and_goes(trusted: Trusted, operator: "asyncpg.Connection[asyncpg.Record]") -> None:
    assert await trusted.text(NAME) is None
    await operator.execute(ADD, NAME, TEXT)
    await until(trusted, there=True)
    assert await trusted.text(NAME) == TEXT
    await operator.execute("DELETE FROM lakefront.persisted_documents")
    await until(trusted, there=False)
    assert await trusted.text(NAME) is None


async def test_what_is_known_costs_no_look_up(
    trusted: Trusted, operator: "asyncpg.Connection[asyncpg.Record]", database: Database
) -> None:
    await operator.execute(ADD, NAME, TEXT)
    await until(trusted, there=True)
    assert await trusted.text(NAME) == TEXT
    await database.close()
    assert await trusted.text(NAME) == TEXT
    assert [await trusted.text(sha256_of(str(number))) for number in range(100)] == [None] * 100
    trusted.changed()
    with pytest.raises(Unavailable):
        await trusted.text(NAME)


async def test_without_notices_what_was_read_holds_for_a_second(
    database: Database, operator: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    trusted = Trusted(database)
    trusted.watch(connected=False)
    await operator.execute(ADD, NAME, TEXT)
    assert await trusted.text(NAME) == TEXT
    await operator.execute("TRUNCATE lakefront.persisted_documents")
    await until(trusted, there=False)


async def test_a_name_cannot_lie(operator: "asyncpg.Connection[asyncpg.Record]") -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await operator.execute(ADD, sha256_of("{ other }"), TEXT)


async def test_the_application_may_only_read_them(database: Database, provisioner: Database) -> None:
    for statement in (ADD, "DELETE FROM lakefront.persisted_documents WHERE sha256 = $1 AND document = $2"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction("city") as transaction:
                await transaction.execute(statement, NAME, TEXT)
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(ADD, NAME, TEXT)
    async with database.transaction("acme") as transaction:
        assert await transaction.fetch("SELECT name FROM lakefront.persisted_documents") == [("permits",)]
