"""Open311 GeoReport v2, as its page shows it: JSON and XML, tokens, errors."""

from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.open311 import KEY
from lakefront.simulator.tickets import Stage
from tests.simulator.conftest import START

BASE = "/open311/open311/v2"
HERE = {"jurisdiction_id": "bos.example"}
FORM = {
    "api_key": KEY,
    "jurisdiction_id": "bos.example",
    "service_code": "002",
    "lat": "42.34",
    "long": "-71.09",
    "address_string": "12 Main Street, Boston",
    "email": "somebody@example.org",
    "first_name": "john",
    "last_name": "smith",
    "phone": "111111111",
    "description": "A large sinkhole is destroying the street",
    "media_url": "http://example.org/2212426634.jpg",
}


async def post(http: httpx.AsyncClient, form: str = "json", **change: str) -> httpx.Response:
    return await http.post(f"{BASE}/requests.{form}", data={**FORM, **change})


async def get(http: httpx.AsyncClient, path: str, **query: str) -> Any:
    answer = await http.get(f"{BASE}/{path}", params={**HERE, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_services_are_listed(http: httpx.AsyncClient) -> None:
    told = await get(http, "services.json")
    assert {each["service_code"]: each["type"] for each in told}.items() >= {
        ("001", "realtime"),
        ("003", "batch"),
        ("008", "blackbox"),
    }
    assert told[0].keys() == {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"}
    assert told[0]["metadata"] is True
    answer = await http.get(f"{BASE}/services.xml", params=HERE)
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>')
    services = ET.fromstring(answer.content)
    assert services.tag == "services"
    assert [each.findtext("service_code") for each in services.iter("service")] == [
        each["service_code"] for each in told
    ]
    assert services.findtext("service/metadata") == "true"


async def test_a_service_tells_what_it_wants_to_know(http: httpx.AsyncClient) -> None:
    told = await get(http, "services/001.json")
    assert (told["service_code"], [each["code"] for each in told["attributes"]]) == ("001", ["SIZE", "LANE"])
    definition = ET.fromstring((await http.get(f"{BASE}/services/001.xml", params=HERE)).content)
    assert [each.text for each in definition.findall("attributes/attribute/values/value/key")] == ["S", "M", "L"]
    assert (await http.get(f"{BASE}/services/999.json", params=HERE)).status_code == 404


async def test_a_request_is_filed_and_told(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await post(http)
    assert answer.status_code == 201
    (told,) = answer.json()
    assert told.keys() == {"service_request_id", "service_notice", "account_id"}
    (found,) = await get(http, f"requests/{told['service_request_id']}.json")
    assert found == {
        "service_request_id": "293001",
        "status": "open",
        "status_notes": None,
        "service_name": "Missed Collection",
        "service_code": "002",
        "description": "A large sinkhole is destroying the street",
        "agency_responsible": "Department of Sanitation",
        "service_notice": None,
        "requested_datetime": "2026-05-28T14:00:00Z",
        "updated_datetime": "2026-05-28T14:00:00Z",
        "expected_datetime": "2026-05-29T14:00:00Z",
        "address": "12 Main Street, Boston",
        "address_id": None,
        "zipcode": "02202",
        "lat": 42.34,
        "long": -71.09,
        "media_url": "http://example.org/2212426634.jpg",
    }
    city.clock.advance(86_400 * 2)
    (found,) = await get(http, f"requests/{told['service_request_id']}.json")
    assert found["status"] == "closed"
    assert found["status_notes"]


async def test_xml_is_answered_in_xml(http: httpx.AsyncClient) -> None:
    answer = await post(http, "xml", description="1 < 2 & \x00\x0b ü")
    id_ = ET.fromstring(answer.content).findtext("request/service_request_id")
    found = ET.fromstring((await http.get(f"{BASE}/requests/{id_}.xml", params=HERE)).content)
    assert found.tag == "service_requests"
    assert found.findtext("request/description") == "1 < 2 &  ü"
    assert found.find("request/address_id") is not None


async def test_attributes_are_checked_and_kept(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await post(http, service_code="001")
    assert (answer.status_code, answer.json()[0]["code"]) == (400, "400")
    assert "attribute[SIZE]" in answer.json()[0]["description"]
    assert (await post(http, service_code="001", **{"attribute[SIZE]": "XXL"})).status_code == 400
    assert (
        await post(http, service_code="001", **{"attribute[SIZE]": "L", "attribute[LANE]": "left"})
    ).status_code == 201
    assert city.tickets.filed[0].sent["attributes"] == {"SIZE": ["L"], "LANE": ["left"]}


async def test_a_batch_service_gives_a_token_and_the_id_later(city: Simulator, http: httpx.AsyncClient) -> None:
    (told,) = (await post(http, service_code="003")).json()
    assert "service_request_id" not in told
    assert await get(http, f"tokens/{told['token']}.json") == [{"service_request_id": None, "token": told["token"]}]
    city.clock.advance(31)
    (found,) = await get(http, f"tokens/{told['token']}.json")
    assert found["service_request_id"] == city.tickets.filed[0].id
    assert (await http.get(f"{BASE}/tokens/none.json", params=HERE)).status_code == 404


async def test_a_blackbox_service_gives_neither(http: httpx.AsyncClient) -> None:
    (told,) = (await post(http, service_code="008")).json()
    assert told.keys() == {"service_notice", "account_id"}


async def test_requests_are_found_by_id_service_status_and_time(city: Simulator, http: httpx.AsyncClient) -> None:
    for code in ("002", "004", "005"):
        await post(http, service_code=code)
        city.clock.advance(3600)
    city.tickets.decide(city.tickets.filed[0], Stage.CLOSED, "Done.")
    city.limits.set({"open311": ""})

    async def found(**query: str) -> list[str]:
        return [each["service_code"] for each in await get(http, "requests.json", **query)]

    assert await found() == ["005", "004", "002"]
    assert await found(service_code="002,004") == ["004", "002"]
    assert await found(status="closed") == ["002"]
    assert await found(status="open,closed") == ["005", "004", "002"]
    assert await found(start_date="2026-05-28T14:30:00Z", end_date="2026-05-28T15:30:00Z") == ["004"]
    assert await found(start_date="2026-05-28T11:30:00-04:00") == ["005"]
    assert await found(service_request_id="293001,293003,1") == ["002", "005"]
    assert (await http.get(f"{BASE}/requests.json", params={"jurisdiction_id": "nyc.example"})).json() == []
    long = {**HERE, "start_date": "2026-01-01T00:00:00Z", "end_date": "2026-05-01T00:00:00Z"}
    assert (await http.get(f"{BASE}/requests.json", params=long)).status_code == 400
    assert (await http.get(f"{BASE}/requests.json", params={**HERE, "start_date": "May"})).status_code == 400


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"api_key": ""}, 403, "API key"),
        ({"api_key": "wrong"}, 403, "API key"),
        ({"jurisdiction_id": ""}, 400, "jurisdiction_id was not provided"),
        ({"jurisdiction_id": "sf.example"}, 404, "jurisdiction_id provided was not found"),
        ({"service_code": ""}, 400, "service_code was not provided"),
        ({"service_code": "999"}, 404, "service_code was not found"),
        ({"lat": "", "long": "", "address_string": ""}, 400, "lat and long"),
        ({"lat": "north"}, 400, "lat and long"),
        ({"description": "x" * 4001}, 400, "4,000"),
    ],
)
async def test_errors_are_told_in_both_formats(
    http: httpx.AsyncClient, change: dict[str, str], status: int, told: str
) -> None:
    answer = await post(http, **change)
    assert answer.status_code == status
    (error,) = answer.json()
    assert error["code"] == str(status)
    assert told in error["description"]
    answer = await post(http, "xml", **change)
    assert ET.fromstring(answer.content).findtext("error/code") == str(status)


async def test_a_location_by_address_alone_is_enough(city: Simulator, http: httpx.AsyncClient) -> None:
    form = {name: value for name, value in FORM.items() if name not in {"lat", "long"}}
    assert (await http.post(f"{BASE}/requests.json", data=form)).status_code == 201
    assert city.tickets.filed[0].created >= START
    assert city.tickets.filed[0].latitude is None


async def test_the_endpoint_can_be_discovered(http: httpx.AsyncClient) -> None:
    told = (await http.get("/open311/open311/discovery.json")).json()
    assert told["endpoints"][0]["formats"] == ["text/xml", "application/json"]
    assert (await http.get("/open311/open311/discovery.xml")).status_code == 200
    assert (await http.get("/open311/open311/discovery.yaml")).status_code == 404
