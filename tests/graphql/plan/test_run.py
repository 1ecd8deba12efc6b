"""Compiled statements that are slow, fail, or lose their database: what is told, and what stays behind (nothing)."""

import asyncio
import logging
import os
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from lakefront.actor import PERMITS_READ, Actor
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import migrate
from lakefront.domain.services import Services
from lakefront.graphql import turns
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.explain import explain
from lakefront.graphql.schema import build_schema
from tests.city import settle
from tests.slow import locked

ONE = "query ($id: ID!) { permit(permitId: $id) { permitId status estimatedCost } }"
LIST = "{ permits(first: 3) { nodes { permitId status estimatedCost } } }"
BESIDE = "{ me { subject } permits(first: 3) { nodes { permitId } } }"

TIERS = {"batched": (ONE, 1, ["permit"]), "alone": (LIST, 1, ["permits"]), "beside": (BESIDE, 2, ["me", "permits"])}


def request(query: str, **variables: Any) -> OperationRequest:
    if query == ONE:
        variables = {"id": "P001", **variables}
    return OperationRequest(query, variables=variables)


def operations_of(services: Services, **changes: Any) -> Operations:
    changed = replace(services, settings=services.settings.model_copy(update=changes))
    return Operations(build_schema(), changed, Context.for_operation, permission)


@pytest.fixture
def operations(services: Services, city: None) -> Operations:
    return operations_of(services)


async def ask(operations: Operations, actor: Actor, query: str, **variables: Any) -> Answer:
    return await operations.execute(request(query, **variables), actor, "the-trace")


def codes(answer: Answer) -> set[str]:
    return {error["extensions"]["code"] for error in answer.errors or ()}


async def nothing_is_left(operations: Operations, database: Database) -> None:
    """No turn is taken, no connection held, no batch remembered."""
    async with asyncio.timeout(2):
        while (  # noqa: ASYNC110 - nobody sets an event
            operations.turns.taken
            or operations.turns.waiting
            or database.connections[0]
            or operations.runner.batches.pending
        ):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("whose", ["the server's clock", "PostgreSQL's"])
async def test_a_statement_out_of_time_is_told_at_its_place(
    services: Services, city: None, actor: Actor, name: str, whose: str
) -> None:
    query, _, paths = TIERS[name]
    ours, theirs = (0.4, 30.0) if whose == "the server's clock" else (30.0, 0.4)
    database = Database(services.database.dsn, statement_timeout=theirs)
    await database.open()
    operations = operations_of(replace(services, database=database), graphql_timeout=ours)
    async with locked(database.dsn) as watcher:
        answer = await ask(operations, actor, query)
        await watcher.stopped()
    assert codes(answer) == {"OPERATION_TIMEOUT"}
    assert answer.refusal is not None
    assert answer.refusal.status == 504
    assert answer.errors is not None
    told = [error["path"] for error in answer.errors]
    assert told == ([[path] for path in paths] if ours < theirs else [[paths[-1]]])
    assert {error["extensions"]["traceId"] for error in answer.errors} == {"the-trace"}
    await nothing_is_left(operations, database)
    assert not (await ask(operations, actor, query)).errors
    await database.close()


async def test_a_batch_for_which_nobody_waits_is_cancelled(
    operations: Operations, services: Services, actor: Actor
) -> None:
    async with locked(services.database.dsn) as watcher:
        asked = [asyncio.create_task(ask(operations, actor, ONE, id=f"P{number:03d}")) for number in range(30)]
        await watcher.working(1)
        for task in asked[1:]:
            task.cancel()
        await asyncio.sleep(0.2)
        assert await watcher.count() >= 1, "one still waits"
        asked[0].cancel()
        await watcher.stopped()
    await asyncio.gather(*asked, return_exceptions=True)
    await nothing_is_left(operations, services.database)
    assert (await ask(operations, actor, ONE)).data["permit"]["permitId"] == "P001"


async def test_who_leaves_at_once_leaves_nothing(operations: Operations, services: Services, actor: Actor) -> None:
    for turns_taken in range(12):
        asked = [asyncio.create_task(ask(operations, actor, ONE, id=f"P{number:03d}")) for number in range(5)]
        for _ in range(turns_taken):
            await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    answers = await asyncio.gather(*(ask(operations, actor, ONE, id=f"P{number:03d}") for number in range(5)))
    assert [answer.data["permit"]["permitId"] for answer in answers] == [f"P{number:03d}" for number in range(5)]
    await nothing_is_left(operations, services.database)


async def test_one_key_that_fails_fails_alone(operations: Operations, services: Services, actor: Actor) -> None:
    connection = await asyncpg.connect(services.database.dsn)
    await connection.execute("""
        CREATE FUNCTION lakefront.broken(text) RETURNS boolean LANGUAGE sql VOLATILE
          AS $$ SELECT CASE $1 WHEN 'P003' THEN 1 / (length($1) - 4) END IS NULL $$;
        GRANT EXECUTE ON FUNCTION lakefront.broken TO PUBLIC;
        CREATE POLICY breaking ON lakefront.permits AS RESTRICTIVE USING (lakefront.broken(permit_id));
    """)
    await connection.close()
    names = [f"P{number:03d}" for number in range(8)]
    answers = await asyncio.gather(*(ask(operations, actor, ONE, id=name) for name in names))
    for name, answer in zip(names, answers, strict=True):
        if name == "P003":
            assert codes(answer) == {"INTERNAL_ERROR"}
            assert answer.errors is not None
            assert answer.errors[0]["path"] == ["permit"]
        else:
            assert not answer.errors
            assert answer.data["permit"]["permitId"] == name
    await nothing_is_left(operations, services.database)


