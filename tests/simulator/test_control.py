"""``/_control``: what another process can see of the city, and change."""

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems import build, nyc311
from tests.simulator.test_faults import submit


async def test_it_tells_what_is_played(city: Simulator, http: httpx.AsyncClient) -> None:
    told = (await http.get("/_control/")).json()
    assert told["seed"] == 1
    assert told["clock"] == {"now": "2026-05-28T14:00:00Z", "speed": 1.0}
    assert told["systems"].keys() == {
        *("nyc311", "open311", "la311", "geoclient", "mapbox", "socrata", "nyc_benefits", "sendgrid", "twilio"),
        *("slack", "webhook", "pagerduty", "openweather"),
    }
    assert (await http.get("/_control/endpoints")).json() == city.endpoints()


async def test_faults_are_set_added_and_taken_back(city: Simulator, http: httpx.AsyncClient) -> None:
    rule = {"kind": "error", "system": "nyc311", "status": 500}
    told = (await http.put("/_control/faults", json=[rule])).json()
    assert [each["kind"] for each in told] == ["error"]
    assert (await submit(http)).status_code == 500
    await http.post("/_control/faults", json=[{"kind": "latency", "seconds": 0.01}])
    assert len((await http.get("/_control/faults")).json()) == 2
    assert (await http.delete("/_control/faults")).json() == []
    assert (await submit(http)).status_code == 201


async def test_the_clock_is_moved_and_made_faster(city: Simulator, http: httpx.AsyncClient) -> None:
    told = (await http.patch("/_control/clock", json={"advance": 3600, "speed": 0})).json()
    assert told == {"now": "2026-05-28T15:00:00Z", "speed": 0.0}


async def test_tickets_are_listed_paced_and_decided(city: Simulator, http: httpx.AsyncClient) -> None:
    number = (await submit(http)).json()["trackingNumber"]
    await http.put("/_control/pace", json={"progress": 1, "close": 10})
    await http.patch("/_control/clock", json={"advance": 2})
    listed = (await http.get("/_control/tickets")).json()
    assert [(each["id"], each["status"], each["address"]) for each in listed] == [
        (number, "In Progress", "123 Broadway, New York, NY")
    ]
    assert len((await http.get("/_control/tickets?all=true")).json()) == 1 + nyc311.SEEDED
    assert (await http.get("/_control/tickets?system=la311")).json() == []
    decided = {"status": "Cancelled", "note": "A duplicate."}
    told = (await http.patch(f"/_control/tickets/nyc311/{number}", json=decided)).json()
    assert (told["status"], told["note"]) == ("Cancelled", "A duplicate.")
    assert (await http.patch("/_control/tickets/nyc311/none", json=decided)).status_code == 404


async def test_calls_are_counted_by_system(city: Simulator, http: httpx.AsyncClient) -> None:
    await submit(http)
    await http.get("/openweather/data/2.5/weather?lat=40.7&lon=-74&appid=wrong")
    told = (await http.get("/_control/calls?recent=1")).json()
    assert told["systems"]["nyc311"] == {
        "received": 1,
        "refused": 0,
        "done": 1,
        "peak_per_second": 1,
        "by_status": {"201": 1},
        "by_fault": {},
        "by_day": {"2026-05-28": 1},
    }
    assert told["systems"]["openweather"]["by_status"] == {"401": 1}
    (recent,) = told["recent"]
    assert (recent["system"], recent["path"], recent["done"]) == ("openweather", "/data/2.5/weather", False)
    assert "wrong" not in str(told), "keys and query strings are not told"
    assert (await http.get("/_control/calls?system=nyc311")).json()["systems"].keys() == {"nyc311"}


async def test_limits_are_changed(city: Simulator, http: httpx.AsyncClient) -> None:
    told = (await http.patch("/_control/limits", json={"nyc311": "1/hour"})).json()
    assert told["nyc311"] == "1/hour"
    assert [(await submit(http)).status_code for _ in range(2)] == [201, 429]


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("PUT", "/faults", '[{"kind": "flood"}]', "0.kind"),
        ("PUT", "/faults", "nothing", "Invalid JSON"),
        ("PATCH", "/clock", '{"advance": "soon"}', "advance"),
        ("PATCH", "/clock", '{"now": 1}', "now"),
        ("PATCH", "/clock", "{", "no JSON"),
        ("PATCH", "/limits", '{"nyc311": "10/week"}', "no limit"),
        ("PATCH", "/limits", '{"nyc": ""}', "No limit is called nyc"),
        ("PATCH", "/limits", "[]", "object of limits"),
        ("PUT", "/pace", '{"progress": 1}', "close"),
    ],
)
async def test_what_cannot_be_done_is_explained(
    http: httpx.AsyncClient, method: str, path: str, body: str, told: str
) -> None:
    answer = await http.request(method, f"/_control{path}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert told in answer.json()["message"]


async def test_a_web_page_cannot_steer_it(http: httpx.AsyncClient) -> None:
    answer = await http.put("/_control/faults", content='[{"kind": "error"}]', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_every_system_has_a_door_and_a_limit_that_can_be_set() -> None:
    city = Simulator()
    for name, system in build(city).items():
        assert system.doors(), name
        assert name in city.limits.told(), name
