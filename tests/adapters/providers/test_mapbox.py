"""Mapbox's two forms, batches and tiles, at the simulator and word by word."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.dto import Point
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.geocoding import Precision
from lakefront.adapters.providers.mapbox import Mapbox
from lakefront.errors import RateLimited, UpstreamError, ValidationError
from lakefront.simulator import Simulator
from tests.adapters.outside import Outside, told
from tests.adapters.probe import QUICK

NOTHING: dict[str, Any] = {"type": "FeatureCollection", "features": []}


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


def _adapter(url: str, calls: Calls, version: str = "v6", quota: int | None = None) -> Mapbox:
    return Mapbox(Endpoint("city", "mapbox", "", url, version, {"token": "pk.x"}, quota, 1), calls)


@pytest.mark.parametrize("version", ["v6", "v5"])
async def test_places_and_addresses_at_the_simulator(calls: Calls, version: str) -> None:
    async with Simulator(seed=1) as city:
        door = next(d for d in city.endpoints() if (d["provider"], d["api_version"]) == ("mapbox", version))
        adapter = Mapbox(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)
        place = await adapter.geocode("120 Broadway, Manhattan")
        assert place is not None
        assert place.precision is Precision.ADDRESS
        assert (place.house_number, place.street, place.city, place.region) == ("120", "Broadway", "New York", "NY")
        assert (place.postal_code, place.country_code, place.source) == ("10001", "US", "mapbox")
        assert await adapter.reverse(place.point) == place
        assert await adapter.geocode("nowhere at all") is None
        assert await adapter.batch(["nowhere", "120 Broadway; Manhattan", "nowhere"]) == [None, place, None]
        assert await adapter.batch([]) == []


async def test_what_is_asked_today(calls: Calls) -> None:
    async with Outside(lambda _: told(NOTHING)) as outside:
        adapter = _adapter(outside.url, calls)
        await adapter.geocode("120 Broadway; ../é?")
        await adapter.reverse(Point(latitude=40.5, longitude=-74))
        outside.then.append(told({"batch": [NOTHING, NOTHING]}))
        await adapter.batch(["a", " b "])
    asked, reverse, batch = outside.got
    assert asked.target == (
        "/search/geocode/v6/forward?q=120%20Broadway%2C%20..%2F%C3%A9%3F&autocomplete=false&limit=1&access_token=pk.x"
    )
    assert reverse.target == "/search/geocode/v6/reverse?longitude=-74.0&latitude=40.5&limit=1&access_token=pk.x"
    assert (batch.method, batch.target) == ("POST", "/search/geocode/v6/batch?access_token=pk.x")
    assert orjson.loads(batch.body) == [{"q": word, "limit": 1, "autocomplete": False} for word in ("a", "b")]


async def test_what_was_asked_before(calls: Calls) -> None:
    async with Outside(lambda _: told(NOTHING)) as outside:
        await _adapter(outside.url, calls, "v5").geocode("120 Broadway/../é?")
        await _adapter(outside.url, calls, "v5").reverse(Point(latitude=40.5, longitude=-74))
    assert [got.target for got in outside.got] == [
        "/geocoding/v5/mapbox.places/120%20Broadway%2F..%2F%C3%A9%3F.json?limit=1&access_token=pk.x",
        "/geocoding/v5/mapbox.places/-74.000000,40.500000.json?limit=1&access_token=pk.x",
    ]


@pytest.mark.parametrize(
    ("kind", "accuracy", "precision"),
    [
        ("address", "rooftop", Precision.ADDRESS),
        ("secondary_address", None, Precision.ADDRESS),
        ("address", "intersection", Precision.INTERSECTION),
        ("street", None, Precision.STREET),
        ("postcode", None, Precision.AREA),
        ("place", None, Precision.AREA),
    ],
)
async def test_how_closely_a_place_is_known(
    calls: Calls, kind: str, accuracy: str | None, precision: Precision
) -> None:
    properties = {"full_address": "x", "feature_type": kind, "coordinates": {"latitude": 1, "longitude": 2}}
    properties["coordinates"] |= {"accuracy": accuracy} if accuracy else {}  # type: ignore[operator]
    async with Outside(lambda _: told({"features": [{"properties": properties}]})) as outside:
        place = await _adapter(outside.url, calls).geocode("x")
    assert place is not None
    assert place.precision is precision


async def test_a_batch_that_lacks_an_answer_is_none(calls: Calls) -> None:
    async with Outside(lambda _: told({"batch": [NOTHING]})) as outside:
        with pytest.raises(UpstreamError, match="1 of 2 addresses"):
            await _adapter(outside.url, calls).batch(["a", "b"])


async def test_every_address_of_a_batch_counts(calls: Calls) -> None:
    async with Outside(lambda got: told({"batch": [NOTHING] * len(orjson.loads(got.body))})) as outside:
        adapter = _adapter(outside.url, calls, quota=10)
        await adapter.batch(["a"] * 6)
        with pytest.raises(RateLimited):
            await adapter.batch(["a"] * 5)
        await adapter.batch(["a"] * 4)
        with pytest.raises(ValidationError, match="1000"):
            await adapter.batch(["a"] * 1001)
    assert len(outside.got) == 2


async def test_tiles(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        door = next(door for door in city.endpoints() if door["provider"] == "mapbox")
        adapter = Mapbox(Endpoint(tenant="city", quota_daily=1, version=1, **door), calls)
        await adapter.geocode("120 Broadway, Manhattan")  # counts apart
        tile = await adapter.tile("mapbox/streets-v12", 3, 1, 2)
        assert tile is not None
        assert (tile.media_type, tile.fresh_seconds) == ("image/png", 43_200)
        assert tile.body.startswith(b"\x89PNG")
        with pytest.raises(RateLimited):
            await adapter.tile("mapbox/streets-v12", 3, 1, 2)
        again = Mapbox(Endpoint(tenant="city", quota_daily=None, version=2, **door), calls)
        assert await again.tile("mapbox/streets-v12", 3, 1, 2, etag=tile.etag or "") is None
        dense = await again.tile("mapbox/streets-v12", 3, 1, 2, dense=True)
        assert dense is not None
        assert dense.etag != tile.etag


@pytest.mark.parametrize(
    ("style", "zoom", "column", "row"),
    [
        ("mapbox/streets", -1, 0, 0),
        ("mapbox/streets", 23, 0, 0),
        ("mapbox/streets", 3, 8, 0),
        ("mapbox/streets", 3, 0, 8),
        ("mapbox/streets", 3, -1, 0),
        ("mapbox/streets", 3, 0, -1),
        ("../../secrets", 3, 0, 0),
        ("mapbox/a?b=c", 3, 0, 0),
        ("mapbox", 3, 0, 0),
    ],
)
async def test_tiles_that_cannot_be(calls: Calls, style: str, zoom: int, column: int, row: int) -> None:
    with pytest.raises(ValidationError):
        await _adapter("http://127.0.0.1:9", calls).tile(style, zoom, column, row)
