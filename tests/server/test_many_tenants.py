"""A server of several tenants: what one onboarded a moment ago sends in is projected, sealed, shown and verified."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from lakefront.domain.permits import STREAM
from lakefront.server.keys import mint
from lakefront.settings import Settings
from tests.domain.permits.events import filed
from tests.server.forked import lakefront
from tests.server.test_cli import fails_plainly
from tests.server.wired import Wired, wired
from tests.tenants import onboard

OBJECTS = f'{{ lakeObjects(stream: "{STREAM}") {{ nodes {{ key eventCount downloadUrl }} }} }}'
FILED = "{ permits(first: 100) { totalCount nodes { permitId description } } }"


@pytest.fixture
async def served(tmp_path: Path, dsn: str, redis_url: str) -> AsyncIterator[Wired]:
    """A server that seals at once what came in."""
    settings = Settings(
        port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, seal_interval=0.1, rate_limits="off"
    )
    async with wired(settings) as made:
        yield made


class Client:
    """Asks as an administrator of one tenant."""

    def __init__(self, served: Wired, tenant: str) -> None:
        self._served = served
        self.tenant = tenant
        token = mint(served.parts.key, served.parts.settings, "test", "admin", tenant, 3600)
        self.bearer = {"Authorization": f"Bearer {token}"}

    async def ask(self, query: str) -> Any:
        response = await self._served.client.post("/graphql", json={"query": query}, headers=self.bearer)
        return response.json()["data"]

    async def ingest(self, count: int) -> None:
        """Events with the same ids as other tenants', told apart by what they say."""
        told = {"description": self.tenant}
        events = [
            filed(f"P{number}", "2024-01-15T10:30:00Z", **told) | {"eventId": f"e{number}"} for number in range(count)
        ]
        response = await self._served.ingest(events, authorization=self.bearer["Authorization"])
        assert response.status_code == 200, response.text

    async def sealed(self, count: int) -> list[Any]:
        async with asyncio.timeout(20):
            while True:
                nodes: list[Any] = (await self.ask(OBJECTS))["lakeObjects"]["nodes"]
                if sum(node["eventCount"] for node in nodes) >= count:
                    return nodes
                await asyncio.sleep(0.05)


async def test_each_tenant_has_its_own_lake(served: Wired) -> None:
    await onboard(served.parts.doors.services.provisioner, "acme", "other")
    clients = [Client(served, tenant) for tenant in ("acme", "other", "city")]
    for number, client in enumerate(clients, 1):
        await client.ingest(10 * number)
    for number, client in enumerate(clients, 1):
        nodes = await client.sealed(10 * number)
        assert sum(node["eventCount"] for node in nodes) == 10 * number
        folder = f"{STREAM}/year=" if client.tenant == "city" else f"{client.tenant}/{STREAM}/year="
        assert all(node["key"].startswith(folder) for node in nodes)
        for node in nodes:
            for other in clients:
                response = await served.client.get(node["downloadUrl"], headers=other.bearer)
                assert response.status_code == (200 if other is client else 404)
        permits = (await client.ask(FILED))["permits"]
        assert permits["totalCount"] == 10 * number
        assert {node["description"] for node in permits["nodes"]} == {client.tenant}
    metrics = [await served.client.get("/metrics", headers=client.bearer) for client in clients]
    assert [answer.status_code for answer in metrics] == [403, 403, 200], "a tenant reads no server's numbers"
    assert f'lakefront_backlog_events{{consumer="lake",stream="{STREAM}"}} 0.0' in metrics[2].text

    for number, client in enumerate(clients, 1):
        done = await asyncio.to_thread(command, served, "rebuild", "permits", "--tenant", client.tenant)
        assert f"from {10 * number} events" in done.stdout, done.stderr
        done = await asyncio.to_thread(command, served, "verify", "lake", "--tenant", client.tenant)
        assert "The lake is whole" in done.stdout, done.stderr
    for order in (("rebuild", "permits"), ("verify", "lake")):
        fails_plainly(await asyncio.to_thread(command, served, *order, "--tenant", "nobody"), "no tenant 'nobody'")
    await served.parts.doors.services.objects.put(f"acme/{STREAM}/year=2024/stray", b"x")
    for tenant, code in (("acme", 1), ("other", 0), ("city", 0)):
        done = await asyncio.to_thread(command, served, "verify", "lake", "--tenant", tenant)
        assert done.returncode == code, done.stderr


def command(served: Wired, *words: str) -> CompletedProcess[str]:
    settings = served.parts.settings
    assert settings.database_url is not None
    return lakefront(*words, "--data", settings.data, DATABASE_URL=settings.database_url)
