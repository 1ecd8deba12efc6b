"""Tiles of maps by REST: they come with what a cache wants to know, and without the token (C8)."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lakefront.actor import system_actor
from lakefront.domain import integrations
from lakefront.domain.integrations import IntegrationInput
from lakefront.server.rest import maps
from lakefront.settings import Settings
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from lakefront.simulator.systems.mapbox import TOKEN
from tests.server.wired import Wired, wired

TILE = "/maps/tiles/mapbox/streets-v12/12/1205/1539"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as running:
        yield running


@pytest.fixture
async def served(dsn: str, tmp_path: Path, simulator: Simulator) -> AsyncIterator[Wired]:
    """A server whose maps are the simulator's."""
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn, loopback_integrations=True)) as made:
        services = made.parts.doors.services
        door = next(each for each in simulator.endpoints() if each["provider"] == "mapbox")
        await integrations.upsert(services, system_actor(), IntegrationInput(**door))
        services.endpoints.changed()
        yield made


async def get(served: Wired, path: str, role: str = "citizen", **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await served.client.get(path, headers={**served.bearer(role), **sent})
    assert TOKEN not in f"{response.headers}{response.content!r}"
    return response


async def test_a_tile_is_a_picture_that_may_be_kept(served: Wired, simulator: Simulator) -> None:
    plain, dense = await get(served, TILE), await get(served, f"{TILE}@2x")
    assert (plain.status_code, dense.status_code) == (200, 200)
    assert plain.headers["content-type"] in maps.PICTURES
    assert plain.content[:4] == b"\x89PNG"
    assert plain.content != dense.content
    assert plain.headers["cache-control"].startswith("private, max-age=")
    same = await get(served, TILE, if_none_match=plain.headers["etag"])
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", plain.headers["etag"])
    assert simulator.journal.tallies["mapbox"].received == 3


async def test_tiles_have_a_limit_of_their_own(served: Wired) -> None:
    answers = [await get(served, TILE) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert '"mapTile"' in answers[-1].headers["ratelimit"]


async def test_what_is_no_tile_is_refused(served: Wired, simulator: Simulator) -> None:
    for path in ("x/x/x", "23/0/0", "1/2/0", "1/0/2", "-1/0/0", "1/0/0@3x", "1/0/9999999999"):
        answer = await get(served, f"/maps/tiles/mapbox/streets-v12/{path}")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_error"), path
    assert simulator.journal.tallies["mapbox"].received == 0


async def test_who_may_not_and_what_is_not_there(served: Wired, simulator: Simulator) -> None:
    assert (await served.client.get(TILE)).status_code == 401
    assert (await get(served, TILE, "monitor")).status_code == 403
    simulator.faults.add(Fault(kind=Kind.CONTENT_TYPE, system="mapbox"))
    broken = await get(served, TILE)
    assert (broken.status_code, broken.json()["error_code"]) == (502, "upstream_error")
