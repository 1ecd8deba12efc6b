"""Many requests with an idempotency key at once: none waits for a connection that another one holds (X2)."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lakefront.domain.tenants import allowances
from lakefront.server.keys import mint
from lakefront.settings import Settings
from tests.domain.tenants.subscribed import subscribe
from tests.server.wired import Wired, wired

SEND = """mutation ($id: ID!, $key: String!) { ingestPermitEvents(idempotencyKey: $key, events: [{eventId: $id,
  permitId: "p", eventType: STATUS_CHANGE, timestamp: "2024-01-15T10:30:00Z",
  eventData: {newStatus: "s", changedBy: "me"}}]) { accepted duplicates } }"""


@pytest.fixture
async def door(dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Wired]:
    settings = Settings(port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, rate_limit_user="1000/minute")
    async with wired(settings) as made:
        yield made


async def test_they_do_not_hold_each_other_up(door: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "FRESH", 0.0)  # as when it is a second since the last reading, for each of them
    services = door.parts.doors.services
    await subscribe(services.provisioner, "acme")
    token = mint(door.parts.key, door.parts.settings, "ada", "admin", "acme", 3600)
    headers = {"Authorization": f"Bearer {token}"}

    async def send(number: int) -> httpx.Response:
        variables = {"id": f"e{number % 17}", "key": f"k{number % 19}-{number % 17}"}
        return await door.client.post("/graphql", json={"query": SEND, "variables": variables}, headers=headers)

    assert (await send(0)).json() == {"data": {"ingestPermitEvents": {"accepted": 1, "duplicates": 0}}}
    for burst in range(3):
        began = time.monotonic()
        answers = await asyncio.gather(
            *(send(number) for number in range(burst * 100, burst * 100 + 2 * door.parts.settings.pool_size))
        )
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert all("errors" not in answer.json() for answer in answers)
        assert time.monotonic() - began < 5
