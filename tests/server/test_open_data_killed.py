"""25,000 rows by real servers, killed in the middle: nothing lost, nothing twice (C5)."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.socrata import TOKEN
from tests.process import ServerProcess

DATASET = "43nn-pn8j"
ROWS = 25_000
SETTINGS = {"LAKEFRONT_LOOPBACK_INTEGRATIONS": "true", "LAKEFRONT_RATE_LIMITS": "off"}

SET_UP = """
mutation ($url: String!, $token: Secret!) {
  upsertCity(city: {slug: "nyc", name: "New York"}) { city { slug } }
  upsertIntegration(input: {
    provider: "socrata", city: "nyc", baseUrl: $url, credentials: [{name: "app_token", value: $token}]
  }) { created }
}"""
IMPORT = 'mutation { importOpenData(dataset: "43nn-pn8j") { import { importId } } }'
READ = "query ($id: ID!) { openDataImport(importId: $id) { state rowsRead accepted duplicates rejected errorCode } }"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=datetime(2026, 5, 28, 14, tzinfo=UTC), rows=ROWS) as city:
        yield city


async def asked(server: ServerProcess, document: str, **variables: Any) -> dict[str, Any]:
    """The answer's data."""
    headers = {"authorization": f"Bearer {server.token()}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=60) as http:
        answer = await http.post("/graphql", json={"query": document, "variables": variables})
    body: dict[str, Any] = answer.json()
    assert "errors" not in body, body
    data: dict[str, Any] = body["data"]
    return data


async def until(server: ServerProcess, import_id: str, rows: int, state: str = "RUNNING") -> dict[str, Any]:
    """The import once it has read so many rows and stands so."""
    deadline = time.monotonic() + 120
    while True:
        found: dict[str, Any] = (await asked(server, READ, id=import_id))["openDataImport"]
        if int(found["rowsRead"]) >= rows and found["state"] == state:
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def test_a_killed_server_is_no_loss(dsn: str, redis_url: str, simulator: Simulator) -> None:
    environment = SETTINGS | {"DATABASE_URL": dsn, "REDIS_URL": redis_url}
    async with ServerProcess(environment=environment) as server:
        await asked(server, SET_UP, url=f"{simulator.url}/socrata", token=TOKEN)
        import_id = (await asked(server, IMPORT))["importOpenData"]["import"]["importId"]
        await until(server, import_id, 10_000)
        server.kill()
        await server.wait()
        admin = await asyncpg.connect(dsn)
        try:
            # As if the minute were up after which another server takes it over.
            await admin.execute("UPDATE lakefront.open_data_imports SET leased_until = now()")
            await server.start()
            ended = await until(server, import_id, ROWS, "DONE")
            assert (ended["accepted"], ended["duplicates"], ended["rejected"]) == (str(ROWS), "0", "0")
            counted = "SELECT count(*), count(DISTINCT event_id) FROM lakefront.events WHERE stream = $1"
            [found] = await admin.fetch(counted, f"open-data-{DATASET}")
            assert tuple(found) == (ROWS, ROWS)
            for table in ("food_inspections", "open_data_rows"):
                assert await admin.fetchval(f"SELECT count(*) FROM lakefront.{table}") == ROWS
        finally:
            await admin.close()
