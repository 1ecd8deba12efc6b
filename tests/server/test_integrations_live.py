"""Integrations of a server that runs, and a city that answers: set up, tried, renewed, over real sockets (C7, C14)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakefront.adapters.dto import Point
from lakefront.adapters.providers.openweather import OpenWeather
from lakefront.adapters.registry import providers
from lakefront.domain import integrations
from lakefront.errors import NotConfigured, UpstreamDenied
from lakefront.settings import Settings
from lakefront.simulator import Simulator
from tests.server.wired import Wired, wired

WRONG = "hush-hush-4711"


@pytest.fixture
async def outside() -> AsyncIterator[Simulator]:
    """A city that answers."""
    async with Simulator(seed=1) as simulator:
        yield simulator


@pytest.fixture
async def served(dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Wired]:
    """A server that may call this machine."""
    settings = Settings(
        port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, rate_limits="off", loopback_integrations=True
    )
    async with wired(settings) as made:
        yield made


async def send(served: Wired, method: str, path: str, body: Any) -> Any:
    response = await served.client.request(method, path, json=body, headers=served.bearer("admin"))
    assert response.status_code in (200, 201), response.text
    return response.json()


async def test_every_provider_is_set_up_and_answers(served: Wired, outside: Simulator) -> None:
    doors: dict[tuple[str, str], dict[str, Any]] = {}
    for door in outside.endpoints():
        if door["provider"] in providers():
            doors.setdefault((door["provider"], door["city"]), door)
    assert {provider for provider, _ in doors} == set(providers())
    for (provider, city), door in doors.items():
        if city:
            await send(served, "PUT", "/cities", {"slug": city, "name": city.upper()})
        made = await send(served, "PUT", "/integrations", door)
        required = [one for one in made["integration"]["credentials"] if one["required"]]
        assert all(one["set_at"] for one in required), made
        trial = await send(served, "POST", "/integrations/test", {"provider": provider, "city": city})
        assert trial["ok"], (provider, trial)


async def test_a_key_that_is_wrong_is_renewed_while_the_server_runs(
    served: Wired, outside: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    services = served.parts.doors.services
    with pytest.raises(NotConfigured):
        await integrations.adapter(services, OpenWeather, "city")
    [door, *_] = [door for door in outside.endpoints() if door["provider"] == "openweather"]
    await send(served, "PUT", "/integrations", {**door, "credentials": {"key": WRONG}})
    trial = await send(served, "POST", "/integrations/test", {"provider": "openweather"})
    assert (trial["ok"], trial["error_code"]) == (False, "upstream_denied")
    here = Point(latitude=40.7, longitude=-74.0)
    with pytest.raises(UpstreamDenied):
        await (await integrations.adapter(services, OpenWeather, "city")).current(here)
    renewed = {"provider": "openweather", "credentials": door["credentials"]}
    await send(served, "POST", "/integrations/rotate-key", renewed)
    weather = await (await integrations.adapter(services, OpenWeather, "city")).current(here)
    assert weather.source == "openweather"
    await send(served, "PUT", "/integrations", {"provider": "openweather", "enabled": False})
    with pytest.raises(NotConfigured, match="or disabled"):
        await integrations.adapter(services, OpenWeather, "city")
    trial = await send(served, "POST", "/integrations/test", {"provider": "openweather"})
    assert trial["ok"], "also one that is disabled is tried out"
    assert WRONG not in caplog.text
    assert door["credentials"]["key"] not in caplog.text


async def test_of_two_servers_each_takes_what_the_other_changed(served: Wired, outside: Simulator) -> None:
    [door, *_] = [door for door in outside.endpoints() if door["provider"] == "openweather"]
    async with wired(served.parts.settings) as other:
        endpoints = other.parts.doors.services.endpoints
        await send(served, "PUT", "/integrations", {**door, "credentials": {"key": WRONG}})
        trial = await send(other, "POST", "/integrations/test", {"provider": "openweather"})
        assert trial["error_code"] == "upstream_denied"
        async with asyncio.timeout(5):
            while await endpoints.find("city", "openweather") is None:  # noqa: ASYNC110 - another server's progress
                await asyncio.sleep(0.01)
            await send(
                served, "POST", "/integrations/rotate-key", {"provider": "openweather", "credentials": {"key": "x"}}
            )
            while (found := await endpoints.require("city", "openweather")).version == 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (found.version, found.credentials) == (2, {"key": "x"})
