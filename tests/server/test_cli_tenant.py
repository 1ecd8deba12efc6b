"""``lakefront tenant``: onboarded, suspended, resumed and listed from the command line."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from lakefront.db.database import Database
from lakefront.domain import api_keys
from tests.domain.tenants.traces import EVERYTHING, traces
from tests.server.forked import lakefront
from tests.server.test_cli import fails_plainly

Command = Callable[..., CompletedProcess[str]]

ACME = ("acme_corp", "--company", "Acme Corporation", "--email", "admin@acme.example", "--plan", "BASIC")


@pytest.fixture
def command(dsn: str, tmp_path: Path) -> Command:
    """``lakefront tenant`` on the test's database."""

    def run(*arguments: str) -> CompletedProcess[str]:
        return lakefront("tenant", *arguments, DATABASE_URL=dsn, LAKEFRONT_DATA=str(tmp_path))

    return run


async def test_a_tenant_from_its_dry_run_to_its_suspension(
    command: Command, database: Database, provisioner: Database
) -> None:
    tried = command("onboard", *ACME, "--dry-run")
    assert (tried.returncode, tried.stdout) == (0, "")
    assert tried.stderr.count("ok      ") == 9
    assert not await traces(provisioner, "acme_corp")
    made = command("onboard", *ACME)
    assert made.returncode == 0, made.stderr
    found = await api_keys.find(database, made.stdout.splitlines()[-1])
    assert found is not None
    assert found.tenant == "acme_corp"
    assert await traces(provisioner, "acme_corp") == EVERYTHING
    assert "suspended" in command("suspend", "acme_corp", "--reason", "unpaid").stdout
    acme, city = command("list").stdout.splitlines()
    assert acme.split() == ["acme_corp", "suspended", "BASIC", "Acme", "Corporation", "(unpaid)"]
    assert city.split()[:2] == ["city", "active"]
    assert " active " in command("resume", "acme_corp").stdout


def test_what_is_wrong_is_told_plainly(command: Command) -> None:
    refused = command("onboard", "admin", "--company", "Acme", "--email", "no address")
    fails_plainly(refused, "FAILED reserved_words This id is reserved.")
    assert "no address" not in refused.stderr
    fails_plainly(command("suspend", "nobody", "--reason", "unpaid"), "There is no such tenant.")
    fails_plainly(command("suspend", "city", "--reason", "unpaid"), "cannot be suspended")
