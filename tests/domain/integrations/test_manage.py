"""Integrations, managed: what comes in, what is told, who may, and whom credentials are sent to (C7, X2, X4)."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from lakefront.db.database import Database
from lakefront.domain import cities, integrations
from lakefront.domain.integrations import Change, CredentialKeys, IntegrationInput
from lakefront.domain.integrations.endpoints import CHANNEL
from lakefront.domain.integrations.writing import MOST
from lakefront.errors import Conflict, Forbidden, IdempotencyConflict, NotFound, ValidationError
from lakefront.settings import Settings
from tests.actors import of_role
from tests.domain.integrations.keepers import ACME, OTHER, SECRET, Keeping, admin


@pytest.fixture(autouse=True)
async def _boston(keeping: Keeping) -> None:
    await keeping.add_city()


async def changes(database: Database, tenant: str = ACME) -> list[tuple[Any, ...]]:
    """Who changed what, oldest first."""
    async with database.transaction(tenant) as transaction:
        rows = await transaction.fetch(
            "SELECT provider, city, version, changed_by, on_behalf_of, changed FROM lakefront.integration_changes "
            "ORDER BY provider, version"
        )
    return [tuple(row) for row in rows]


async def credentials(keeping: Keeping, provider: str = "parcels", city: str = "bos") -> dict[str, str]:
    """What adapters are given."""
    found = await keeping.endpoints.require(ACME, provider, city)
    return dict(found.credentials)


async def test_a_new_one_has_the_adapters_defaults(keeping: Keeping, database: Database) -> None:
    made = await keeping.put()
    it = made.integration
    assert made.created
    assert (it.base_url, it.api_version, it.quota_daily) == ("https://parcels.example/api", "v2", 1000)
    assert (it.title, it.enabled, it.version, it.updated_by) == ("Parcels", True, 1, "lakefront")
    key, second = it.credentials
    assert (key.name, key.required, second.name, second.required) == ("api_key", True, "second_key", False)
    assert isinstance(key.set_at, datetime)
    assert second.set_at is None
    assert await integrations.integrations(keeping, admin()) == [it]
    assert await credentials(keeping) == {"api_key": SECRET}
    what = ["base_url", "api_version", "quota_daily", "enabled", "credentials.api_key"]
    assert await changes(database) == [("parcels", "bos", 1, "lakefront", None, what)]


async def test_what_is_left_out_stays_and_what_is_no_change_is_none(keeping: Keeping, database: Database) -> None:
    first = await keeping.put(quota_daily=7, api_version="v1")
    same = await keeping.put(credentials={}, quota_daily=7)
    assert same == Change(first.integration, created=False, changed=())
    off = await keeping.put(credentials={}, enabled=False)
    assert (off.changed, off.integration.version, off.integration.quota_daily) == (("enabled",), 2, 7)
    free = await keeping.put(credentials={}, quota_daily=None, api_version=None)
    assert (free.integration.quota_daily, free.integration.api_version) == (None, "v2")
    assert free.integration.created_at == first.integration.created_at < free.integration.updated_at
    assert [version for _, _, version, *_ in await changes(database)] == [1, 2, 3]
    assert not (await keeping.endpoints.all(ACME)), "it is disabled"


async def test_credentials_are_renewed_one_by_one_and_removed(keeping: Keeping, database: Database) -> None:
    await keeping.put(credentials={"api_key": SECRET, "second_key": "two"})
    old = (await keeping.put(credentials={}, enabled=True)).integration.credentials
    renewed = await integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": OTHER})
    assert renewed.changed == ("credentials.api_key",)
    assert await credentials(keeping) == {"api_key": OTHER, "second_key": "two"}
    key, second = renewed.integration.credentials
    assert second == old[1]
    assert key.set_at
    assert old[0].set_at
    assert key.set_at > old[0].set_at
    removed = await keeping.put(credentials={"second_key": None})
    assert [state.set_at is None for state in removed.integration.credentials] == [False, True]
    assert await credentials(keeping) == {"api_key": OTHER}
    again = await keeping.put(credentials={"second_key": None})
    assert again.changed == ()
    assert [what for *_, what in await changes(database)][1:] == [["credentials.api_key"], ["credentials.second_key"]]


async def test_credentials_are_sent_only_to_the_host_that_they_were_given_for(keeping: Keeping) -> None:
    await keeping.put(credentials={"api_key": SECRET, "second_key": "two"})
    same = await keeping.put(credentials={}, base_url="https://PARCELS.example:443/other/")
    assert same.integration.base_url == "https://PARCELS.example:443/other"
    assert await credentials(keeping) == {"api_key": SECRET, "second_key": "two"}
    for where in ("https://evil.example/api", "https://parcels.example:8443/api"):
        for given in ({}, {"api_key": OTHER}):
            with pytest.raises(ValidationError, match="only to the host") as refused:
                await keeping.put(credentials=given, base_url=where)
            assert SECRET not in str(refused.value)
    moved = await keeping.put(credentials={"api_key": OTHER, "second_key": None}, base_url="https://new.example")
    assert moved.integration.base_url == "https://new.example"
    assert await credentials(keeping) == {"api_key": OTHER}
    back = await keeping.put(credentials={"api_key": None}, base_url=None)
    assert back.integration.base_url == "https://parcels.example/api"
    assert await credentials(keeping) == {}
    await keeping.put(credentials={}, base_url="https://third.example")
    assert await credentials(keeping) == {}, "there is none that could be sent elsewhere"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param({"provider": "nothing"}, "provider", id="no such adapter"),
        pytest.param({"provider": "nothing\0"}, "provider", id="no text"),
        pytest.param({"city": ""}, "city", id="of a city"),
        pytest.param({"city": "nyc"}, "city", id="no such city"),
        pytest.param({"city": "b\0s"}, "city", id="no slug"),
        pytest.param({"city": "\ud800"}, "city", id="half a surrogate pair"),
        pytest.param({"provider": "skies", "credentials": {}}, "city", id="of no city"),
        pytest.param({"base_url": "http://parcels.example"}, "baseUrl", id="no TLS"),
        pytest.param({"base_url": "https://127.0.0.1/"}, "baseUrl", id="this machine"),
        pytest.param({"base_url": "https://user:key@parcels.example"}, "baseUrl", id="user"),
        pytest.param({"base_url": "https://parcels.example/?key=1"}, "baseUrl", id="query"),
        pytest.param({"base_url": ""}, "baseUrl", id="no URL"),
        pytest.param({"api_version": "v9"}, "apiVersion", id="no such version"),
        pytest.param({"credentials": {"password": "x"}}, "credentials.password", id="no such credential"),
        pytest.param({"credentials": {"api_key": ""}}, "credentials.api_key", id="empty"),
        pytest.param({"credentials": {"api_key": "a\r\nX-Evil: b"}}, "credentials.api_key", id="two lines"),
        pytest.param({"credentials": {"api_key": "a" * 8193}}, "credentials.api_key", id="long"),
    ],
)
async def test_what_is_wrong_is_told_by_its_field(keeping: Keeping, given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        await keeping.put(**given)
    assert wrong.value.details[0]["field"] == field
    assert await integrations.integrations(keeping, admin()) == []


async def test_loopback_is_for_servers_that_allow_it(keeping: Keeping) -> None:
    allowed = replace(keeping, settings=Settings(loopback_integrations=True))
    made = await allowed.put(base_url="http://127.0.0.1:8811/nyc")
    assert made.integration.base_url == "http://127.0.0.1:8811/nyc"
    with pytest.raises(ValidationError):
        await allowed.put(base_url="http://10.0.0.1/", credentials={"api_key": SECRET})


async def test_only_what_is_there_is_rotated(keeping: Keeping) -> None:
    with pytest.raises(NotFound):
        await integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": OTHER})
    for provider, city in (("nothing", ""), ("parcels", "\0"), ("parcels", ""), ("\ud800", "bos")):
        with pytest.raises(ValidationError):
            await integrations.rotate(keeping, admin(), provider, city, {"api_key": OTHER})
    await keeping.put()
    for wrong in ({}, {"api_key": ""}, {"\ud800": "x"}):
        with pytest.raises(ValidationError):
            await integrations.rotate(keeping, admin(), "parcels", "bos", wrong)


async def test_they_are_managed_by_who_may_and_in_their_own_tenant(keeping: Keeping) -> None:
    await keeping.put()
    given = IntegrationInput(provider="skies")
    for role in ("staff", "reader", "service", "citizen", "monitor"):
        actor = of_role(role, ACME)
        for work in (
            integrations.integrations(keeping, actor),
            integrations.upsert(keeping, actor, given),
            integrations.rotate(keeping, actor, "parcels", "bos", {"api_key": OTHER}),
            cities.upsert(keeping, actor, cities.CityInput("nyc", "New York")),
        ):
            with pytest.raises(Forbidden):
                await work
    stranger = admin("globex")
    assert await integrations.integrations(keeping, stranger) == []
    assert await cities.cities(keeping, stranger) == []
    with pytest.raises(NotFound):
        await integrations.rotate(keeping, stranger, "parcels", "bos", {"api_key": OTHER})
    assert not await keeping.endpoints.all("globex")
    await keeping.add_city(tenant="globex")
    await keeping.put("globex", credentials={"api_key": OTHER})
    assert await credentials(keeping) == {"api_key": SECRET}


async def test_a_dry_run_changes_nothing(keeping: Keeping, database: Database) -> None:
    tried = await integrations.upsert(
        keeping, admin(), IntegrationInput(provider="skies", credentials={"app_id": SECRET}), dry_run=True
    )
    assert tried.created
    assert tried.integration.credentials[0].set_at
    assert await integrations.integrations(keeping, admin()) == []
    assert await changes(database) == []
    before = (await keeping.put()).integration
    await integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": OTHER}, dry_run=True)
    assert await integrations.integrations(keeping, admin()) == [before]
    assert await credentials(keeping) == {"api_key": SECRET}


async def test_an_idempotency_key_is_of_one_request_and_keeps_no_secret(keeping: Keeping, database: Database) -> None:
    given = IntegrationInput(provider="parcels", city="bos", credentials={"api_key": SECRET})
    first = await integrations.upsert(keeping, admin(), given, idempotency_key="k")
    assert await integrations.upsert(keeping, admin(), given, idempotency_key="k") == first
    other = IntegrationInput(provider="parcels", city="bos", credentials={"api_key": OTHER})
    with pytest.raises(IdempotencyConflict):
        await integrations.upsert(keeping, admin(), other, idempotency_key="k")
    renewed = await integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": OTHER}, idempotency_key="k")
    assert renewed.integration.version == 2
    async with database.transaction(ACME) as transaction:
        for table in ("idempotency_keys", "integrations", "integration_changes"):
            rows = await transaction.fetch(f"SELECT t::text FROM lakefront.{table} t")
            assert rows
            assert not any("hush" in str(row) for row in rows)


async def test_of_two_changes_at_once_none_is_lost(keeping: Keeping) -> None:
    await keeping.put(credentials={"api_key": "0", "second_key": "0"})
    await asyncio.gather(
        *(integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": f"{n}"}) for n in range(4)),
        *(integrations.rotate(keeping, admin(), "parcels", "bos", {"second_key": f"{n}"}) for n in range(4)),
        *(keeping.put(credentials={}, quota_daily=n) for n in range(4)),
    )
    [it] = await integrations.integrations(keeping, admin())
    assert it.version == 13
    assert set(await credentials(keeping)) == {"api_key", "second_key"}


async def test_a_new_one_of_two_at_once_is_made_once(keeping: Keeping) -> None:
    made = await asyncio.gather(*(keeping.put() for _ in range(4)))
    assert sorted(change.created for change in made) == [False, False, False, True]


async def test_a_tenant_has_so_many_and_no_more(keeping: Keeping, database: Database) -> None:
    async with database.transaction(ACME) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.integrations (tenant_id, provider, city, base_url, api_version, credentials, "
            "key_id, credentials_set, enabled, version, updated_by) SELECT $1, 'skies', 'c' || n, 'https://x', '1', "
            "repeat('x', 40)::bytea, 'k', '{}', false, 1, '' FROM generate_series(1, $2::int) n",
            *(ACME, MOST),
        )
    with pytest.raises(Conflict, match="the most"):
        await keeping.put()


async def test_every_server_is_told_of_every_change(keeping: Keeping, dsn: str) -> None:
    heard: list[str] = []
    connection = await asyncpg.connect(dsn)
    await connection.add_listener(CHANNEL, lambda *notice: heard.append(str(notice[-1])))
    await keeping.put()
    await keeping.put(credentials={})
    await keeping.put(credentials={}, quota_daily=1)
    await connection.execute("DELETE FROM lakefront.integrations")
    await asyncio.sleep(0.2)
    await connection.close()
    assert heard == [""] * 3, "what is no change is not told"


async def test_where_the_key_is_lost_all_credentials_are_given_anew(keeping: Keeping, database: Database) -> None:
    await keeping.put(credentials={"api_key": SECRET, "second_key": "two"})
    after = Keeping.on(database, CredentialKeys.ephemeral())
    [it] = await integrations.integrations(after, admin())
    assert it.credentials[0].set_at, "what is told needs no key"
    with pytest.raises(Conflict, match="api_key, second_key"):
        await integrations.rotate(after, admin(), "parcels", "bos", {"api_key": OTHER})
    assert (await after.put(credentials={}, enabled=False)).changed == ("enabled",)
    await integrations.rotate(after, admin(), "parcels", "bos", {"api_key": OTHER, "second_key": "new"})
    await after.put(credentials={}, enabled=True)
    assert await credentials(after) == {"api_key": OTHER, "second_key": "new"}


async def test_nothing_that_is_shown_or_logged_holds_a_secret(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    given = IntegrationInput(provider="parcels", city="bos", credentials={"api_key": SECRET})
    made = await integrations.upsert(keeping, admin(), given)
    endpoint = await keeping.endpoints.require(ACME, "parcels", "bos")
    for shown in (given, made, endpoint, await keeping.endpoints.all(ACME)):
        assert SECRET not in repr(shown)
    assert "credentials.api_key" in caplog.text
    assert SECRET not in caplog.text
