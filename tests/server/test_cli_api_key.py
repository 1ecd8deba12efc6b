"""``lakefront api-key``: keys made, listed, rotated and revoked from the command line."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from lakefront.db.database import Database
from lakefront.domain import api_keys
from tests.server.forked import lakefront
from tests.server.test_cli import fails_plainly

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def command(dsn: str, tmp_path: Path) -> Command:
    """``lakefront`` on the test's database."""

    def run(*arguments: str) -> CompletedProcess[str]:
        return lakefront(*arguments, DATABASE_URL=dsn, LAKEFRONT_DATA=str(tmp_path))

    return run


async def test_a_key_from_its_making_to_its_end(command: Command, database: Database) -> None:
    made = command("api-key", "create", "Nightly load", "--role", "service", "--days", "30")
    assert made.returncode == 0, made.stderr
    first = made.stdout.splitlines()[-1]
    found = await api_keys.find(database, first)
    assert found is not None
    assert (found.roles, (found.expires_at - found.created_at).days) == (("service",), 30)
    assert str(found.key_id) in made.stderr
    rotated = command("api-key", "rotate", str(found.key_id), "--overlap-hours", "1")
    assert "holds 1 h more" in rotated.stderr
    second = rotated.stdout.splitlines()[-1]
    listed = command("api-key", "list").stdout
    assert first not in listed
    newest, oldest = listed.splitlines()
    assert " active " in newest
    assert f"{found.key_id}  {first.removeprefix('city_api_')[:8]}…  rotated " in oldest
    assert oldest.endswith("never used  service  Nightly load")
    for text in (first, second):
        assert await api_keys.find(database, text) is not None
    revoked = command("api-key", "revoke", str(found.key_id))
    assert " revoked " in revoked.stdout
    assert await api_keys.find(database, first) is None
    assert await api_keys.find(database, second) is not None


async def test_a_key_is_regenerated_and_the_last_admin_is_revoked_by_force(
    command: Command, database: Database
) -> None:
    first = command("api-key", "create", "CI", "--role", "admin").stdout.splitlines()[-1]
    found = await api_keys.find(database, first)
    assert found is not None
    regenerated = command("api-key", "rotate", str(found.key_id), "--overlap-hours", "0")
    assert "ends within a second" in regenerated.stderr
    assert await api_keys.find(database, first) is None
    second = await api_keys.find(database, regenerated.stdout.splitlines()[-1])
    assert second is not None
    fails_plainly(command("api-key", "revoke", str(second.key_id)), "the tenant's last API key")
    assert " revoked " in command("api-key", "revoke", str(second.key_id), "--force").stdout


def test_what_is_wrong_is_told_plainly(command: Command) -> None:
    create = ("api-key", "create", "CI", "--role")
    fails_plainly(command(*create, "emperor"), "There is no role 'emperor'")
    fails_plainly(command(*create, "reader", "--tenant", "nobody"), "There is no such tenant.")
    fails_plainly(command("api-key", "revoke", "x"), "has no API key with that id")
    ingest_token = ("ingest-token", "rotate", "--tenant")
    fails_plainly(command(*ingest_token, "nobody"), "There is no such tenant.")
