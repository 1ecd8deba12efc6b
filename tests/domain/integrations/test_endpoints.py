"""Endpoints: taken anew on every server when a row changes, the same while it does not, forgotten with the listener."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from lakefront.adapters.endpoint import Key
from lakefront.db.database import Database
from lakefront.db.listener import Listener
from lakefront.domain import integrations
from lakefront.domain.integrations import CHANNEL, CredentialKeys, Endpoints, endpoints
from lakefront.errors import NotConfigured
from tests.domain.integrations.keepers import ACME, OTHER, SECRET, Keeping, admin

PARCELS = Key(ACME, "parcels", "bos")


@pytest.fixture(autouse=True)
async def _boston(keeping: Keeping) -> None:
    await keeping.add_city()


@pytest.fixture
async def replica(keeping: Keeping, dsn: str) -> AsyncIterator[Endpoints]:
    """Another server's, which hears of changes by its listener alone."""
    made, listener = Endpoints(keeping.database, keeping.endpoints.keys), Listener(dsn)
    listener.damp(CHANNEL)
    listener.on(CHANNEL, made.changed)
    listener.watch(made.watch)
    await listener.open()
    await until(lambda: _done(listener.connected))
    yield made
    await listener.close()


async def _done(value: bool) -> bool:
    return value


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await reached():  # noqa: ASYNC110 - another server's progress
            await asyncio.sleep(0.01)


async def execute(dsn: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement, *values)
    await connection.close()


async def test_a_change_is_taken_by_all_servers(keeping: Keeping, replica: Endpoints) -> None:
    assert await replica.find(*PARCELS) is None
    await keeping.put()
    for server in (keeping.endpoints, replica):

        async def knows(server: Endpoints = server) -> bool:
            return await server.find(*PARCELS) is not None

        await until(knows)
    await integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": OTHER})
    assert (await keeping.endpoints.require(*PARCELS)).credentials == {"api_key": OTHER}, "at once where it was made"

    async def renewed() -> bool:
        return (await replica.require(*PARCELS)).credentials == {"api_key": OTHER}

    await until(renewed)
    await keeping.put(credentials={}, enabled=False)

    async def gone() -> bool:
        return await replica.find(*PARCELS) is None

    await until(gone)


async def test_what_did_not_change_is_the_same_endpoint(keeping: Keeping) -> None:
    await keeping.put()
    first = await keeping.endpoints.require(*PARCELS)
    await keeping.put(provider="skies", city="", credentials={"app_id": "x"})
    assert await keeping.endpoints.require(*PARCELS) is first
    await keeping.put(credentials={}, quota_daily=5)
    second = await keeping.endpoints.require(*PARCELS)
    assert second is not first
    assert (second.version, second.quota_daily, second.credentials) == (2, 5, {"api_key": SECRET})
    assert set(await keeping.endpoints.all(ACME)) == {PARCELS, Key(ACME, "skies", "")}


async def test_nothing_is_read_twice_while_it_holds(keeping: Keeping, dsn: str) -> None:
    await keeping.put()
    first = await keeping.endpoints.require(*PARCELS)
    await execute(dsn, "UPDATE lakefront.integrations SET quota_daily = 5")
    assert await keeping.endpoints.require(*PARCELS) is first, "nobody told it"
    keeping.endpoints.changed()
    found = await asyncio.gather(*(keeping.endpoints.require(*PARCELS) for _ in range(20)))
    assert len({id(one) for one in found}) == 1
    assert found[0].quota_daily == 5


async def test_with_the_listener_lost_all_is_forgotten_and_holds_for_a_second(
    keeping: Keeping, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keeping.put()
    first = await keeping.endpoints.require(*PARCELS)
    keeping.endpoints.watch(connected=False)
    second = await keeping.endpoints.require(*PARCELS)
    assert second == first
    assert second is not first
    await execute(dsn, "UPDATE lakefront.integrations SET quota_daily = 5")
    assert await keeping.endpoints.require(*PARCELS) is second
    monkeypatch.setattr(endpoints, "_BLIND", 0.0)
    assert (await keeping.endpoints.require(*PARCELS)).quota_daily == 5
    monkeypatch.undo()
    await execute(dsn, "UPDATE lakefront.integrations SET quota_daily = 6")
    keeping.endpoints.watch(connected=True)
    assert (await keeping.endpoints.require(*PARCELS)).quota_daily == 6


async def test_who_needs_what_is_not_set_up_is_told_what_to_do(keeping: Keeping) -> None:
    with pytest.raises(NotConfigured, match="parcels of bos is not set up here, or disabled"):
        await keeping.endpoints.require(*PARCELS)
    with pytest.raises(NotConfigured, match="upsertIntegration"):
        await Endpoints().require(ACME, "skies")


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SET credentials = set_byte(credentials, 20, get_byte(credentials, 20) # 1)", id="tampered"),
        pytest.param("SET credentials = substr(credentials, 1, 29)", id="cut off"),
        pytest.param("SET base_url = 'https://evil.example'", id="another host"),
        pytest.param("SET base_url = 'https://parcels.example:x'", id="no URL"),
        pytest.param("SET key_id = 'another'", id="another key"),
        pytest.param("SET city = 'nyc'", id="another city"),
        pytest.param("SET tenant_id = 'globex'", id="another tenant"),
    ],
)
async def test_who_writes_the_database_gets_no_credentials_sent(
    keeping: Keeping, dsn: str, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    await keeping.put()
    await keeping.put(provider="skies", city="", credentials={"app_id": "x"})
    await execute(dsn, f"UPDATE lakefront.integrations {statement} WHERE provider = 'parcels'")
    keeping.endpoints.changed()
    for tenant in (ACME, "globex"):
        found = await keeping.endpoints.all(tenant)
        assert all(key.provider == "skies" for key in found), "its neighbour is there all the same"
    tenant = "globex" if "tenant_id" in statement else ACME
    with pytest.raises(NotConfigured, match="cannot be read"):
        await keeping.endpoints.require(tenant, "parcels", "nyc" if "city" in statement else "bos")
    assert "credentials cannot be read" in caplog.text
    assert SECRET not in caplog.text


async def test_credentials_swapped_between_rows_are_worth_nothing(keeping: Keeping, dsn: str) -> None:
    await keeping.add_city("nyc")
    await keeping.put()
    await keeping.put(city="nyc", credentials={"api_key": OTHER})
    await execute(
        dsn,
        "UPDATE lakefront.integrations i SET credentials = j.credentials FROM lakefront.integrations j "
        "WHERE i.tenant_id = j.tenant_id AND i.city <> j.city",
    )
    keeping.endpoints.changed()
    assert await keeping.endpoints.all(ACME) == {}


async def test_tenants_that_nobody_asks_for_make_room(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MOST_TENANTS", 3)
    await keeping.put()
    first = await keeping.endpoints.require(*PARCELS)
    for number in range(3):
        assert await keeping.endpoints.all(f"tenant{number}") == {}
    again = await keeping.endpoints.require(*PARCELS)
    assert again == first
    assert again is not first


async def test_other_keys_read_nothing(keeping: Keeping, database: Database) -> None:
    await keeping.put()
    stranger = Endpoints(database, CredentialKeys.ephemeral())
    assert await stranger.all(ACME) == {}