@pytest.mark.parametrize("name", ["batched", "alone"])
async def test_a_table_that_was_changed_is_told_at_its_place_and_masked(
    operations: Operations, services: Services, actor: Actor, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    query, _, paths = TIERS[name]
    assert not (await ask(operations, actor, query)).errors
    connection = await asyncpg.connect(services.database.dsn)
    await connection.execute("ALTER TABLE lakefront.permits RENAME COLUMN status TO secret_status")
    caplog.clear()
    answer = await ask(operations, actor, query)
    assert codes(answer) == {"INTERNAL_ERROR"}
    assert answer.errors is not None
    assert answer.errors[0]["path"][: len(paths)] == paths
    assert answer.errors[0]["extensions"]["traceId"] == "the-trace"
    assert "status" not in answer.errors[0]["message"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    await connection.execute("ALTER TABLE lakefront.permits RENAME COLUMN secret_status TO status")
    await connection.close()
    assert not (await ask(operations, actor, query)).errors
    await nothing_is_left(operations, services.database)


@pytest.mark.parametrize("name", TIERS)
async def test_a_migration_under_a_running_server_is_no_error(
    operations: Operations, services: Services, actor: Actor, name: str
) -> None:
    query, tier, _ = TIERS[name]
    before = await ask(operations, actor, query)
    connection = await asyncpg.connect(services.database.dsn)
    for change in (
        "ADD COLUMN more text",
        "ADD CONSTRAINT costs CHECK (estimated_cost >= 0)",
        "DROP COLUMN more",
    ):
        await connection.execute(f"ALTER TABLE lakefront.permits {change}")
        answer = await ask(operations, actor, query)
        assert not answer.errors, change
        assert answer.data == before.data
    await connection.close()
    assert operations.runner.tiers == {tier: 4}, "no resolver had to help"


async def test_a_slow_database_and_a_thousand_requests(
    services: Services, city: None, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "QUEUE_TIMEOUT", 1.0)
    operations = operations_of(services, graphql_concurrency=20)
    running = asyncio.get_running_loop().time
    async with locked(services.database.dsn) as watcher:
        began = running()
        asked = [asyncio.create_task(ask(operations, actor, ONE, id=f"P{number % 60:03d}")) for number in range(1000)]
        await watcher.working()
        assert operations.turns.taken == 20
        assert operations.turns.waiting <= 200
        assert await watcher.count() <= 2, "no more connections are held than statements of one kind may run"
        _, waiting = await asyncio.wait(asked, timeout=5)
        assert len(waiting) == 20, "all others were told to come again"
        assert running() - began < 10
    answers = await asyncio.gather(*asked)
    told = [answer for answer in answers if answer.errors]
    assert len(told) == 980
    assert {code for answer in told for code in codes(answer)} == {"UNAVAILABLE"}
    assert all(answer.refusal and answer.refusal.status == 503 and answer.refusal.retry_after for answer in told)
    await nothing_is_left(operations, services.database)


@pytest.fixture
async def mortal() -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL that may be killed, with a city in it."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:  # a socket's path is short
        server = EmbeddedPostgres(Path(folder))
        await server.start()
        await migrate(server.dsn())
        connection = await asyncpg.connect(server.dsn())
        await settle(connection)
        await connection.close()
        try:
            yield server
        finally:
            await server.stop()


async def test_postgresql_killed_under_load(services: Services, mortal: EmbeddedPostgres, actor: Actor) -> None:
    database = Database(mortal.dsn())
    await database.open()
    operations = operations_of(replace(services, database=database))
    told: Counter[str] = Counter()
    over = asyncio.Event()

    async def client(number: int) -> None:
        query = (ONE, LIST, BESIDE)[number % 3]
        while not over.is_set():
            answer = await ask(operations, actor, query)
            told.update(codes(answer) or {"ok"})
            await asyncio.sleep(0.01)

    clients = [asyncio.create_task(client(number)) for number in range(12)]
    for _ in range(2):
        await asyncio.sleep(0.5)
        assert mortal.pid is not None
        os.kill(mortal.pid, signal.SIGKILL)
        await mortal.wait()
        await asyncio.sleep(0.3)
        await mortal.start()
    await asyncio.sleep(1)
    before, told = told, Counter()
    assert set(before) <= {"ok", "UNAVAILABLE"}
    assert before["UNAVAILABLE"]
    await asyncio.sleep(0.5)
    over.set()
    await asyncio.gather(*clients)
    assert set(told) == {"ok"}
    await nothing_is_left(operations, database)
    assert database.connections[1] <= database.pool_size
    await database.close()


async def test_what_its_actor_may_not_compile_is_explained_all_the_same(operations: Operations, actor: Actor) -> None:
    own = replace(actor, scopes=actor.scopes - {PERMITS_READ}, own=frozenset({PERMITS_READ}))
    operation = operations.prepare(request(LIST), own, "the-trace")
    assert not isinstance(operation, Answer)
    told = explain(operation.planned, operations.runner.statements, own)
    assert (told.tier, told.sql) == (3, None)
