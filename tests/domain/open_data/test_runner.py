"""Imports over real sockets: all rows once, then what changed; killed, failed and cancelled on the way (C5)."""

import asyncio
from dataclasses import replace

import pytest

from lakefront.actor import Actor
from lakefront.domain import open_data
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.domain.open_data.publishing import (
    INSPECTIONS,
    at_least,
    counts,
    ended,
    events,
    imported,
    published,
    publisher,
    running,
    table,
    until,
)

STREAM = f"open-data-{INSPECTIONS}"


async def test_all_rows_then_what_changed_alone(importing: Services, actor: Actor, simulator: Simulator) -> None:
    first = await imported(importing, actor, INSPECTIONS)
    assert (first["state"], first["rows_total"], counts(first)) == ("DONE", 60, (60, 60, 0, 0))
    assert len(await events(importing, actor, STREAM)) == 60
    again = await imported(importing, actor, INSPECTIONS)
    assert (again["state"], counts(again)) == ("DONE", (0, 0, 0, 0))
    simulator.clock.advance(60)
    rows = published(simulator, INSPECTIONS)
    rows.change(changed=4, added=3, now=simulator.clock.now())
    changed = [row for row in rows.rows[:60] if row[":updated_at"] == rows.rows[-1][":updated_at"]]
    changed[0]["score"] = "77"
    later = await imported(importing, actor, INSPECTIONS)
    # Of the others only the day of publication is another: that says nothing new.
    assert (later["state"], counts(later)) == ("DONE", (7, 4, 3, 0))
    assert len(await events(importing, actor, STREAM)) == 64
    stored = await table(importing, actor, "food_inspections", "inspection_id, score")
    assert len(stored) == 63
    assert [row["score"] for row in stored].count(77) == 1


async def test_a_killed_import_goes_on_where_it_stood(importing: Services, actor: Actor, simulator: Simulator) -> None:
    asked = await open_data.ask_for(importing, actor, INSPECTIONS)
    assert asked.row is not None
    import_id = asked.row["import_id"]
    for read in (14, 35):
        async with running(importing, page=7, lease=0.3):
            await until(importing, actor, import_id, at_least(read))
        # Killed: nobody gave the lease back.
    async with running(importing, page=7), running(importing, page=7):
        row = await until(importing, actor, import_id, ended)
    assert (row["state"], counts(row)) == ("DONE", (60, 60, 0, 0))
    found = await events(importing, actor, STREAM)
    assert len({event.event_id for event in found}) == len(found) == 60


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=Kind.ERROR, system="socrata", times=6),
        Fault(kind=Kind.MALFORMED, system="socrata", times=4),
        Fault(kind=Kind.RESET_DURING, system="socrata", probability=0.3),
    ],
)
async def test_a_publisher_that_fails_is_asked_again(
    importing: Services, actor: Actor, simulator: Simulator, fault: Fault
) -> None:
    simulator.faults.add(fault)
    row = await imported(importing, actor, INSPECTIONS)
    assert (row["state"], row["error_code"], counts(row)) == ("DONE", None, (60, 60, 0, 0))


@pytest.mark.parametrize("tells_job", [True, False])
async def test_answers_that_are_under_way_are_waited_for(
    importing: Services, actor: Actor, simulator: Simulator, tells_job: bool
) -> None:
    publisher(simulator).pending, publisher(simulator).tells_job = 2, tells_job
    row = await imported(importing, actor, INSPECTIONS)
    assert (row["state"], counts(row)) == ("DONE", (60, 60, 0, 0))


async def test_rows_that_cannot_be_read_are_told_and_skipped(
    importing: Services, actor: Actor, simulator: Simulator
) -> None:
    rows = published(simulator, INSPECTIONS).rows
    rows[3]["camis"], rows[4]["latitude"], rows[5]["inspection_date"] = None, "north", "yesterday"
    rows[6]["dba"] = "nul\0"
    row = await imported(importing, actor, INSPECTIONS)
    assert (row["state"], counts(row)) == ("DONE", (60, 56, 0, 4))
    [(problems,)] = await table(importing, actor, "open_data_imports", "problems")
    assert {problem["row"] for problem in problems} == {each[":id"] for each in rows[3:7]}
    assert {problem["field"] for problem in problems} == {"camis", "latitude", "inspection_date", None}
    assert "north" not in str(problems)


async def test_a_refusal_ends_it_and_another_import_goes_on(
    importing: Services, actor: Actor, simulator: Simulator
) -> None:
    asked = await open_data.ask_for(importing, actor, INSPECTIONS)
    assert asked.row is not None
    async with running(importing, page=20) as runner:
        await until(importing, actor, asked.row["import_id"], at_least(20))
        cancelled = await open_data.cancel(importing, actor, asked.row["import_id"])
        runner.notice()
    assert cancelled["state"] == "CANCELLED"
    row = await imported(importing, actor, INSPECTIONS)
    assert row["state"] == "DONE"
    assert 0 < row["rows_read"] + cancelled["rows_read"] <= 60
    assert len(await events(importing, actor, STREAM)) == 60


async def test_progress_is_told_as_events_that_end_with_its_end(importing: Services, actor: Actor) -> None:
    row = await imported(importing, actor, INSPECTIONS)
    async with running(importing):
        for _ in range(100):
            told = [event.payload for event in await events(importing, actor, open_data.STREAM)]
            if told and told[-1]["state"] == "DONE":
                break
            await asyncio.sleep(0.05)
    assert {each["importId"] for each in told} == {row["import_id"]}
    assert [each["version"] for each in told] == sorted({each["version"] for each in told})
    assert (told[-1]["version"], told[-1]["rowsRead"]) == (row["version"], 60)


async def test_rounds_come_by_the_clock_where_that_is_wanted(
    importing: Services, actor: Actor, simulator: Simulator
) -> None:
    await imported(importing, actor, INSPECTIONS)
    every = replace(importing, settings=importing.settings.model_copy(update={"open_data_interval": 0.2}))
    simulator.clock.advance(60)
    published(simulator, INSPECTIONS).change(changed=0, added=5, now=simulator.clock.now())
    await importing.directory.load()
    async with running(every), running(every):
        for _ in range(200):
            rows = await table(importing, actor, "open_data_imports", "state, accepted")
            if len(rows) >= 3 and all(state == "DONE" for state, _ in rows[:2]):
                break
            await asyncio.sleep(0.05)
    assert sorted(accepted for _, accepted in rows)[-2:] == [5, 60]
