"""Imports of several tenants beside each other: none keeps the others from their turn (C5)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain import open_data
from lakefront.domain.open_data import runner, runs
from lakefront.domain.services import Services
from lakefront.errors import InternalError, UpstreamError
from lakefront.eventlog.events import Appended, NewEvent
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.domain.calling import calling
from tests.domain.open_data.publishing import (
    INSPECTIONS,
    REQUESTS,
    at_least,
    counts,
    ended,
    running,
    table,
    until,
)


class Deaf:
    """The log, that takes nothing of one tenant's progress."""

    def __init__(self, services: Services, tenant: str) -> None:
        self._log, self._tenant = services.log, tenant

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, actor: Actor, stream: str, events: Sequence[NewEvent]) -> list[Appended]:
        """As the log does."""
        if (actor.tenant, stream) == (self._tenant, open_data.STREAM):
            raise InternalError
        return list(await self._log.append(actor, stream, events))


async def test_a_tenant_whose_progress_cannot_be_told_stops_no_other(
    importing: Services, actor: Actor, simulator: Simulator
) -> None:
    async with importing.provisioner.transaction("-") as transaction:
        await transaction.execute(
            "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
            "VALUES ('village', 'Village', 'a@example.com', 'active')"
        )
    await importing.directory.load()
    other = replace(actor, tenant="village")
    async with calling(importing, other, simulator, "socrata") as both:
        await open_data.ask_for(both, actor, INSPECTIONS)
        asked = await open_data.ask_for(both, other, INSPECTIONS)
        assert asked.row is not None
        deaf: Any = Deaf(both, actor.tenant)
        async with running(replace(both, log=deaf)):
            row = await until(both, other, asked.row["import_id"], ended)
    assert (row["state"], counts(row)) == ("DONE", (60, 60, 0, 0))


async def test_a_long_import_lets_another_begin(
    importing: Services, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "AT_ONCE", 1)
    long = await open_data.ask_for(importing, actor, INSPECTIONS)
    assert long.row is not None
    async with running(importing, page=2):
        await until(importing, actor, long.row["import_id"], at_least(2))
        other = await open_data.ask_for(importing, actor, REQUESTS)
        assert other.row is not None
        second = await until(importing, actor, other.row["import_id"], ended)
        first = await until(importing, actor, long.row["import_id"], ended)
    assert (first["state"], counts(first)[0], second["state"], counts(second)[0]) == ("DONE", 60, "DONE", 60)
    assert second["started_at"] < first["ended_at"]


async def test_failures_count_in_a_row(importing: Services, actor: Actor, simulator: Simulator) -> None:
    asked = await open_data.ask_for(importing, actor, INSPECTIONS)
    assert asked.row is not None
    async with importing.database.transaction(actor.tenant) as transaction:
        failed = runner.MOST_FAILURES - 1
        await transaction.execute("UPDATE lakefront.open_data_imports SET failures = $1", failed)
    async with running(importing, page=1):
        await until(importing, actor, asked.row["import_id"], at_least(2))
        simulator.faults.add(Fault(kind=Kind.ERROR, system="socrata", times=2))
        row = await until(importing, actor, asked.row["import_id"], ended)
    assert (row["state"], counts(row)) == ("DONE", (60, 60, 0, 0))


async def test_whatever_a_publisher_says_its_failure_is_written(importing: Services, actor: Actor) -> None:
    asked = await open_data.ask_for(importing, actor, INSPECTIONS)
    assert asked.row is not None
    run = await runs.claim(importing.database, actor.tenant, asked.row["import_id"], 60)
    assert run is not None
    await runs.fail(importing.database, run, UpstreamError("It says \0."), again_in=None)
    [(message,)] = await table(importing, actor, "open_data_imports", "error_message")
    assert message == "It says ?."
