"""Permit events over server-sent events on real parts: what reconnections, quiet filters and slow readers get (X1)."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakefront.eventlog import cursors
from lakefront.settings import Settings
from tests.domain.permits.events import BASE, event
from tests.server.events import Reader, following
from tests.server.wired import Wired, wired

FOLLOW = """
subscription ($after: String, $filter: PermitEventSubscriptionFilter) {
  told: permitEvents(after: $after, filter: $filter) { event { eventId } }
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: a signing key takes a moment to make."""
    return tmp_path_factory.mktemp("door")


@pytest.fixture
async def door(dsn: str, folder: Path) -> AsyncIterator[Wired]:
    """The whole application, with quick heartbeats and followers that may not fall behind far."""
    settings = Settings(port=0, data=folder, database_url=dsn, rate_limits="off", sse_heartbeat=0.2, follower_buffer=10)
    async with wired(settings) as made:
        yield made


def follow(door: Wired, *, last_id: str = "", **variables: Any) -> Any:
    headers = {"Accept": "text/event-stream", **door.bearer("reader")}
    return following(door.client, FOLLOW, headers=headers, last_id=last_id, **variables)


async def event_id(reader: Reader) -> str:
    """The id of the next event that is told."""
    name: str = (await reader.event()).answer["data"]["told"]["event"]["eventId"]
    return name


async def code(reader: Reader) -> tuple[str, dict[str, Any]]:
    """The code and the extensions of the error with which the stream ends."""
    told, last = await reader.rest()
    assert last.kind == "complete"
    extensions = told.answer["errors"][0]["extensions"]
    return extensions["code"], extensions


async def test_reconnected_again_and_again_nothing_is_lost_or_comes_twice(door: Wired) -> None:
    chance = random.Random(7)
    sent = [f"again-{number}" for number in range(300)]
    got: list[str] = []

    async def write(names: list[str]) -> None:
        for name in names:
            assert (await door.ingest([event(eventId=name, permitId=name)])).status_code == 200

    async with follow(door) as reader:
        while not reader.last_id:
            await reader.block()
        last_id = reader.last_id  # from here on, before the first event is written
    writers = [asyncio.create_task(write(sent[start::3])) for start in range(3)]
    while len(got) < len(sent):
        async with follow(door, last_id=last_id, after="earliest") as reader:
            for _ in range(min(chance.randint(1, 40), len(sent) - len(got))):
                got.append(await event_id(reader))
                last_id = reader.last_id
    await asyncio.gather(*writers)
    assert sorted(got) == sorted(sent)
    assert len(set(got)) == len(got)


def passed(cursor: str) -> int:
    """How many events are before the cursor."""
    return sum(cursors.decode("sf-permit-events", cursor).offsets.values())


async def test_the_id_moves_on_while_a_filter_is_quiet(door: Wired) -> None:
    wanted = {"permitIds": ["wanted"]}
    async with follow(door, filter=wanted) as reader:
        while not reader.last_id:
            assert (await reader.block()).kind == ""
        before = reader.last_id
        await door.ingest([event(eventId=f"other-{number}", permitId="other") for number in range(20)])
        async with asyncio.timeout(10):
            while reader.last_id == before or passed(reader.last_id) < 20:
                assert (await reader.block()).kind == "", "the page learns nothing of it"
        quiet = reader.last_id
    assert passed(quiet) == 20
    await door.ingest([event(eventId="wanted-1", permitId="wanted")])
    async with follow(door, filter=wanted, last_id=quiet) as reader:
        assert await event_id(reader) == "wanted-1"


@pytest.mark.parametrize(
    "last_id", ["nonsense", "=", "0", cursors.encode("other-stream", 1, {0: 1}), "x" * 5000, "\x80\xff"]
)
async def test_a_last_event_id_that_is_none_is_told(door: Wired, last_id: str) -> None:
    headers = httpx.Headers({"Accept": "text/event-stream", "Last-Event-ID": last_id}, encoding="latin-1")
    headers.update(door.bearer("reader"))
    async with door.client.stream("GET", "/graphql", params={"query": FOLLOW}, headers=headers) as response:
        assert response.status_code == 200
        assert (await code(Reader(response)))[0] == "VALIDATION_ERROR"


async def test_a_cursor_that_is_no_more_is_told_apart(door: Wired) -> None:
    beyond = cursors.encode("sf-permit-events", cursors.LAYOUT, {0: 10**6})
    async with follow(door, last_id=beyond) as reader:
        name, extensions = await code(reader)
    assert name == "CURSOR_EXPIRED"
    async with follow(door, after=extensions["cursor"]) as reader:
        await reader.block()
        await door.ingest([event(eventId="later", permitId="later")])
        assert await event_id(reader) == "later"


def large(name: str) -> dict[str, Any]:
    """An event of some 20 kB."""
    reason = "x" * 20_000
    return event(eventId=name, permitId=name, eventData={**BASE["eventData"], "reason": reason})


async def test_a_slow_reader_is_told_that_it_lagged_and_goes_on_without_a_gap(door: Wired) -> None:
    sent = [f"slow-{number}" for number in range(400)]
    query = "subscription { told: permitEvents { event { eventId eventData } } }"
    headers = {"Accept": "text/event-stream", **door.bearer("reader")}
    # Little room in the sockets, so that what is not read is felt by the server soon.
    transport = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)])
    got: list[str] = []
    async with (
        httpx.AsyncClient(base_url=door.client.base_url, timeout=30, transport=transport) as client,
        following(client, query, headers=headers) as reader,
    ):
        await reader.block()
        for start in range(0, len(sent), 20):
            names = sent[start : start + 20]
            assert (await door.ingest([large(name) for name in names])).status_code == 200
        *told, error, last = await reader.rest()
        assert last.kind == "complete"
        assert error.answer["errors"][0]["extensions"]["code"] == "LAGGED"
        got += [each.answer["data"]["told"]["event"]["eventId"] for each in told]
        last_id = reader.last_id
    assert 0 < len(got) < len(sent)
    async with follow(door, last_id=last_id) as reader:
        while len(got) < len(sent):
            got.append(await event_id(reader))
    assert sorted(got) == sorted(sent)


async def test_a_subscription_selects_the_permit_over_this_door_too(door: Wired) -> None:
    query = 'subscription { permitEvents(after: "earliest") { permit { permitId } } }'
    await door.ingest([event(eventId="with", permitId="with")])
    async with following(
        door.client, query, headers={"Accept": "text/event-stream", **door.bearer("reader")}
    ) as reader:
        assert (await reader.event()).answer == {"data": {"permitEvents": {"permit": {"permitId": "with"}}}}
