"""The contract of every driver of the log (``EventLog``): a new driver is one more parameter."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lakefront.actor import system_actor
from lakefront.errors import CursorExpired, ValidationError
from lakefront.eventlog.driver import EventLog
from lakefront.eventlog.events import Appended, Outcome
from tests.eventlog.conftest import OpenLog
from tests.eventlog.samples import ACTOR, STREAM, assert_gapless, event, events, everything


@pytest.fixture(params=["postgres"])
async def driver(request: pytest.FixtureRequest, open_log: OpenLog) -> EventLog:
    assert request.param == "postgres"
    return await open_log(group_rows=50)


async def test_a_new_stream_is_empty(driver: EventLog) -> None:
    assert await driver.head(ACTOR, STREAM) == {}
    page = await driver.read(ACTOR, STREAM, {})
    assert (page.events, page.position) == ([], {})
    assert await driver.append(ACTOR, STREAM, []) == []


async def test_what_goes_in_comes_out(driver: EventLog) -> None:
    plus_two = timezone(timedelta(hours=2))
    sent = event(
        "e",
        payload='{"b":[1,2.5,null],"ü":"\\"quoted\\"\\n"}'.encode(),
        occurred_at=datetime(2024, 7, 1, 1, 0, 0, 123456, tzinfo=plus_two),
        correlation_id="c",
        schema_version="1.1",
        source="test",
    )
    before = datetime.now(UTC)
    [verdict] = await driver.append(ACTOR, STREAM, [sent])
    [stored] = await everything(driver)
    assert verdict == Appended(Outcome.ACCEPTED, stored.shard, 0)
    assert stored.payload == {"b": [1, 2.5, None], "ü": '"quoted"\n'}
    assert stored.occurred_at == datetime(2024, 6, 30, 23, 0, 0, 123456, tzinfo=UTC)
    assert before <= stored.ingested_at <= datetime.now(UTC)
    assert (stored.event_id, stored.event_type, stored.partition_key) == ("e", "permit_filed", "e")
    assert (stored.trace_id, stored.correlation_id, stored.schema_version, stored.source) == (
        "trace",
        "c",
        "1.1",
        "test",
    )


async def test_a_retry_is_a_duplicate_with_its_first_place(driver: EventLog) -> None:
    first = await driver.append(ACTOR, STREAM, events("e", 20))
    again = await driver.append(ACTOR, STREAM, events("e", 20))
    assert [(v.shard, v.offset) for v in again] == [(v.shard, v.offset) for v in first]
    assert {v.outcome for v in again} == {Outcome.DUPLICATE}
    assert len(await everything(driver)) == 20


async def test_one_request_may_hold_an_event_twice(driver: EventLog) -> None:
    verdicts = await driver.append(
        ACTOR, STREAM, [event("e"), event("e"), event("e", payload=b"{}"), event("e", key="other permit")]
    )
    assert [v.outcome for v in verdicts] == [
        Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.CONFLICT, Outcome.CONFLICT,
    ]  # fmt: skip
    assert {(v.shard, v.offset) for v in verdicts} == {(verdicts[0].shard, 0)}


async def test_the_same_id_with_another_body_is_a_conflict(driver: EventLog) -> None:
    [first] = await driver.append(ACTOR, STREAM, [event("e")])
    later = event("e", occurred_at=datetime(2024, 1, 16, tzinfo=UTC))
    for other in (event("e", payload=b"{}"), event("e", key="other permit"), later):
        assert await driver.append(ACTOR, STREAM, [other]) == [Appended(Outcome.CONFLICT, first.shard, first.offset)]
    same_moment = event("e").occurred_at.astimezone(timezone(timedelta(hours=-8)))
    [same] = await driver.append(ACTOR, STREAM, [event("e", occurred_at=same_moment, trace_id="retried")])
    assert same.outcome is Outcome.DUPLICATE


async def test_atomic_keeps_all_new_events_out_on_a_conflict(driver: EventLog) -> None:
    await driver.append(ACTOR, STREAM, [event("old"), event("same")])
    sent = [event("new"), event("old", payload=b"{}"), event("same"), event("new")]
    verdicts = await driver.append(ACTOR, STREAM, sent, atomic=True)
    assert [v.outcome for v in verdicts] == [
        Outcome.REJECTED, Outcome.CONFLICT, Outcome.DUPLICATE, Outcome.REJECTED,
    ]  # fmt: skip
    assert len(await everything(driver)) == 2
    within = await driver.append(ACTOR, STREAM, [event("x"), event("x", payload=b"{}")], atomic=True)
    assert {v.outcome for v in within} == {Outcome.REJECTED}
    fine = await driver.append(ACTOR, STREAM, events("fine", 120), atomic=True)
    assert {v.outcome for v in fine} == {Outcome.ACCEPTED}


async def test_preview_changes_nothing(driver: EventLog) -> None:
    assert [v.outcome for v in await driver.preview(ACTOR, STREAM, [event("old")])] == [Outcome.ACCEPTED]
    assert await driver.head(ACTOR, STREAM) == {}
    [stored] = await driver.append(ACTOR, STREAM, [event("old")])
    verdicts = await driver.preview(ACTOR, STREAM, [event("old"), event("old", payload=b"{}"), event("new")])
    assert verdicts[0] == Appended(Outcome.DUPLICATE, stored.shard, stored.offset)
    assert [v.outcome for v in verdicts[1:]] == [Outcome.CONFLICT, Outcome.ACCEPTED]
    assert verdicts[2].offset == -1
    assert len(await everything(driver)) == 1


async def test_a_request_larger_than_a_group_goes_in_slices(driver: EventLog) -> None:
    verdicts = await driver.append(ACTOR, STREAM, events("e", 333))
    stored = {(e.shard, e.offset): e.event_id for e in await everything(driver)}
    assert [stored[v.shard, v.offset] for v in verdicts] == [f"e-{number}" for number in range(333)]


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
async def test_pages_have_every_event_once_and_at_most_limit(driver: EventLog, limit: int) -> None:
    for number in range(5):
        await driver.append(ACTOR, STREAM, events(f"r{number}", 9))
    found = await everything(driver, limit=limit)
    assert len(found) == 45
    assert_gapless(found)
    assert [e.event_id for e in found] == [e.event_id for e in await everything(driver)]
    assert await driver.head(ACTOR, STREAM) == (await driver.read(ACTOR, STREAM, {})).position


async def test_events_of_one_key_keep_their_order(driver: EventLog) -> None:
    for number in range(30):
        await driver.append(ACTOR, STREAM, [event(f"e{number:02}", key="permit"), event(f"x{number}")])
    found = [e.event_id for e in await everything(driver) if e.partition_key == "permit"]
    assert found == [f"e{number:02}" for number in range(30)]


async def test_tenants_and_streams_are_apart(driver: EventLog) -> None:
    other = system_actor("other")
    await driver.append(ACTOR, STREAM, [event("e")])
    assert [v.outcome for v in await driver.append(other, STREAM, [event("e")])] == [Outcome.ACCEPTED]
    assert [v.outcome for v in await driver.append(ACTOR, "other-stream", [event("e")])] == [Outcome.ACCEPTED]
    for actor in (ACTOR, other):
        assert len(await everything(driver, actor)) == 1
    assert await driver.head(system_actor("third"), STREAM) == {}


@pytest.mark.parametrize(
    "bad",
    [
        event("e", payload=rb'{"a":"\u0000"}'),
        event("e", payload=b"{"),
        event("e\x00"),
        event("e", key="\ud800"),
        event("e", key="k" * 10_000 + str(list(range(3000)))),
        event("e", correlation_id="\ud800"),
        event("e", occurred_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    ],
    ids=["nul in payload", "not JSON", "nul in id", "surrogate in key", "endless key", "surrogate", "before year 1"],
)
async def test_what_cannot_be_stored_is_told_and_harms_no_neighbour(driver: EventLog, bad: object) -> None:
    requests = [driver.append(ACTOR, STREAM, [event(f"n{number}")]) for number in range(8)]
    requests.insert(4, driver.append(ACTOR, STREAM, [bad]))  # type: ignore[list-item]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(answers.pop(4), ValidationError)
    assert [v.outcome for [v] in answers if not isinstance(v, BaseException)] == [Outcome.ACCEPTED] * 8  # type: ignore[misc]
    assert_gapless(await everything(driver))


async def test_following_from_the_start_and_from_now_on(driver: EventLog) -> None:
    await driver.append(ACTOR, STREAM, events("old", 10))
    async with (
        driver.follow(ACTOR, STREAM, {}) as from_start,
        driver.follow(ACTOR, STREAM, None) as from_now,
    ):
        await driver.append(ACTOR, STREAM, [event("new")])
        seen: list[str] = []
        async for page in from_start:
            seen += [e.event_id for e in page.events]
            if len(seen) == 11:
                break
        assert sorted(seen) == sorted(["new", *(f"old-{number}" for number in range(10))])
        page = await anext(aiter(from_now))
        assert [e.event_id for e in page.events] == ["new"]
        assert page.position == await driver.head(ACTOR, STREAM)


async def test_a_heartbeat_tells_the_position(driver: EventLog) -> None:
    await driver.append(ACTOR, STREAM, events("old", 3))
    async with driver.follow(ACTOR, STREAM, None, heartbeat=0.05) as follower:
        for _ in range(2):
            page = await anext(aiter(follower))
            assert (page.events, page.position) == ([], await driver.head(ACTOR, STREAM))


async def test_a_position_past_the_end_is_refused(driver: EventLog) -> None:
    await driver.append(ACTOR, STREAM, [event("e")])
    with pytest.raises(CursorExpired, match="past the end"):
        await driver.follow(ACTOR, STREAM, {0: 2, 1: 2}).__aenter__()
