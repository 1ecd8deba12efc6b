"""Dead letters in GraphQL: filtered, ordered, paged, decided on by those who may (C12)."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.actors import of_role
from tests.graphql.conftest import Ask

PUT = """
INSERT INTO lakefront.outbox (tenant_id, job_id, kind, key, provider, city, payload, trace_id, state)
SELECT $1, ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'notice.send', 'n' || n,
  (ARRAY['sendgrid', 'twilio'])[1 + n % 2], '', '{}', 't', CASE n WHEN 0 THEN 'UNCERTAIN' ELSE 'DEAD' END
FROM generate_series(0, $2 - 1) n
"""
BURY = """
INSERT INTO lakefront.dead_letters (tenant_id, letter_id, job_id, kind, key, provider, city, uncertain, error_code,
  error_message, attempts, trace_id, excerpt, died_at)
SELECT tenant_id, replace(job_id::text, '-0001-', '-0002-')::uuid, job_id, kind, key, provider, city,
  state = 'UNCERTAIN', 'upstream_error', 'It failed.', 3, trace_id, '{notice_id: text(8)}',
  timestamptz '2026-01-01' + make_interval(hours => right(key, -1)::int)
FROM lakefront.outbox WHERE state <> 'QUEUED'
"""
REPLAY = """mutation ($id: ID!, $sure: Boolean, $key: String, $dry: Boolean) {
  made: replayDeadLetter(letterId: $id, notCarriedOut: $sure, idempotencyKey: $key, dryRun: $dry) {
    deadLetter { letterId state decidedAt decidedBy } report { changes outsideCalls } } }"""
DISCARD = "mutation ($id: ID!) { made: discardDeadLetter(letterId: $id) { deadLetter { state } report { changes } } }"
EXPORT = "mutation ($dry: Boolean) { made: exportDeadLetters(dryRun: $dry) { keys letters report { changes } } }"


def letter_id(number: int) -> str:
    return str(UUID(f"00000000-0000-0000-0002-{number:012}"))


@pytest.fixture(autouse=True)
async def _letters(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(PUT.replace("$1", "'city'").replace("$2", "6"))
        await connection.execute(PUT.replace("$1", "'other'").replace("$2", "1"))
        await connection.execute(BURY)
    finally:
        await connection.close()


async def data(ask: Ask, document: str, **variables: Any) -> Any:
    answer = await ask(document, **variables)
    assert "errors" not in answer, answer
    return answer["data"]


async def test_they_are_filtered_ordered_and_paged(ask: Ask, ask_resolvers: Ask) -> None:
    document = """query ($after: String) { deadLetters(first: 2, after: $after, orderBy: [{diedAt: DESC}],
      filter: {provider: {eq: "sendgrid"}, state: {eq: WAITING}}) {
        totalCount nodes { letterId key uncertain errorCode excerpt diedAt replayAt } pageInfo { endCursor } } }"""
    assert await data(ask, document) == await data(ask_resolvers, document)
    first = (await data(ask, document))["deadLetters"]
    assert first["totalCount"] == 3
    assert [each["key"] for each in first["nodes"]] == ["n4", "n2"]
    assert first["nodes"][0]["diedAt"] == "2026-01-01T04:00:00+00:00"
    second = (await data(ask, document, after=first["pageInfo"]["endCursor"]))["deadLetters"]
    assert [(each["letterId"], each["uncertain"]) for each in second["nodes"]] == [(letter_id(0), True)]


async def test_one_is_found_by_its_id_and_as_a_node(ask: Ask) -> None:
    found = (await data(ask, "query ($id: ID!) { deadLetter(letterId: $id) { id key } }", id=letter_id(3)))[
        "deadLetter"
    ]
    assert found["key"] == "n3"
    node = await data(ask, "query ($id: ID!) { node(id: $id) { ... on DeadLetter { key state } } }", id=found["id"])
    assert node["node"] == {"key": "n3", "state": "WAITING"}


async def test_they_are_decided_on_once(ask: Ask) -> None:
    dry = (await data(ask, REPLAY, id=letter_id(1), dry=True))["made"]
    assert dry["report"] == {"changes": 1, "outsideCalls": 1}
    made = (await data(ask, REPLAY, id=letter_id(1), key="k"))["made"]
    assert (made["deadLetter"]["state"], made["deadLetter"]["decidedBy"], made["report"]) == (
        "REPLAYED",
        "lakefront",
        None,
    )
    assert (await data(ask, REPLAY, id=letter_id(1), key="k"))["made"] == made
    assert (await ask(REPLAY, id=letter_id(1)))["errors"][0]["extensions"]["code"] == "CONFLICT"
    assert (await data(ask, DISCARD, id=letter_id(0)))["made"]["deadLetter"]["state"] == "DISCARDED"
    assert (await ask(DISCARD, id="no id"))["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_they_are_exported(ask: Ask) -> None:
    made = (await data(ask, EXPORT))["made"]
    assert (made["letters"], len(made["keys"]), made["report"]) == (6, 1, None)
    assert (await data(ask, EXPORT, dry=True))["made"] == made | {"report": {"changes": 1}}


@pytest.mark.parametrize("document", [REPLAY, DISCARD, "query ($id: ID!) { deadLetter(letterId: $id) { key } }"])
async def test_staff_may_not(ask: Ask, document: str) -> None:
    answer = await ask(document, of_role("staff"), id=letter_id(1))
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
