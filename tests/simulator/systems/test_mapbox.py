"""Mapbox: geocoding of both versions, and tiles."""

import struct
import zlib
from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.mapbox import TOKEN

V6 = "/mapbox/search/geocode/v6"
ADMITTED = {"access_token": TOKEN}


async def get(http: httpx.AsyncClient, path: str, **query: str | float) -> httpx.Response:
    return await http.get(path, params={**ADMITTED, **query})


async def test_an_address_is_found_and_found_back(http: httpx.AsyncClient) -> None:
    told = (await get(http, f"{V6}/forward", q="12 Main Street, Boston", limit=1)).json()
    assert told["type"] == "FeatureCollection"
    (feature,) = told["features"]
    properties = feature["properties"]
    assert properties["full_address"] == "12 Main Street, Boston, MA 02202, United States"
    assert (properties["feature_type"], properties["match_code"]["confidence"]) == ("address", "exact")
    assert properties["context"]["region"]["region_code"] == "MA"
    longitude, latitude = feature["geometry"]["coordinates"]
    assert properties["coordinates"]["longitude"] == longitude
    back = (await get(http, f"{V6}/reverse", longitude=longitude, latitude=latitude)).json()
    assert back["features"] == [feature]
    assert (await get(http, f"{V6}/reverse", longitude=0, latitude=0)).json()["features"] == []


async def test_an_address_in_its_parts_is_the_same(http: httpx.AsyncClient) -> None:
    whole = (await get(http, f"{V6}/forward", q="12 Main Street, Boston")).json()
    parts = (await get(http, f"{V6}/forward", address_number="12", street="Main Street", place="Boston")).json()
    assert whole == parts


async def test_a_batch_is_answered_in_its_order(http: httpx.AsyncClient) -> None:
    queries: list[dict[str, Any]] = [
        {"q": "12 Nowhere"},
        {"q": "12 Main Street, Bronx", "limit": 1},
        {"types": ["address"], "longitude": -118.29, "latitude": 34.03},
    ]
    told = (await http.post(f"{V6}/batch", json=queries, params=ADMITTED)).json()["batch"]
    assert [len(each["features"]) for each in told] == [0, 1, 1]
    assert told[2]["features"][0]["properties"]["context"]["place"]["name"] == "Los Angeles"
    assert (await http.post(f"{V6}/batch", json={}, params=ADMITTED)).status_code == 422


async def test_each_query_of_a_batch_counts(city: Simulator, http: httpx.AsyncClient) -> None:
    city.limits.set({"mapbox": "10/minute"})
    codes = [
        (await http.post(f"{V6}/batch", json=[{"q": "1 A"}] * number, params=ADMITTED)).status_code
        for number in (6, 6, 4, 1)
    ]
    assert codes == [200, 429, 429, 200]


async def test_a_batch_is_bounded(http: httpx.AsyncClient) -> None:
    assert (await http.post(f"{V6}/batch", json=[{"q": "1 A"}] * 1001, params=ADMITTED)).status_code == 422


@pytest.mark.parametrize(("query", "status"), [("", 404), ("a;b", 422), ("x " * 21, 422), ("x" * 257, 422)])
async def test_queries_have_limits(http: httpx.AsyncClient, query: str, status: int) -> None:
    answer = await get(http, f"{V6}/forward", q=query)
    assert answer.status_code == status
    assert answer.json()["message"]


async def test_the_version_before(http: httpx.AsyncClient) -> None:
    base = "/mapbox/geocoding/v5"
    told = (await get(http, f"{base}/mapbox.places/12 Main Street, Boston.json")).json()
    (feature,) = told["features"]
    assert feature["place_name"] == "12 Main Street, Boston, MA 02202, United States"
    assert (feature["address"], feature["text"]) == ("12", "Main Street")
    longitude, latitude = feature["center"]
    back = (await get(http, f"{base}/mapbox.places/{longitude},{latitude}.json")).json()
    assert back["features"] == [feature]
    several = (await get(http, f"{base}/mapbox.places-permanent/12 Main Street, Boston;5 Nowhere.json")).json()
    assert [len(each["features"]) for each in several] == [1, 0]
    assert (await get(http, f"{base}/mapbox.places/a;b.json")).status_code == 422


async def test_a_token_is_needed(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{V6}/forward?q=1+A")
    assert (answer.status_code, answer.json()) == (401, {"message": "Not Authorized - No Token"})
    answer = await http.get(f"{V6}/forward?q=1+A&access_token=wrong")
    assert (answer.status_code, answer.json()) == (401, {"message": "Not Authorized - Invalid Token"})


async def test_tiles_are_pictures_that_caches_know(http: httpx.AsyncClient) -> None:
    path = "/mapbox/v4/mapbox.satellite/12/1205/1539.png"
    answer = await get(http, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", answer.content[16:24]) == (256, 256)
    data = answer.content.index(b"IDAT")
    length = struct.unpack(">I", answer.content[data - 4 : data])[0]
    assert len(zlib.decompress(answer.content[data + 4 : data + 4 + length])) == 33 * 256
    assert "max-age" in answer.headers["cache-control"]
    tag = {"If-None-Match": answer.headers["etag"]}
    again = await http.get(path, params=ADMITTED, headers=tag)
    assert (again.status_code, again.content) == (304, b"")


async def test_tiles_of_styles_and_vectors(http: httpx.AsyncClient) -> None:
    answer = await get(http, "/mapbox/styles/v1/mapbox/streets-v12/tiles/512/3/1/2@2x")
    assert struct.unpack(">II", answer.content[16:24]) == (512, 512)
    answer = await get(http, "/mapbox/v4/mapbox.mapbox-streets-v8/3/1/2.mvt")
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    for path in ("3/8/0.png", "3/0/8.png", "23/0/0.png", "3/0/x.png", "3/0/0.exe"):
        assert (await get(http, f"/mapbox/v4/mapbox.satellite/{path}")).status_code == 404, path
