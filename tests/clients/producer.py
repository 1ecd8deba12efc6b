"""A producer that sends each event until it is acknowledged, as every producer should."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from tests.domain.permits.events import event
from tests.process import ServerProcess


def numbered(permit_id: str, numbers: range) -> list[dict[str, Any]]:
    """Events `<permit>-<number>` of one permit, one second apart."""
    return [
        event(
            eventId=f"{permit_id}-{number}",
            permitId=permit_id,
            timestamp=f"2024-01-15T10:{number // 60:02}:{number % 60:02}Z",
            eventData={"newStatus": f"status {number}"},
        )
        for number in numbers
    ]


class Producer:
    """A client of the ingest door that keeps its connection."""

    def __init__(self, server: ServerProcess, http: httpx.AsyncClient) -> None:
        self._url = f"{server.url}/sf-permit-events"
        self._headers = {"Authorization": f"Bearer {server.token('ingest')}", "Content-Type": "application/json"}
        self._http = http

    async def send(self, events: list[dict[str, Any]]) -> None:
        """Send `events` until the server has acknowledged them, also while it is away."""
        async with asyncio.timeout(60):
            while not await self._acknowledged(orjson.dumps(events), len(events)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _acknowledged(self, body: bytes, number: int) -> bool:
        try:
            response = await self._http.post(self._url, content=body, headers=self._headers)
        except httpx.TransportError:
            return False
        if response.status_code == 503:
            return False
        answer = response.json()
        assert response.status_code == 200, answer
        assert answer["accepted"] + answer["duplicates"] == number, answer
        return True


@asynccontextmanager
async def producing(server: ServerProcess) -> AsyncIterator[Producer]:
    """A producer of `server`."""
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Producer(server, http)
