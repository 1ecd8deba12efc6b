"""How requests on the express way end: in parts, in line, too late, broken, alone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from lakefront.errors import Unavailable
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.run import Runner
from lakefront.server.ride import Ride
from tests.server.express.riding import LIST, ONE, answer, ask, server, wire
from tests.server.wired import Wired
from tests.slow import locked


@pytest.mark.parametrize("cut", [-1, 40, 150])
async def test_a_request_in_two_parts_goes_the_long_way(plain: Wired, rides: list[Ride], cut: int) -> None:
    await plain.ask(ONE)
    rides.clear()
    request = wire(plain, ONE)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(request[:cut])
    await asyncio.sleep(0.05)
    writer.write(request[cut:])
    assert b'"permitId":"P1"' in await answer(reader)
    assert len(rides) == (cut in (40, 150))  # what was cut in its head has arrived whole with the rest
    writer.close()


async def test_requests_that_wait_behind_one_another_are_answered_in_order(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    rides.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    queries = [ONE, LIST, "{ __typename }", ONE]
    for _ in range(3):
        writer.write(b"".join(wire(plain, query) for query in queries))
        answers = [json.loads(await answer(reader))["data"] for _ in queries]
        assert [next(iter(data)) for data in answers] == ["permit", "permits", "__typename", "permit"]
    assert len(rides) == 3  # the first of each lot
    writer.close()


@pytest.mark.parametrize("query", [ONE, LIST], ids=["one", "list"])
async def test_who_leaves_takes_its_statement_along(plain: Wired, rides: list[Ride], query: str) -> None:
    await plain.ask(query)
    rides.clear()
    async with locked(plain.parts.doors.services.database.dsn) as watcher:
        _, writer = await asyncio.open_connection("127.0.0.1", plain.port)
        writer.write(wire(plain, query))
        await watcher.working()
        writer.close()
        await watcher.stopped()
    [ride] = rides
    assert ride.disconnected


async def test_who_leaves_does_not_take_others_along(plain: Wired, rides: list[Ride]) -> None:
    await plain.ask(ONE)
    async with locked(plain.parts.doors.services.database.dsn) as watcher:
        streams = [await asyncio.open_connection("127.0.0.1", plain.port) for _ in range(4)]
        for _, writer in streams:
            writer.write(wire(plain, ONE))
        await watcher.working()
        streams[0][1].close()
        streams[3][1].close()
        await asyncio.sleep(0.1)
    for reader, writer in streams[1:3]:
        assert b'"permitId":"P1"' in await answer(reader)
        writer.close()
    assert len(rides) == 4


@pytest.mark.parametrize("query", [ONE, LIST], ids=["one", "list"])
async def test_a_statement_that_takes_too_long_is_told_at_its_fields(
    plain: Wired, rides: list[Ride], query: str
) -> None:
    await plain.ask(query)
    rides.clear()
    async with locked(plain.parts.doors.services.database.dsn) as watcher:
        response = await ask(plain, json.dumps({"query": query}), {})
        await watcher.stopped()
    assert len(rides) == 1
    assert response.status_code == 504
    [error] = response.json()["errors"]
    assert error["path"] == ["permit" if query is ONE else "permits"]
    assert error["extensions"]["code"] == "OPERATION_TIMEOUT"


@pytest.mark.parametrize("query", [ONE, LIST], ids=["one", "list"])
async def test_a_lost_connection_is_told_at_its_fields(plain: Wired, rides: list[Ride], query: str) -> None:
    await plain.ask(query)
    rides.clear()
    dsn = plain.parts.doors.services.database.dsn
    async with locked(dsn) as watcher:
        asking = asyncio.create_task(ask(plain, json.dumps({"query": query}), {}))
        await watcher.working()
        killer = await asyncpg.connect(dsn)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await killer.close()
        response = await asking
    assert len(rides) == 1
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert await plain.ask(query)


async def test_resolvers_answer_where_a_statement_fails(plain: Wired, rides: list[Ride]) -> None:
    query = "{ permits(first: 3) { nodes { permitId status } } }"
    before = await plain.ask(query)
    rides.clear()
    administrator = await asyncpg.connect(plain.parts.doors.services.database.dsn)
    # What was compiled names a function that fails from now on; resolvers do not call it.
    await administrator.execute('ALTER FUNCTION pg_catalog.json_build_object(VARIADIC "any") RENAME TO gone')
    try:
        assert await plain.ask(query) == before
    finally:
        await administrator.execute('ALTER FUNCTION pg_catalog.gone(VARIADIC "any") RENAME TO json_build_object')
        await administrator.close()
    assert len(rides) == 1


async def test_a_stopping_server_answers_what_it_has(dsn: str, tmp_path: Path, rides: list[Ride]) -> None:
    async with server(dsn, tmp_path, rate_limits="off") as served:
        await served.ask(LIST)
        rides.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with locked(dsn) as watcher:
            writer.write(wire(served, LIST, "Accept-Encoding: gzip"))
            await watcher.working()
            rides[0].keep_alive = False  # what uvicorn does to the newest request of each connection
        assert b'"totalCount"' in await answer(reader)
        assert await reader.read() == b""
        writer.close()


async def test_a_read_that_fails_after_its_time_is_answered_once(plain: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection may take as long to be let go, and then the failure is another one."""
    await plain.ask(LIST)

    async def late(*_: Any) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)
            raise Unavailable from None

    monkeypatch.setattr(Runner, "alone", late)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(wire(plain, LIST))
    assert b"OPERATION_TIMEOUT" in await answer(reader)
    await asyncio.sleep(0.4)
    writer.write(wire(plain, "{ __typename }"))
    assert json.loads(await answer(reader)) == {"data": {"__typename": "Query"}}
    writer.close()


async def test_an_answer_that_cannot_be_made_ends_its_connection_alone(
    plain: Wired, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await plain.ask(ONE)
    broken, whole = Operations.answer_of, asyncio.Event()

    def fails_once(self: Operations, *arguments: Any) -> bytes:
        if not whole.is_set():
            whole.set()
            raise ZeroDivisionError
        return broken(self, *arguments)

    monkeypatch.setattr(Operations, "answer_of", fails_once)
    streams = [await asyncio.open_connection("127.0.0.1", plain.port) for _ in range(3)]
    for _, writer in streams:
        writer.write(wire(plain, ONE))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(reader.read(10) for reader, _ in streams))
    assert sorted(answers) == [b"", b"HTTP/1.1 2", b"HTTP/1.1 2"]
    assert "ZeroDivisionError" in caplog.text
    for _, writer in streams:
        writer.close()
