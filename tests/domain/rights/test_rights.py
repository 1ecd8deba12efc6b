"""The policy as the database has it: read anew when a rule changes, also while notices may be missed."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from lakefront.actor import PERMITS_READ
from lakefront.db.database import Database
from lakefront.db.listener import Listener
from lakefront.domain.rights import CHANNEL, Rights
from lakefront.errors import Unavailable

ADD = "INSERT INTO lakefront.policy_rules VALUES ($1, $2, 'acme', 'permits', 'read', 'any')"


@pytest.fixture
async def rights(database: Database) -> Rights:
    """The policy, read."""
    made = Rights(database)
    await made.load()
    return made


@pytest.fixture
async def operator(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Somebody who writes the table by hand."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def reads(rights: Rights, role: str) -> bool:
    return PERMITS_READ in (await rights.of([role], "acme")).scopes


async def test_a_change_is_announced_whatever_makes_it(
    dsn: str, rights: Rights, operator: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    listener = Listener(dsn)
    listens = asyncio.Event()
    heard = asyncio.Queue[str]()

    def changed(notice: str) -> None:
        rights.changed(notice)
        heard.put_nowait(notice)

    listener.on(CHANNEL, changed)
    listener.watch(lambda _connected: listens.set())
    await listener.open()
    try:
        await asyncio.wait_for(listens.wait(), 5)
        changes = (
            ("INSERT INTO lakefront.policy_rules VALUES ($1, 'surveyor', 'acme', 'permits', 'read', 'any')", True),
            ("UPDATE lakefront.policy_rules SET rows = 'none' WHERE rule_id = $1", False),
            ("UPDATE lakefront.policy_rules SET rows = 'any' WHERE rule_id = $1", True),
            ("DELETE FROM lakefront.policy_rules WHERE rule_id = $1", False),
        )
        rule = uuid4()
        for statement, allowed in changes:
            await operator.execute(statement, rule)
            await asyncio.wait_for(heard.get(), 5)
            assert await reads(rights, "surveyor") is allowed, statement
    finally:
        await listener.close()


async def test_without_a_listener_the_policy_is_a_second_old_at_most(
    rights: Rights, operator: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    rights.watch(connected=False)
    assert not await reads(rights, "surveyor")
    await operator.execute(ADD, uuid4(), "surveyor")
    started = time.monotonic()
    while not await reads(rights, "surveyor"):
        assert time.monotonic() - started < 5
        await asyncio.sleep(0.05)
    await operator.execute("DELETE FROM lakefront.policy_rules")
    rights.watch(connected=True)
    assert not await reads(rights, "surveyor")


async def test_whoever_asks_while_it_is_read_anew_waits_for_it(
    rights: Rights, operator: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await operator.execute(ADD, uuid4(), "surveyor")
    rights.changed()
    assert await asyncio.gather(*(reads(rights, "surveyor") for _ in range(20))) == [True] * 20


async def test_a_policy_that_cannot_be_read_grants_nothing() -> None:
    away = Database("postgresql://localhost:1/nothing")
    await away.open()
    rights = Rights(away)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await rights.of(["admin"], "city")
    await away.close()
