"""The simulator as a server: its life, its determinism, its ways in."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import httpx
import pytest

from lakefront.adapters.registry import providers
from lakefront.errors import Unavailable
from lakefront.simulator import Simulator
from lakefront.simulator.tickets import Pace
from tests.simulator.conftest import START
from tests.simulator.test_faults import submit


async def test_it_listens_on_loopback_while_it_is_open() -> None:
    async with Simulator() as city:
        assert city.url.startswith("http://127.0.0.1:")
        async with httpx.AsyncClient(base_url=city.url, trust_env=False) as http:
            assert (await http.get("/_control/")).status_code == 200
            assert (await http.get("/")).status_code == 404
            assert (await http.get("/nyc311/nothing")).status_code == 404
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(city.url)


async def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unavailable, match="--port"):
            await Simulator(port=taken.getsockname()[1]).start()


async def test_it_stops_though_somebody_waits() -> None:
    async with asyncio.timeout(5), Simulator() as city, httpx.AsyncClient(base_url=city.url, trust_env=False) as http:
        await http.put("/_control/faults", json=[{"kind": "latency", "seconds": 3600}])
        waiting = asyncio.create_task(submit(http))
        while not city.journal.calls:  # noqa: ASYNC110 - the other side's state
            await asyncio.sleep(0.01)
        await city.stop()
        assert (await waiting).status_code == 201


async def seen(seed: int) -> list[Any]:
    """What a client sees of a city."""
    async with (
        Simulator(seed, start=START, speed=0) as city,
        httpx.AsyncClient(base_url=city.url, trust_env=False) as http,
    ):
        tickets = (await http.get("/_control/tickets?all=true")).json()
        rows = (await http.get("/socrata/resource/43nn-pn8j.json?$select=:*,*&$limit=50")).json()
        weather = (
            await http.get("/openweather/data/2.5/weather?lat=40.7&lon=-74&appid=simulated-openweather-key")
        ).json()
        return [tickets, rows, weather]


async def test_the_same_seed_makes_the_same_city() -> None:
    first = await seen(7)
    assert await seen(7) == first
    assert all(one != other for one, other in zip(await seen(8), first, strict=True))


async def test_many_clients_at_once_are_all_served() -> None:
    async with (
        Simulator(limits={"nyc311": ""}) as city,
        httpx.AsyncClient(base_url=city.url, trust_env=False, timeout=60) as http,
    ):
        answers = await asyncio.gather(*(submit(http) for _ in range(60)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["trackingNumber"] for answer in answers}) == 60
        assert len(city.tickets.filed) == 60


async def test_a_body_of_many_megabytes_is_not_taken() -> None:
    async with Simulator() as city, httpx.AsyncClient(base_url=city.url, trust_env=False) as http:
        with suppress(httpx.WriteError):  # as the answer may come before all of the body is sent
            assert (await http.post("/webhook/hooks/city", content=bytes(11 * 1024 * 1024))).status_code == 413
        assert not city.journal.calls


async def test_tickets_go_their_way_at_the_pace_that_was_set() -> None:
    async with (
        Simulator(start=START, speed=0, pace=Pace(10, 100)) as city,
        httpx.AsyncClient(base_url=city.url, trust_env=False) as http,
    ):
        await submit(http)
        (ticket,) = city.tickets.filed
        stages = []
        for _ in range(16):
            stages.append(city.tickets.stage(ticket).value)
            city.clock.advance(10)
        assert list(dict.fromkeys(stages)) == ["Open", "In Progress", "Closed"]
        assert city.tickets.note(ticket)


async def test_every_adapter_finds_a_way_in(city: Simulator) -> None:
    doors = city.endpoints()
    for name, adapter in providers().items():
        versions = {door["api_version"]: door for door in doors if door["provider"] == name}
        assert versions.keys() >= {*adapter.api_versions}, name
        for door in versions.values():
            assert door["credentials"].keys() <= adapter.credentials.keys(), name
        default = versions[adapter.api_versions[0]]
        assert adapter.credentials.keys() - adapter.optional_credentials <= default["credentials"].keys(), name
        assert all(bool(door["city"]) is adapter.city_bound for door in versions.values()), name
