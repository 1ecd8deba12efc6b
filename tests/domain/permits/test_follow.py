"""Following: from any cursor, through any filter, every event once (X1)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest

from lakefront.actor import Actor
from lakefront.db.tables.log import events as events_table
from lakefront.db.tables.permits import permits as permits_table
from lakefront.domain import permits
from lakefront.domain.following import Arrival, Start
from lakefront.domain.permits import Wanted, ingest
from lakefront.domain.services import Services
from lakefront.errors import CursorExpired, Forbidden, Unavailable, ValidationError
from lakefront.eventlog import cursors
from lakefront.eventlog.projections.permits import PERMITS, STREAM
from lakefront.graphql.permits import PERMITS as ROWS
from tests.domain.permits.events import filed, text
from tests.eventlog.postgres.test_append import kill_backends

KILLS = 40
"""How often all backends are killed under a follower."""


async def follow(
    services: Services,
    actor: Actor,
    *,
    after: str | None = None,
    heartbeat: float | None = None,
    with_permit: bool = False,
    **wanted: Any,
) -> AsyncGenerator[Arrival]:
    """What arrives in all pages."""
    start = Start(after, heartbeat)
    found = permits.follow(services, actor, ROWS, Wanted(**wanted), start, with_permit=with_permit)
    async with aclosing(found) as pages:
        async for page in pages:
            for notice in page:
                yield notice


async def take(notices: AsyncIterator[Arrival], count: int, *, patience: float = 30) -> list[Arrival]:
    async with asyncio.timeout(patience):
        return [await anext(notices) for _ in range(count)]


def ids(notices: list[Arrival]) -> list[str]:
    return [notice.event["event_id"] for notice in notices if notice.event]


async def send(services: Services, actor: Actor, *names: str, **members: Any) -> None:
    report = await ingest(
        services, actor, [text(eventId=name, permitId=members.get("permitId", name)) for name in names]
    )
    assert report.accepted == len(names)


async def test_replay_then_live_from_every_cursor(services: Services, actor: Actor) -> None:
    names = [f"e{number}" for number in range(30)]
    await send(services, actor, *names[:20])
    async with aclosing(follow(services, actor, after="earliest")) as notices:
        seen = await take(notices, 20)
        await send(services, actor, *names[20:])
        seen += await take(notices, 10)
    assert sorted(ids(seen)) == sorted(names)
    for index in (0, 7, 19, 25):
        async with aclosing(follow(services, actor, after=seen[index].cursor)) as notices:
            assert sorted(ids(await take(notices, 29 - index))) == sorted(ids(seen[index + 1 :]))


async def test_a_cursor_of_a_live_follower_does_not_replay_what_was_before(services: Services, actor: Actor) -> None:
    await send(services, actor, *[f"old{number}" for number in range(10)])
    async with aclosing(follow(services, actor)) as notices:
        waiting = asyncio.create_task(take(notices, 1))
        await asyncio.sleep(0.2)
        await send(services, actor, "new")
        [first] = await waiting
    await send(services, actor, "newer")
    async with aclosing(follow(services, actor, after=first.cursor)) as notices:
        assert ids(await take(notices, 1)) == ["newer"]


async def test_the_event_has_the_shape_of_a_row_from_the_database(services: Services, actor: Actor) -> None:
    await send(services, actor, "e")
    async with aclosing(follow(services, actor, after="earliest")) as notices:
        [notice] = await take(notices, 1)
    assert [notice.event] == await services.database.rows(actor.tenant, events_table.select())


async def test_filters_let_through_what_they_name(services: Services, actor: Actor) -> None:
    await ingest(
        services,
        actor,
        [
            text(**filed("a", "2024-01-01T00:00:00Z", neighborhood="Mission")),
            text(**filed("b", "2024-01-01T00:00:00Z", neighborhood="Marina")),
            text(eventId="a2", permitId="a"),
            text(eventId="b2", permitId="b"),
        ],
    )

    async def found(count: int, **wanted: Any) -> list[str]:
        async with aclosing(follow(services, actor, after="earliest", **wanted)) as notices:
            return sorted(ids(await take(notices, count)))

    assert await found(2, permit_ids=["a"]) == ["a2", "filed-a"]
    assert await found(2, event_types=["status_change"]) == ["a2", "b2"]
    assert await found(2, neighborhoods=["Marina"]) == ["b2", "filed-b"]
    assert await found(1, neighborhoods=["Marina"], event_types=["permit_filed"]) == ["filed-b"]


async def test_a_heartbeat_moves_the_cursor_past_what_does_not_match(services: Services, actor: Actor) -> None:
    await send(services, actor, *[f"e{number}" for number in range(50)])
    wanted = follow(services, actor, permit_ids=["nobody"], after="earliest", heartbeat=0.2)
    async with aclosing(wanted) as notices:
        [quiet] = await take(notices, 1)
    assert quiet.event is None
    assert cursors.decode(STREAM, quiet.cursor).offsets == await services.log.head(actor, STREAM)


async def test_with_permit_the_row_has_its_event_in_it(services: Services, actor: Actor) -> None:
    async with aclosing(follow(services, actor, after="earliest", with_permit=True)) as notices:
        for number in range(20):
            waiting = asyncio.create_task(take(notices, 1))
            await send(services, actor, f"e{number}")
            [notice] = await waiting
            [row] = await services.database.rows(
                actor.tenant, permits_table.select().where(permits_table.c.permit_id == f"e{number}")
            )
            columns = {name: row[name] for name in row if name not in {"tenant_id", "field_versions"}}
            assert notice.row == {**columns, "days_to_issue": None}
            assert row["status"] == "approved"


async def test_a_projection_that_is_behind_is_waited_for(services: Services, actor: Actor) -> None:
    await ingest(services, actor, [text(**filed("a", "2024-01-01T00:00:00Z", neighborhood="Mission"))])
    await services.progress.reach(actor.tenant, PERMITS, await services.log.head(actor, STREAM))
    seen: list[Arrival] = []

    async def listen() -> None:
        async with aclosing(follow(services, actor, neighborhoods=["Mission"], heartbeat=0.1)) as notices:
            async for notice in notices:
                seen.append(notice)
                if notice.event is not None:
                    return

    listening = asyncio.create_task(listen())
    async with services.database.transaction(actor.tenant) as transaction:  # as a rebuild holds the projection up
        await transaction.fetch(
            "SELECT 1 FROM lakefront.consumer_offsets WHERE tenant_id = $1 FOR UPDATE", actor.tenant
        )
        while not seen:  # noqa: ASYNC110 - a list that another task fills
            await asyncio.sleep(0.01)
        before = seen[-1].cursor
        await ingest(services, actor, [text(**filed("b", "2024-01-01T00:00:00Z", neighborhood="Mission"))])
        await asyncio.sleep(0.5)
        assert [notice.event for notice in seen] == [None] * len(seen)
        assert seen[-1].cursor == before, "the cursor passed an event that was not delivered"
    async with asyncio.timeout(10):
        await listening
    assert ids(seen) == ["filed-b"]


async def test_a_follower_of_rows_waits_for_postgresql(services: Services, actor: Actor) -> None:
    await ingest(services, actor, [text(**filed("first", "2024-01-01T00:00:00Z"))])
    killer = await asyncpg.connect(services.database.dsn)
    async with aclosing(follow(services, actor, after="earliest", with_permit=True)) as notices:
        found = await take(notices, 1)  # it has begun: a start that finds PostgreSQL away is told so
        following = asyncio.create_task(take(notices, KILLS, patience=100))  # all the kills are in that time
        for number in range(KILLS):
            await kill_backends(killer)
            event = text(**filed(f"p{number}", "2024-01-01T00:00:00Z"))
            while True:
                try:
                    await ingest(services, actor, [event])
                except Unavailable:
                    await asyncio.sleep(0.01)
                else:
                    break
        found += await following
    await killer.close()
    assert sorted(ids(found)) == sorted(["filed-first", *(f"filed-p{number}" for number in range(KILLS))])


async def test_bad_wishes_are_told(services: Services, actor: Actor) -> None:
    future = cursors.encode(STREAM, cursors.LAYOUT, {0: 99})
    for wrong, expected in (
        ({"after": "garbage"}, ValidationError),
        ({"after": cursors.encode("other", 1, {0: 0})}, ValidationError),
        ({"after": future}, CursorExpired),
        ({"permit_ids": []}, ValidationError),
        ({"heartbeat": 0}, ValidationError),
    ):
        with pytest.raises(expected):
            await anext(follow(services, actor, **wrong))
    with pytest.raises(Forbidden):
        await anext(follow(services, Actor("w", "city", frozenset({"permits:write"}))))
