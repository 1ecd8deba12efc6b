"""The made-up city: the same past on every start, and a plausible present."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random

import orjson
import pytest

from lakefront.domain.permits.payloads import latest_timestamp, parse
from lakefront.server.demo.permits import STEPS, City, initial_events, trickle
from lakefront.server.load.permits import FIELDS, Event

NEXT = {step.event_type for steps in STEPS.values() for step in steps} | {"permit_filed"}


def taken_by_the_domain(events: list[Event]) -> None:
    for event in events:
        parse(orjson.dumps(event), trace_id="test", latest=latest_timestamp(0))


def test_the_past_is_the_same_on_every_start() -> None:
    events = initial_events()
    assert events == initial_events()
    assert len({event["eventId"] for event in events}) == len(events)
    assert len({event["permitId"] for event in events}) == 300
    assert max(event["timestamp"] for event in events) < "2025"
    taken_by_the_domain(events)


def test_the_past_has_every_field_of_the_published_file() -> None:
    published = {field.member for field in FIELDS} - {"expiresAt"}
    filed = [event["eventData"] for event in initial_events() if event["eventType"] == "permit_filed"]
    assert all(published <= data.keys() for data in filed)
    assert any(data["neighborhood"] == "Mission" for data in filed)
    assert sum(not data["addresses"][0]["primary"] for data in filed) > 5, "some permits have two addresses"


@pytest.mark.parametrize("seed", range(5))
def test_what_happens_live_is_valid_and_follows_from_what_happened(seed: int) -> None:
    city, start = City(Random(seed)), datetime(2025, 3, 1, 18, tzinfo=UTC)
    events = [city.next_event(start + timedelta(seconds=second)) for second in range(3_000)]
    taken_by_the_domain(events)
    assert len({event["eventId"] for event in events}) == len(events)
    assert {event["eventType"] for event in events} == NEXT
    told: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        told[event["permitId"]].append(event)
    for life in told.values():
        assert life[0]["eventType"] == "permit_filed"
        assert [event["timestamp"] for event in life] == sorted(event["timestamp"] for event in life)
        status = "filed"
        for event in life[1:]:
            if event["eventType"] == "status_change":
                assert event["eventData"]["previousStatus"] == status
                status = event["eventData"]["newStatus"]
            elif event["eventType"] == "permit_issued":
                status = "issued"
            elif event["eventType"] == "permit_completed":
                assert event is life[-1]


def test_ids_of_two_runs_differ_even_with_one_seed() -> None:
    now = datetime.now(UTC)
    first, second = City(Random(1)).next_event(now), City(Random(1)).next_event(now)
    assert first["eventId"] != second["eventId"]
    assert first["permitId"] != second["permitId"]


async def test_the_trickle_goes_on() -> None:
    sent: list[Event] = []
    enough = asyncio.Event()

    async def send(events: list[Event]) -> None:
        sent.extend(events)
        if len(sent) >= 20:
            enough.set()

    task = asyncio.create_task(trickle(send, pause=0.001))
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    taken_by_the_domain(sent)
