"""Limits: windows that slide, days that end, and answers that say how long to wait."""

import asyncio
import re
from datetime import UTC, datetime

import httpx
import pytest

from lakefront.errors import ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.clock import Clock
from lakefront.simulator.limits import Limits, Rate, parse
from lakefront.simulator.systems import geoclient, nyc311

STATUS = "/nyc311/public/api/GetServiceRequest?srnumber=311-10000001"


def limits(**rates: str) -> tuple[Limits, Clock]:
    clock = Clock(datetime(2026, 5, 31, 23, 0, tzinfo=UTC), speed=0)
    made = Limits(clock)
    made.set(rates)
    return made, clock


def test_rates_are_read() -> None:
    assert parse("10/second, 100000/day") == (Rate(10, "second"), Rate(100_000, "day"))
    assert parse("") == ()
    with pytest.raises(ValidationError, match="'10/week' is no limit"):
        parse("10/week")


async def test_a_window_slides() -> None:
    made, _ = limits(x="2/second")
    assert made.take("x", "a") is None
    await asyncio.sleep(0.3)
    assert made.take("x", "a") is None
    exceeded = made.take("x", "a")
    assert exceeded is not None
    assert 0.4 < exceeded.wait <= 0.7
    assert made.take("x", "b") is None, "each caller has its own"
    await asyncio.sleep(exceeded.wait + 0.01)
    assert made.take("x", "a") is None


def test_a_day_ends_at_midnight_of_the_citys_clock() -> None:
    made, clock = limits(x="1/day")
    assert made.take("x", "a") is None
    exceeded = made.take("x", "a")
    assert exceeded is not None
    assert exceeded.wait == 3600
    clock.advance(3600)
    assert made.take("x", "a") is None


def test_a_month_ends_with_its_last_day() -> None:
    made, clock = limits(x="1/month")
    assert made.take("x", "a") is None
    assert made.take("x", "a") is not None
    clock.advance(3600)
    assert made.take("x", "a") is None


def test_a_refused_call_is_counted_by_no_limit() -> None:
    made, _ = limits(x="1/hour,2/day")
    assert made.take("x", "a") is None
    assert [made.take("x", "a") is None for _ in range(5)] == [False] * 5
    made.set({"x": "2/day"})
    assert made.take("x", "a") is None
    assert made.take("x", "a") is not None


async def test_311_refuses_a_burst_with_429(city: Simulator, http: httpx.AsyncClient) -> None:
    key = {"Ocp-Apim-Subscription-Key": nyc311.KEY}
    answers = [await http.get(STATUS, headers=key) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert answers[-1].json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 1 seconds."}
    assert answers[-1].headers["retry-after"] == "1"
    tally = city.journal.tallies["nyc311"]
    assert (tally.received, tally.refused, tally.done, tally.peak_per_second) == (12, 2, 10, 12)
    assert dict(tally.by_day) == {"2026-05-28": 12}


async def test_311_refuses_beyond_its_day_with_403_until_midnight(city: Simulator, http: httpx.AsyncClient) -> None:
    city.limits.set({"nyc311": "2/day"})
    key = {"Ocp-Apim-Subscription-Key": nyc311.KEY}
    answers = [await http.get(STATUS, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    told = answers[-1].json()["message"]
    assert re.fullmatch(r"Out of call volume quota. Quota will be replenished in (09:59:5.|10:00:00)\.", told)
    assert 35_990 <= int(answers[-1].headers["retry-after"]) <= 36_000
    city.clock.advance(36_001)
    assert (await http.get(STATUS, headers=key)).status_code == 200


async def test_a_second_key_has_a_quota_of_its_own(city: Simulator, http: httpx.AsyncClient) -> None:
    city.limits.set({"geoclient": "1/day"})
    url = "/geoclient/geoclient/v2/search?input=123+Broadway"
    codes = [
        (await http.get(url, headers={"Ocp-Apim-Subscription-Key": key})).status_code
        for key in (geoclient.KEY, geoclient.KEY, geoclient.SECOND_KEY)
    ]
    assert codes == [200, 429, 200]


async def test_limits_can_be_given_at_the_start() -> None:
    async with Simulator(limits={"slack": "", "twilio": "5/minute"}) as city:
        told = city.limits.told()
        assert (told["slack"], told["twilio"], told["nyc311"]) == ("", "5/minute", "10/second,100000/day")
