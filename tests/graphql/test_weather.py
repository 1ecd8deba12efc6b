"""The weather by GraphQL: one call for neighbours, the last one known while OpenWeather is away, null without (C8)."""

import time
from typing import Any
from unittest.mock import patch

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.actors import of_role
from tests.graphql.conftest import Ask, asking

PROVIDERS = "openweather"
WEATHER = """
query ($latitude: Float!) {
  weather(point: {latitude: $latitude, longitude: -74.006}) {
    point { latitude longitude } at condition temperatureCelsius humidityPercent windMetresPerSecond
    provenance { source asOf stale }
  }
  cities { slug }
}"""
DOWN = Fault(kind=Kind.ERROR, system="openweather")


@pytest.fixture
def ask(reaching: Services, actor: Actor) -> Ask:
    return asking(reaching, actor, compiled=True)


async def told(ask: Ask, latitude: float = 40.7128) -> dict[str, Any]:
    answer = await ask(WEATHER, latitude=latitude)
    assert "errors" not in answer, answer
    weather: dict[str, Any] = answer["data"]["weather"]
    return weather


async def test_neighbours_share_one_call(ask: Ask, simulator: Simulator) -> None:
    first = await told(ask)
    assert first["point"] == {"latitude": 40.71, "longitude": -74.01}
    assert (first["provenance"]["source"], first["provenance"]["stale"]) == ("openweather", False)
    assert await told(ask, 40.7134) == first
    assert simulator.journal.tallies["openweather"].received == 1


async def test_while_it_is_away_the_last_one_is_told_as_stale(ask: Ask, simulator: Simulator) -> None:
    first = await told(ask)
    simulator.faults.add(DOWN)
    late = time.time() + 3600
    with patch("lakefront.domain.answers.time", lambda: late):
        older = await told(ask)
    assert older == {**first, "provenance": {**first["provenance"], "stale": True}}
    late += 6 * 3600
    with patch("lakefront.domain.answers.time", lambda: late):
        answer = await ask(WEATHER, latitude=40.7128)
    assert answer["data"]["weather"] is None
    assert len(answer["data"]["cities"]) == 2
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["weather"], "UPSTREAM_ERROR")


async def test_rights_and_places_are_looked_at(ask: Ask, simulator: Simulator) -> None:
    [error] = (await ask(WEATHER, of_role("monitor"), latitude=40.7))["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    [error] = (await ask(WEATHER, latitude=90.5))["errors"]
    assert error["extensions"]["details"][0]["field"] == "point.latitude"
    assert simulator.journal.tallies["openweather"].received == 0
