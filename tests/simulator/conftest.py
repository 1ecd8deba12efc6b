"""A simulated city a test, and a client that speaks with it over a real socket."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from lakefront.simulator import Simulator

START = datetime(2026, 5, 28, 14, 0, tzinfo=UTC)


@pytest.fixture
async def city() -> AsyncIterator[Simulator]:
    """The city of seed 1, on a Thursday in May."""
    async with Simulator(seed=1, start=START) as simulator:
        yield simulator


@pytest.fixture
async def http(city: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it that retries nothing."""
    async with httpx.AsyncClient(base_url=city.url, trust_env=False, timeout=30, verify=False) as client:
        yield client
