"""Every fault, as a client meets it, and what of it the city did."""

import asyncio
import time
from collections import Counter
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import orjson
import pytest
import uvloop

from lakefront.errors import ValidationError
from lakefront.simulator import Fault, Kind, Simulator
from lakefront.simulator.faults import Faults, parse
from lakefront.simulator.systems.nyc311 import KEY
from tests.simulator.conftest import START

PATH = "/nyc311/311/v1/service-requests"
BODY = {"incidentAddress": "123 Broadway, New York, NY", "descriptor": "Pothole on the road", "agencyCode": "DOT"}


async def submit(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post(PATH, json=BODY, headers={"X-Api-Key": KEY})


def strikes(city: Simulator, kind: Kind, **more: object) -> None:
    city.faults.set([Fault(kind=kind, system="nyc311", **more)])


async def test_latency_delays_and_does_all(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.LATENCY, seconds=0.3)
    before = time.monotonic()
    assert (await submit(http)).status_code == 201
    assert time.monotonic() - before >= 0.3
    assert len(city.tickets.filed) == 1


async def test_clock_skew_shows_in_the_date_and_in_what_is_written(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.CLOCK_SKEW, seconds=-7200)
    answer = await submit(http)
    assert (START - parsedate_to_datetime(answer.headers["date"])).total_seconds() == pytest.approx(7200, abs=10)
    assert (START - city.tickets.filed[0].created).total_seconds() == pytest.approx(7200, abs=10)
    city.faults.set([])
    assert abs((START - parsedate_to_datetime((await submit(http)).headers["date"])).total_seconds()) < 10
    assert all(abs((START - call.at).total_seconds()) < 10 for call in city.journal.calls), "journals are right"


@pytest.mark.parametrize(("kind", "filed"), [(Kind.RESET_BEFORE, 0), (Kind.RESET_AFTER, 1), (Kind.RESET_DURING, 1)])
async def test_a_reset_strikes_before_or_after_the_effect(
    city: Simulator, http: httpx.AsyncClient, kind: Kind, filed: int
) -> None:
    strikes(city, kind)
    with pytest.raises(httpx.ReadError):
        await submit(http)
    assert len(city.tickets.filed) == filed
    call = city.journal.calls[-1]
    assert (call.fault, call.status, call.done) == (kind, None, bool(filed))


async def test_a_reset_during_the_answer_leaves_half_of_it(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.RESET_DURING)
    received = bytearray()

    async def read() -> None:
        async with http.stream("POST", PATH, json=BODY, headers={"X-Api-Key": KEY}) as answer:
            async for part in answer.aiter_raw():
                received.extend(part)

    with pytest.raises(httpx.ReadError):
        await read()
    assert received.startswith(b'{"trackingNumber"')


async def test_a_lost_answer_is_an_effect_and_silence(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.LOST)
    with pytest.raises(httpx.ReadTimeout):
        await http.post(PATH, json=BODY, headers={"X-Api-Key": KEY}, timeout=0.3)
    assert len(city.tickets.filed) == 1


async def test_a_lost_answer_ends_after_its_seconds(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.LOST, seconds=0.2)
    with pytest.raises(httpx.ReadError):
        await submit(http)
    assert len(city.tickets.filed) == 1


@pytest.mark.parametrize(("kind", "filed"), [(Kind.ERROR, 0), (Kind.ERROR_AFTER, 1)])
async def test_an_error_comes_with_or_without_the_effect(
    city: Simulator, http: httpx.AsyncClient, kind: Kind, filed: int
) -> None:
    strikes(city, kind, status=502)
    answer = await submit(http)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert len(city.tickets.filed) == filed


async def test_throttling_tells_when_to_come_again(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.THROTTLE, seconds=7)
    answer = await submit(http)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert not city.tickets.filed
    assert city.journal.tallies["nyc311"].refused == 0, "no limit was reached"


async def test_a_malformed_body_cannot_be_parsed(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.MALFORMED)
    answer = await submit(http)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json; charset=utf-8")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)
    assert len(city.tickets.filed) == 1


async def test_a_slow_body_trickles_in(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.SLOW_BODY, seconds=0.5)
    before, parts = time.monotonic(), 0
    async with http.stream("POST", PATH, json=BODY, headers={"X-Api-Key": KEY}) as answer:
        body = b""
        async for part in answer.aiter_raw():
            body, parts = body + part, parts + 1
    assert time.monotonic() - before >= 0.4
    assert parts >= 3
    assert orjson.loads(body)["status"] == "Open"


async def test_a_wrong_content_type_is_a_page_with_200(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.CONTENT_TYPE)
    answer = await submit(http)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert len(city.tickets.filed) == 1


async def test_faults_strike_their_system_and_route_alone(city: Simulator, http: httpx.AsyncClient) -> None:
    city.faults.set([Fault(kind=Kind.ERROR, system="nyc311", route="GET /311/*")])
    number = (await submit(http)).json()["trackingNumber"]
    assert (await http.get(f"{PATH}/{number}", headers={"X-Api-Key": KEY})).status_code == 503
    assert (await http.get("/openweather/data/2.5/weather")).status_code == 401
    assert (await http.get("/_control/")).status_code == 200


async def test_a_burst_strikes_several_in_a_row_and_times_ends_it(city: Simulator, http: httpx.AsyncClient) -> None:
    strikes(city, Kind.ERROR, burst=3, times=3)
    assert [(await submit(http)).status_code for _ in range(4)] == [503, 503, 503, 201]


def test_resets_are_resets_on_the_servers_own_loop_as_well() -> None:
    async def run() -> None:
        async with Simulator() as city, httpx.AsyncClient(base_url=city.url, trust_env=False, verify=False) as http:
            for kind in (Kind.RESET_BEFORE, Kind.RESET_AFTER, Kind.RESET_DURING):
                strikes(city, kind)
                with pytest.raises(httpx.ReadError):
                    await submit(http)

    uvloop.run(run())


async def test_under_all_faults_the_journal_tells_what_was_done(city: Simulator, http: httpx.AsyncClient) -> None:
    city.limits.set({"nyc311": ""})
    city.faults.set([Fault(kind=Kind.ANY, probability=0.5, seconds=0.02)])
    heard = Counter[str]()

    async def try_once() -> None:
        try:
            answer = await submit(http)
            heard["filed" if answer.status_code == 201 and answer.content.endswith(b"}") else "refused"] += 1
        except httpx.HTTPError:
            heard["nothing"] += 1

    await asyncio.gather(*(try_once() for _ in range(150)))
    tally = city.journal.tallies["nyc311"]
    assert tally.received == 150 == heard.total()
    assert tally.done == len(city.tickets.filed) >= heard["filed"]
    assert heard["nothing"] == tally.by_status["none"] > 0
    assert tally.refused == 0


def draws(seed: int) -> list[Kind | None]:
    faults = Faults([Fault(kind=Kind.ANY, probability=0.3)], seed=seed)
    drawn = [faults.draw("nyc311", "POST", "/x") for _ in range(1000)]
    return [each.strike.kind if each.strike else Kind.LATENCY if each.latency else None for each in drawn]


def test_the_same_seed_draws_the_same_faults() -> None:
    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_any_is_all_kinds_as_often_as_it_says() -> None:
    counted = Counter(draws(3))
    assert 600 < counted[None] < 780, "clock skew counts among these"
    assert counted.keys() >= {*Kind} - {Kind.ANY, Kind.CLOCK_SKEW}


def test_two_faults_may_strike_together_where_one_leaves_the_answer() -> None:
    faults = Faults(parse("latency=1:2,clock-skew=1:60,error=1:500,malformed=1"), seed=0)
    drawn = faults.draw("slack", "POST", "/services")
    assert (drawn.latency, drawn.skew) == (2, 60)
    assert drawn.strike is not None
    assert (drawn.strike.kind, drawn.strike.status) == (Kind.ERROR, 500)


def test_rules_are_read_from_text_json_and_files(tmp_path: Path) -> None:
    assert parse("") == []
    assert parse(" latency=0.3:2 , nyc311:lost=0.1,twilio:error") == [
        Fault(kind=Kind.LATENCY, probability=0.3, seconds=2),
        Fault(kind=Kind.LOST, probability=0.1, system="nyc311"),
        Fault(kind=Kind.ERROR, system="twilio"),
    ]
    rules = '[{"kind": "error", "status": 502, "route": "POST *", "burst": 5}]'
    written = tmp_path / "faults.json"
    written.write_text(rules)
    assert parse(rules) == parse(f"@{written}") == [Fault(kind=Kind.ERROR, status=502, route="POST *", burst=5)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flood", "'flood' is no fault. kind"),
        ("latency=2", "probability"),
        ("latency=often", "probability"),
        ("error=1:404", "status"),
        ("[{}]", "0.kind: Field required"),
        ("[", "Invalid JSON"),
        ("@nowhere.json", "cannot be read"),
        ('[{"kind": "error", "sytem": "slack"}]', "sytem"),
    ],
)
def test_what_is_no_rule_is_explained(text: str, told: str) -> None:
    with pytest.raises(ValidationError, match=r"kinds are|JSON list") as refused:
        parse(text)
    assert told in str(refused.value)
