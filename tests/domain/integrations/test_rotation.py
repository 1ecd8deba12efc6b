"""A new encryption key: all rows of all tenants come under it while servers run, and what was lost is told."""

import asyncio
from pathlib import Path

import pytest

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.domain import integrations
from lakefront.domain.integrations import CredentialKeys, Endpoints
from lakefront.domain.integrations.rotation import Reencrypted, reencrypt, under_unknown_keys
from lakefront.errors import Forbidden
from lakefront.settings import Settings
from tests.actors import of_role
from tests.domain.integrations.keepers import ACME, OTHER, SECRET, Keeping, admin

TENANTS = (ACME, "globex")


@pytest.fixture
async def keeping(database: Database, tmp_path: Path) -> Keeping:
    """Two tenants with two integrations each, under a key of a file."""
    made = Keeping.on(database, of_file(tmp_path))
    for tenant in TENANTS:
        await made.add_city(tenant=tenant)
        await made.put(tenant, credentials={"api_key": f"{SECRET} of {tenant}"})
        await made.put(tenant, provider="skies", city="", credentials={"app_id": f"{OTHER} of {tenant}"})
    return made


def of_file(folder: Path) -> CredentialKeys:
    return CredentialKeys.load_or_create(Settings(data=folder))


async def secrets(endpoints: Endpoints) -> list[dict[str, str]]:
    """All that adapters are given."""
    endpoints.changed()
    return [dict(one.credentials) for tenant in TENANTS for _, one in sorted((await endpoints.all(tenant)).items())]


async def test_all_rows_come_under_the_new_key(
    keeping: Keeping, provisioner: Database, database: Database, tmp_path: Path, actor: Actor
) -> None:
    before, rows = await secrets(keeping.endpoints), await integrations.integrations(keeping, admin())
    assert len(before) == 4
    other = of_file(tmp_path)
    new = other.add()
    assert await reencrypt(provisioner, database, actor, other) == Reencrypted(4, ())
    assert await reencrypt(provisioner, database, actor, other) == Reencrypted(0, ())
    assert await secrets(keeping.endpoints) == before, "a server that runs finds the new key"
    only_new = CredentialKeys([other._keys[new]])
    assert await secrets(Endpoints(database, only_new)) == before
    assert await integrations.integrations(keeping, admin()) == rows, "nothing that is told has changed"


async def test_who_writes_meanwhile_loses_nothing(
    keeping: Keeping, provisioner: Database, database: Database, tmp_path: Path, actor: Actor
) -> None:
    for _ in range(5):
        other = of_file(tmp_path)
        other.add()
        turned = asyncio.create_task(reencrypt(provisioner, database, actor, other))
        made = await asyncio.gather(
            *(integrations.rotate(keeping, admin(), "parcels", "bos", {"api_key": f"{n}"}) for n in range(3))
        )
        await turned
        newest = max(change.integration.version for change in made)
        [expected] = [n for n, change in enumerate(made) if change.integration.version == newest]
        found = await keeping.endpoints.require(ACME, "parcels", "bos")
        assert found.credentials == {"api_key": f"{expected}"}
        assert (await reencrypt(provisioner, database, actor, other)).unreadable == ()
        assert await under_unknown_keys(provisioner, CredentialKeys([other._keys[other.current]])) == 0


async def test_what_cannot_be_read_stays_and_is_told(
    keeping: Keeping, provisioner: Database, database: Database, tmp_path: Path, actor: Actor
) -> None:
    (tmp_path / "lost").mkdir()
    lost = of_file(tmp_path / "lost")
    elsewhere = Keeping(database, Endpoints(database, lost))
    await elsewhere.put("globex", provider="skies", city="", credentials={"app_id": "x"})
    keys = of_file(tmp_path)
    assert await under_unknown_keys(provisioner, keys) == 1
    keys.add()
    report = await reencrypt(provisioner, database, actor, keys)
    assert report == Reencrypted(3, (f"globex skies (key {lost.current})",))
    assert (await elsewhere.endpoints.require("globex", "skies")).credentials == {"app_id": "x"}


async def test_it_is_for_who_runs_the_server(keeping: Keeping, provisioner: Database, database: Database) -> None:
    for actor in (of_role("admin", ACME), of_role("staff")):
        with pytest.raises(Forbidden):
            await reencrypt(provisioner, database, actor, keeping.endpoints.keys)
