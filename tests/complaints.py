"""Service requests as tests need them: published ones, and those of two citizens, written as the domain writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from lakefront.domain import service_requests
from lakefront.domain.service_requests import Record, RecordOutcome
from lakefront.domain.service_requests.relay import Relay
from lakefront.domain.services import Services
from lakefront.eventlog.lake.locks import Locks
from tests.actors import of_role

START: Final = datetime(2024, 1, 1, 12, tzinfo=UTC)
"""A Monday."""

STAFF, CITIZEN, NEIGHBOUR = of_role("staff"), of_role("citizen", subject="ada"), of_role("citizen", subject="bob")


def published(number: int, **more: Any) -> Record:
    """The published request of that number: reported on the day of that number, each in another place."""
    values: dict[str, Any] = {
        "provider": "nyc311",
        "city": "nyc",
        "unique_key": f"{number:03d}",
        "reported_at": START + timedelta(days=number),
        "external_status": ("Open", "Assigned", "Closed")[number % 3],
        "complaint_type": ("Rodent", "Noise")[number % 2],
        "borough": ("BROOKLYN", "QUEENS", "BRONX")[number % 3],
        "latitude": 40.7 + number / 1000,
        "longitude": -73.9,
    }
    return Record(**(values | more))


async def publish(services: Services, *records: Record) -> None:
    """Record them, each as a new one or as a change."""
    found = await service_requests.record(services, STAFF, records)
    assert found.count(RecordOutcome.CREATED, RecordOutcome.CHANGED) == len(records), found.verdicts


async def give(dsn: str, owner: str, *request_ids: str) -> None:
    """Let requests, and all that is known of them, be somebody's."""
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("service_requests", "service_request_changes"):
            await connection.execute(
                f"UPDATE lakefront.{table} SET owner = $1 WHERE request_id = ANY($2::text[])", owner, request_ids
            )
    finally:
        await connection.close()


async def tell_the_log(services: Services) -> None:
    """What the relay of a server does all the time."""
    locks = Locks(services.database.dsn)
    try:
        while await Relay(services, locks, poll=1.0).step():
            pass
    finally:
        await locks.close()
