"""Generations of keys: a day each, merged into months, and no id in two of them whatever races."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from lakefront.eventlog.events import Outcome
from lakefront.eventlog.postgres import keys
from tests.eventlog.conftest import OpenLog
from tests.eventlog.samples import ACTOR, STREAM, assert_gapless, event, events, everything


class Clock:
    """A day that tests set."""

    def __init__(self, day: date) -> None:
        self.day = day

    def __call__(self) -> date:
        return self.day


async def generations(appender: Any) -> list[str]:
    found = await appender.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'lakefront.event_keys'::regclass"
    )
    return sorted(row["name"].removeprefix("lakefront.event_keys_") for row in found)


def test_names() -> None:
    for generation in (keys.day(date(2026, 2, 28)), keys.month(date(2026, 12, 31)), keys.day(date(2026, 12, 31))):
        assert keys.named(generation.table) == generation
    assert keys.month(date(2026, 12, 31)).until == date(2027, 1, 1)
    with pytest.raises(ValueError, match="not a partition"):
        keys.named("event_keys_default")


async def test_every_day_has_its_generation_and_all_are_looked_up(open_log: OpenLog, appender: Any) -> None:
    clock = Clock(date(2026, 10, 30))
    log = await open_log(today=clock)
    for number in range(4):
        [verdict] = await log.append(ACTOR, STREAM, [event(f"e{number}")])
        assert verdict.outcome is Outcome.ACCEPTED
        clock.day += timedelta(days=1)
    clock.day = date(2026, 10, 1)  # a clock that went back, or another server's that is late
    again = await log.append(ACTOR, STREAM, [event(f"e{number}") for number in range(4)] + [event("new")])
    assert [v.outcome for v in again] == [Outcome.DUPLICATE] * 4 + [Outcome.ACCEPTED]
    assert await generations(appender) == ["2026_10_30", "2026_10_31", "2026_11_01", "2026_11_02"]
    assert await appender.fetchval("SELECT count(*) FROM lakefront.event_keys_2026_11_02") == 2


async def test_past_months_are_merged_and_still_found(open_log: OpenLog, appender: Any) -> None:
    clock = Clock(date(2026, 9, 29))
    log = await open_log(today=clock)
    sent = []
    while clock.day <= date(2026, 11, 2):
        sent.append(event(clock.day.isoformat()))
        await log.append(ACTOR, STREAM, [sent[-1]])
        clock.day += timedelta(days=1)
    await log.maintain()
    assert await generations(appender) == ["2026_09", "2026_10", "2026_11_01", "2026_11_02"]
    again = await log.append(ACTOR, STREAM, sent)
    assert {v.outcome for v in again} == {Outcome.DUPLICATE}
    assert await appender.fetchval("SELECT count(*) FROM lakefront.event_keys") == len(sent)
    await log.maintain()
    assert await generations(appender) == ["2026_09", "2026_10", "2026_11_01", "2026_11_02", "2026_11_03"]


async def test_the_same_id_racing_across_the_switch_is_stored_once(open_log: OpenLog, appender: Any) -> None:
    clocks = [Clock(date(2026, 10, 25)), Clock(date(2026, 10, 25))]
    logs = [await open_log(today=clock) for clock in clocks]
    for number in range(12):
        clocks[number % 2].day = date(2026, 10, 25) + timedelta(days=number)
        batch = events(f"r{number}", 15)
        answers = await asyncio.gather(*(log.append(ACTOR, STREAM, batch) for log in logs))
        for verdicts in zip(*answers, strict=True):
            assert sorted(v.outcome for v in verdicts) == [Outcome.ACCEPTED, Outcome.DUPLICATE]
    assert len(await generations(appender)) == 12
    assert_gapless(await everything(logs[0]))
    assert await appender.fetchval("SELECT count(*) FROM lakefront.event_keys") == 12 * 15


async def test_merging_while_writers_write(open_log: OpenLog, appender: Any) -> None:
    clock = Clock(date(2026, 9, 1))
    log, other = await open_log(today=clock), await open_log(today=clock)
    for _ in range(12):
        clock.day += timedelta(days=3)
        await log.append(ACTOR, STREAM, events(clock.day.isoformat(), 50))
    merged = asyncio.gather(log.maintain(), other.maintain())
    count = 0
    while not merged.done():
        [new, old] = await other.append(ACTOR, STREAM, [event(f"live-{count}"), event("2026-09-04-7")])
        assert (new.outcome, old.outcome) == (Outcome.ACCEPTED, Outcome.DUPLICATE)
        count += 1
    await merged
    assert (await generations(appender))[0] == "2026_09"
    assert await appender.fetchval("SELECT count(*) FROM lakefront.event_keys") == 600 + count
    assert len(await everything(log)) == 600 + count
