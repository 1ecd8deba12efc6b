"""What rules look at, each made true in the database or at the simulated city: fires, and is over (C3, C12, C13)."""

from collections.abc import Sequence

import asyncpg
import pytest

from lakefront.actor import Actor
from lakefront.domain import alerts, integrations
from lakefront.domain.alerts import Comparison, Metric, RuleInput
from lakefront.domain.integrations import IntegrationInput
from lakefront.simulator import Simulator
from tests.domain.alerts.server import Server

_LETTER = """
INSERT INTO lakefront.dead_letters (tenant_id, letter_id, job_id, kind, key, provider, city, uncertain, error_code,
  error_message, attempts, trace_id, excerpt)
VALUES ('city', gen_random_uuid(), gen_random_uuid(), 'service_request.submit', 'k', 'nyc311', 'nyc', false,
  'upstream_error', 'm', 1, 't', '')
"""
_REQUEST = """
INSERT INTO lakefront.service_requests (tenant_id, request_id, city, provider, source, state, filed_at, checked_at,
  reported_at, state_at, updated_at, version, test, external_id,
  trace_id, attributes)
VALUES ('city', 'sr-{state}', 'nyc', 'nyc311', 'lakefront', '{state}', now(), now() - interval '4 hours', now(), now(),
  now(), 1, false, 'E-1', 't', '{{}}')
"""
_QUOTA = """
INSERT INTO lakefront.provider_quotas (tenant_id, provider, city, lane, day, used, quota)
VALUES ('city', 'geoclient', 'nyc', '{lane}', (now() AT TIME ZONE 'UTC')::date - {ago}, {used}, 1000)
"""


async def run(server: Server, *statements: str) -> None:
    """As the operator of the database."""
    connection = await asyncpg.connect(server.services.database.dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def told(server: Server) -> list[tuple[str, str, str]]:
    """Rule, state and summary of the alerts."""
    return sorted((row["rule_id"], row["state"], row["summary"]) for row in await server.rows())


WORSE: Sequence[tuple[str, str, str]] = [
    (_LETTER, "dead-letters", "1 dead letters of nyc311 of nyc wait for a person"),
    (
        _REQUEST.format(state="UNCERTAIN"),
        "requests-uncertain",
        "1 service requests of nyc311 of nyc may or may not have been filed",
    ),
    (
        _REQUEST.format(state="OPEN"),
        "poller-behind",
        "Service requests of nyc311 of nyc were not asked after for 14400 s",
    ),
    (_QUOTA.format(lane="", ago=0, used=900), "quota-low", "10 % of today's quota of geoclient of nyc is left"),
]
WELL = (
    "UPDATE lakefront.dead_letters SET state = 'DISCARDED', decided_at = now()",
    "UPDATE lakefront.service_requests SET state = 'CLOSED'",
    "UPDATE lakefront.provider_quotas SET used = 899",
)


@pytest.mark.parametrize(("worse", "rule", "summary"), WORSE)
async def test_what_is_wrong_fires_and_is_over_when_it_is_well(
    server: Server, worse: str, rule: str, summary: str
) -> None:
    await server.look(2)
    assert await told(server) == []
    await run(server, worse)
    await server.look(2)
    assert await told(server) == [(rule, "FIRING", summary)]
    await run(server, *WELL)
    await server.look(4)
    assert [(which, state) for which, state, _ in await told(server)] == [(rule, "RESOLVED")]


async def test_yesterdays_quota_and_a_second_key_that_is_well_say_nothing(server: Server) -> None:
    await run(server, _QUOTA.format(lane="", ago=1, used=1000), _QUOTA.format(lane="second", ago=0, used=10))
    await server.look()
    assert await told(server) == []


async def test_refused_credentials_are_told_until_they_are_renewed(
    server: Server, actor: Actor, simulator: Simulator
) -> None:
    [door] = [each for each in simulator.endpoints() if each["provider"] == "geoclient"][:1]
    wrong = dict.fromkeys(door["credentials"], "wrong")
    await integrations.upsert(server.services, actor, IntegrationInput(**{**door, "credentials": wrong}))
    await server.call()
    await server.look()
    assert await told(server) == [("credentials-refused", "FIRING", "geoclient of nyc refuses our credentials")]
    await integrations.upsert(server.services, actor, IntegrationInput(**door))
    await server.look(4)  # nobody has called it since: a changed row begins anew
    assert [state for _, state, _ in await told(server)] == ["RESOLVED"]


async def test_a_disabled_rule_fires_nothing_and_its_alerts_are_over(server: Server, actor: Actor) -> None:
    await run(server, _LETTER)
    await server.look()
    await alerts.upsert(server.services, actor, RuleInput(rule_id="dead-letters", enabled=False))
    await server.look(4)
    assert [state for _, state, _ in await told(server)] == ["RESOLVED"]


async def test_a_rule_of_ones_own_waits_for_as_long_as_it_says(server: Server, actor: Actor) -> None:
    metric, comparison = Metric.QUOTA_REMAINING_PERCENT, Comparison.LT
    half_way = RuleInput(
        rule_id="half-way",
        metric=metric,
        comparison=comparison,
        threshold=50.0,
        provider="geoclient",
        for_seconds=1,
        level=3,
    )
    await alerts.upsert(server.services, actor, half_way)
    await run(server, _QUOTA.format(lane="", ago=0, used=600))
    await server.look(2)
    assert await told(server) == []
    assert len(await server.rows("alert_turns")) == 1
    await run(server, "UPDATE lakefront.alert_turns SET since = now() - interval '1 second'")
    await server.look()
    assert [(which, state) for which, state, _ in await told(server)] == [("half-way", "FIRING")]
    assert await server.rows("alert_turns") == []
