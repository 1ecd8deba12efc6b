"""One real server for all clients."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.clients.producer import Producer, producing
from tests.domain.permits.events import filed
from tests.process import ServerProcess

HOOD = "Clients"
"""The neighborhood of the permits in LISTED, and of no others."""

LISTED = [f"listed-{number:02}" for number in range(25)]
"""Permits to page through, in order."""


@pytest.fixture(scope="package")
async def server() -> AsyncIterator[ServerProcess]:
    """A server without quotas; each test keeps to permits of its own."""
    async with ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as running:
        yield running


@pytest.fixture
async def producer(server: ServerProcess) -> AsyncIterator[Producer]:
    async with producing(server) as made:
        yield made


@pytest.fixture
async def options(server: ServerProcess, producer: Producer) -> dict[str, str]:
    """What the scripts are told: where the server is, who they are, and a neighborhood whose permits it shows."""
    await producer.send([filed(permit, "2024-01-01T10:00:00Z", neighborhood=HOOD) for permit in LISTED])
    token = server.token()
    all_listed = {"data": {"permits": {"totalCount": len(LISTED)}}}
    query = {"query": f'{{ permits(filter: {{neighborhood: {{eq: "{HOOD}"}}}}) {{ totalCount }} }}'}
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {token}"}) as http:
        async with asyncio.timeout(30):
            while (await http.get(f"{server.url}/graphql", params=query)).json() != all_listed:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    return {
        "url": f"{server.url}/graphql",
        "wsUrl": server.ws_url,
        "token": token,
        "readerToken": server.token("reader"),
        "hood": HOOD,
    }
