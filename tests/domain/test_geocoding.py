"""Geocoding against the simulated city: what is asked, what is remembered, and who is asked when one fails (C4)."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from lakefront.actor import Actor, system_actor
from lakefront.adapters.dto import Point
from lakefront.domain import geocoding, integrations
from lakefront.domain.geocoding import Match
from lakefront.domain.integrations import IntegrationInput
from lakefront.domain.services import Services
from lakefront.errors import Forbidden, NotConfigured, UpstreamError, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.domain.calling import calling

BROADWAY = "260 Broadway"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1) as running:
        yield running


@pytest.fixture
async def both(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    """Geoclient of New York, and Mapbox."""
    async with calling(services, actor, simulator, "geoclient mapbox") as made:
        yield made


async def find(services: Services, actor: Actor, *lines: str, city: str | None = "nyc") -> list[Match | None]:
    """The best match of each."""
    findings = await geocoding.geocode(services, actor, lines, city)
    found = [await finding.get() for finding in findings]
    return [matches[0] if matches else None for matches in found]


def asked(simulator: Simulator) -> tuple[int, int]:
    """Calls of Geoclient and of Mapbox."""
    return simulator.journal.tallies["geoclient"].received, simulator.journal.tallies["mapbox"].received


def sources(matches: Sequence[Match | None]) -> list[str | None]:
    return [match.place.source if match else None for match in matches]


def test_two_ways_to_write_an_address_are_one() -> None:
    ways = {"123  Main St.,Bronx", " 123 main st, BRONX ", "123 Main St , Bronx,", "123 Main St, Bronx"}
    assert {geocoding.normalised(way) for way in ways} == {"123 main st , bronx"}
    assert geocoding.normalised("12 Main") != geocoding.normalised("1 2 Main")


async def test_the_citys_own_geocoder_is_asked_once(both: Services, actor: Actor, simulator: Simulator) -> None:
    many = await asyncio.gather(*(find(both, actor, f"{100 + at % 20} broadway") for at in range(100)))
    assert asked(simulator) == (20, 0)
    assert len({found.place.label for [found] in many if found}) == 20
    assert await find(both, actor, "100  BROADWAY") == many[0]
    assert asked(simulator) == (20, 0)
    assert await find(both, actor, "1 Nowhere", "1 nowhere") == [None, None]
    assert await find(both, actor, "1 Nowhere") == [None]
    assert asked(simulator) == (21, 0)


async def test_all_servers_share_what_was_found(
    services: Services, actor: Actor, simulator: Simulator, redis_url: str
) -> None:
    async with (
        Redis.from_url(redis_url) as redis,
        calling(services, actor, simulator, "geoclient", redis) as first,
        calling(services, actor, simulator, "geoclient", redis) as second,
    ):
        [found, nowhere] = await find(first, actor, BROADWAY, "1 Nowhere")
        assert await find(second, actor, BROADWAY, "1 Nowhere") == [found, nowhere]
        assert asked(simulator) == (2, 0)
        keys = await redis.keys("lakefront:answers:*")
        lives = sorted([await redis.pttl(key) / 1000 for key in keys])
        assert lives == pytest.approx([300, 86_400], abs=30)
        assert not any(b"Broadway" in key for key in keys)


async def test_what_cannot_be_read_of_redis_is_asked_anew(
    services: Services, actor: Actor, simulator: Simulator, redis_url: str
) -> None:
    async with (
        Redis.from_url(redis_url) as redis,
        calling(services, actor, simulator, "geoclient", redis) as first,
        calling(services, actor, simulator, "geoclient", redis) as second,
        calling(services, actor, simulator, "geoclient", redis) as third,
    ):
        found = await find(first, actor, BROADWAY)
        [key] = await redis.keys("lakefront:answers:*")
        for server, text in ((second, "[1,2"), (third, '{"of": "another release"}')):
            await redis.set(key, text)
            assert [one and one.place for one in await find(server, actor, BROADWAY)] == [found[0] and found[0].place]
        assert asked(simulator) == (3, 0)


@pytest.mark.parametrize("kind", [Kind.ERROR, Kind.THROTTLE, Kind.MALFORMED])
async def test_mapbox_is_asked_where_it_fails(both: Services, actor: Actor, simulator: Simulator, kind: Kind) -> None:
    simulator.faults.add(Fault(kind=kind, system="geoclient"))
    found = await find(both, actor, BROADWAY)
    assert sources(found) == ["mapbox"]
    assert found[0] is not None
    assert found[0].place.city == "New York"


async def test_without_mapbox_the_failure_is_told(services: Services, actor: Actor, simulator: Simulator) -> None:
    async with calling(services, actor, simulator, "geoclient") as alone:
        simulator.faults.add(Fault(kind=Kind.ERROR, system="geoclient"))
        findings = await geocoding.geocode(alone, actor, [BROADWAY, "1 Nowhere"], "nyc")
        results = await asyncio.gather(*(finding.get() for finding in findings), return_exceptions=True)
        assert [type(result) for result in results] == [UpstreamError] * 2
        simulator.faults.set([])
        assert sources(await find(alone, actor, BROADWAY)) == ["geoclient"]


async def test_a_city_without_its_own_takes_many_at_once(both: Services, actor: Actor, simulator: Simulator) -> None:
    lines = [f"{number} Main Street" for number in range(10, 20)]
    found = await find(both, actor, *lines, city="bos")
    assert {match.place.city for match in found if match} == {"Boston"}
    assert asked(simulator) == (0, 1)
    assert await find(both, actor, *lines, city="bos") == found
    assert asked(simulator) == (0, 1)
    with pytest.raises(ValidationError, match="no city 'atlantis'"):
        await find(both, actor, BROADWAY, city="atlantis")


async def test_without_a_city_it_is_the_one_there_is(both: Services, actor: Actor) -> None:
    assert sources(await find(both, actor, BROADWAY, city=None)) == ["geoclient"]


async def test_an_address_is_that_of_a_point(both: Services, actor: Actor) -> None:
    [found] = await find(both, actor, "260 Broadway, Manhattan")
    assert found is not None
    [there] = await geocoding.reverse(both, actor, found.place.point)
    assert (there.place.house_number, there.place.street) == ("260", "Broadway")
    assert await geocoding.reverse(both, actor, Point(latitude=0, longitude=0)) == []


async def test_nobody_else_sees_it(both: Services, simulator: Simulator) -> None:
    with pytest.raises(NotConfigured):
        await find(both, system_actor("acme_corp"), BROADWAY)
    with pytest.raises(Forbidden):
        await find(both, Actor("somebody", "city", frozenset()), BROADWAY)
    assert asked(simulator) == (0, 0)


async def test_who_leaves_takes_nobodys_answer_along(both: Services, actor: Actor, simulator: Simulator) -> None:
    leaving = asyncio.create_task(find(both, actor, BROADWAY))
    staying = asyncio.create_task(find(both, actor, BROADWAY))
    while not asked(simulator)[0]:  # noqa: ASYNC110 - the simulator tells nobody
        await asyncio.sleep(0.01)
    leaving.cancel()
    assert sources(await staying) == ["geoclient"]
    assert asked(simulator) == (1, 0)


async def test_a_changed_integration_begins_anew(both: Services, actor: Actor, simulator: Simulator) -> None:
    await find(both, actor, BROADWAY)
    await integrations.upsert(both, actor, IntegrationInput(provider="geoclient", city="nyc", quota_daily=5))
    both.endpoints.changed()
    await find(both, actor, BROADWAY)
    assert asked(simulator) == (2, 0)
