"""When a key was last used: written beside the requests, at most once a minute (L14)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from lakefront.actor import CITY, system_actor
from lakefront.db.database import Database
from lakefront.domain import api_keys
from lakefront.domain.services import Services
from lakefront.server.auth.last_used import INTERVAL, LastUsed


async def last_used_at(services: Services, key_id: UUID) -> datetime | None:
    [found] = [key for key in await api_keys.keys(services, system_actor()) if key.key_id == key_id]
    return found.last_used_at


async def test_a_use_is_written_once_a_minute(services: Services) -> None:
    made = await api_keys.create(services, system_actor(), "test", ["reader"])
    uses = LastUsed(services.database)
    for _ in range(100):
        uses.note(CITY, made.key.key_id)
    await uses.close()
    first = await last_used_at(services, made.key.key_id)
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(seconds=30)
    uses.note(CITY, made.key.key_id)
    await uses.close()
    assert await last_used_at(services, made.key.key_id) == first
    uses._noted_at[made.key.key_id] -= INTERVAL  # a minute later
    uses.note(CITY, made.key.key_id)
    await uses.close()
    assert await last_used_at(services, made.key.key_id) != first


async def test_an_outage_loses_a_time_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    away = Database("postgresql://localhost:1/nothing")
    await away.open()
    uses = LastUsed(away)
    caplog.set_level("INFO", "lakefront.server.auth")
    uses.note(CITY, UUID(int=1))
    await uses.close()
    assert "not written" in caplog.text
    await away.close()
