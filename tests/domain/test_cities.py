"""Cities: added, changed in part, told to everybody of the tenant and to nobody else (C7)."""

from dataclasses import dataclass
from typing import Any

import pytest

from lakefront.actor import Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain import cities
from lakefront.domain.cities import MOST, CityInput, is_slug, require_city
from lakefront.errors import Conflict, Forbidden, IdempotencyConflict, ValidationError
from tests.actors import of_role


@dataclass(frozen=True, slots=True)
class Keeping:
    """What keeping cities takes."""

    database: Database


@pytest.fixture
def keeping(database: Database) -> Keeping:
    return Keeping(database)


BOSTON: dict[str, Any] = {"name": "Boston", "latitude": 42.36, "longitude": -71.06, "time_zone": "America/New_York"}


async def test_what_is_left_out_stays_and_null_clears(keeping: Keeping, actor: Actor) -> None:
    first = await cities.upsert(keeping, actor, CityInput("bos", **BOSTON))
    assert (first.latitude, first.longitude, first.time_zone) == (42.36, -71.06, "America/New_York")
    named = await cities.upsert(keeping, actor, CityInput("bos", "The Hub"))
    assert (named.name, named.latitude, named.time_zone) == ("The Hub", 42.36, "America/New_York")
    assert named.created_at == first.created_at < named.updated_at
    lost = await cities.upsert(keeping, actor, CityInput("bos", "Boston", latitude=None, longitude=None))
    assert (lost.latitude, lost.longitude, lost.time_zone) == (None, None, "America/New_York")
    await cities.upsert(keeping, actor, CityInput("aus", "Austin"))
    assert [city.slug for city in await cities.cities(keeping, actor)] == ["aus", "bos"]
    assert (await cities.cities(keeping, actor))[1] == lost


async def test_each_tenant_has_its_own(keeping: Keeping, actor: Actor) -> None:
    await cities.upsert(keeping, actor, CityInput("bos", "Boston"))
    acme = system_actor("acme_corp")
    assert await cities.cities(keeping, acme) == []
    await cities.upsert(keeping, acme, CityInput("bos", "Another Boston"))
    assert [city.name for city in await cities.cities(keeping, of_role("citizen"))] == ["Boston"]
    with pytest.raises(Forbidden):
        await cities.upsert(keeping, of_role("staff"), CityInput("bos", "Mine"))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"slug": "b"}, "slug"),
        ({"slug": "Bos"}, "slug"),
        ({"slug": "b\0s"}, "slug"),
        ({"slug": "bos-"}, "slug"),
        ({"slug": "b" * 33}, "slug"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"latitude": 1.0}, "latitude"),
        ({"latitude": None}, "latitude"),
        ({"latitude": None, "longitude": 1.0}, "latitude"),
        ({"latitude": 90.1, "longitude": 0.0}, "latitude"),
        ({"latitude": 0.0, "longitude": float("nan")}, "longitude"),
        ({"time_zone": "Mars/Olympus"}, "timeZone"),
        ({"time_zone": "../../etc/passwd"}, "timeZone"),
        ({"time_zone": ""}, "timeZone"),
        ({"time_zone": "\ud800"}, "timeZone"),
    ],
    ids=repr,
)
async def test_what_is_wrong_is_told(keeping: Keeping, actor: Actor, given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        await cities.upsert(keeping, actor, CityInput(**{"slug": "bos", "name": "Boston", **given}))
    assert wrong.value.details[0]["field"] == field


async def test_dry_runs_and_idempotency_keys(keeping: Keeping, actor: Actor) -> None:
    tried = await cities.upsert(keeping, actor, CityInput("bos", "Boston"), dry_run=True)
    assert tried.name == "Boston"
    assert await cities.cities(keeping, actor) == []
    first = await cities.upsert(keeping, actor, CityInput("bos", "Boston"), idempotency_key="k")
    assert await cities.upsert(keeping, actor, CityInput("bos", "Boston"), idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        await cities.upsert(keeping, actor, CityInput("bos", "The Hub"), idempotency_key="k")


async def test_a_tenant_has_so_many_and_no_more(keeping: Keeping, actor: Actor) -> None:
    async with keeping.database.transaction(actor.tenant) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.cities (tenant_id, slug, name) "
            "SELECT $1, 'c' || n, 'c' FROM generate_series(1, $2) n",
            *(actor.tenant, MOST),
        )
    with pytest.raises(Conflict):
        await cities.upsert(keeping, actor, CityInput("bos", "Boston"))
    assert (await cities.upsert(keeping, actor, CityInput("c1", "Known"))).name == "Known"


async def test_what_names_a_city_names_one_that_there_is(keeping: Keeping, actor: Actor) -> None:
    await cities.upsert(keeping, actor, CityInput("bos", "Boston"))
    async with keeping.database.transaction(actor.tenant) as transaction:
        await require_city(transaction, actor.tenant, "bos")
        for slug in ("nyc", "", "\0", "\ud800"):
            with pytest.raises(ValidationError, match="There is no city"):
                await require_city(transaction, actor.tenant, slug)
    assert is_slug("san-francisco")
    assert not is_slug("São-Paulo")
