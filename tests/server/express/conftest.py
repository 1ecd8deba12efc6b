"""Servers whose requests may go the express way, and who did."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakefront.db.embedded import EmbeddedRedis
from lakefront.server.express import Express
from lakefront.server.ride import Ride
from tests.databases import NewDatabase
from tests.server.express.riding import server
from tests.server.wired import Wired


@pytest.fixture
def rides(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Ride]]:
    """The requests that went the express way."""
    taken: list[Ride] = []
    take = Express.take

    def noted(self: Express, connection: Any, body: bytes) -> Ride | None:
        ride = take(self, connection, body)
        if ride is not None:
            taken.append(ride)
        return ride

    monkeypatch.setattr(Express, "take", noted)
    yield taken
    assert all(ride.response_complete for ride in taken)


@pytest.fixture(scope="module", params=["limits", "no limits"])
async def served(
    new_database: NewDatabase,
    redis_server: EmbeddedRedis,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Wired]:
    """One server for all whose answers do not hang on those before: its limits are wide."""
    limits = {"rate_limits": "on" if request.param == "limits" else "off"}
    limits |= dict.fromkeys(("rate_limit_user", "rate_limit_anonymous"), "10000/minute")
    async with new_database() as dsn:
        folder = tmp_path_factory.mktemp("express")
        async with server(dsn, folder, redis_url=redis_server.url, **limits) as made:
            yield made


@pytest.fixture
async def plain(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    async with server(dsn, tmp_path, rate_limits="off", graphql_timeout=2.0) as made:
        yield made
