"""The city's crash test in its short form; ``make chaos-city`` is the long one."""

import pytest

from tests.chaos.city.scenario import Plan, bad_days


@pytest.mark.timeout(300)
async def test_every_report_reaches_one_ticket_or_a_person() -> None:
    journal = await bad_days(Plan(reports=45, kills=2, redis_kills=1, seed=7, pause=0.5, patience=150))
    assert not journal.violations, "\n".join(journal.violations)
    assert journal.counts["kills of a server"] == 2
    assert journal.counts["kills of a redis"] == 1
    assert journal.counts["tickets at the city"] > 30
