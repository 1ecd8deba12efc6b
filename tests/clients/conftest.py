"""One real server for all clients."""

from collections.abc import AsyncIterator

import pytest

from tests.clients.producer import Producer, producing
from tests.process import ServerProcess


@pytest.fixture(scope="package")
async def server() -> AsyncIterator[ServerProcess]:
    """A server without quotas; each test keeps to permits of its own."""
    async with ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as running:
        yield running


@pytest.fixture
async def producer(server: ServerProcess) -> AsyncIterator[Producer]:
    async with producing(server) as made:
        yield made
