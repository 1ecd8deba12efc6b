"""The crash test in its short form; `make chaos` is the long one."""

import pytest

from tests.chaos.scenario import Plan, one_server, two_servers


@pytest.mark.timeout(240)
async def test_what_was_acknowledged_survives_kills_of_the_server_and_of_postgresql() -> None:
    journal = await one_server(Plan(kills=2, postgres_kills=1, seed=7, rate=300))
    assert not journal.violations, "\n".join(journal.violations)
    assert journal.counts["kills of a server"] == 2
    assert journal.counts["kills of PostgreSQL"] == 1
    assert journal.acknowledged


@pytest.mark.timeout(240)
async def test_the_same_holds_for_two_servers_on_one_database() -> None:
    journal = await two_servers(Plan(kills=2, postgres_kills=1, seed=7, rate=300))
    assert not journal.violations, "\n".join(journal.violations)
    assert journal.counts["kills of a server"] == 2
    assert journal.counts["kills of PostgreSQL"] == 1
    assert journal.acknowledged
