"""The lake's objects through the schema: pages by the time of their opening, and where to download them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakefront.actor import CITY
from lakefront.db.database import Database
from tests.actors import of_role
from tests.graphql.conftest import Ask, RecordingDatabase

STREAM = "sf-permit-events"
START = datetime(2024, 1, 15, 10, tzinfo=UTC)
COUNT = 30

PAGE = """
query ($stream: ID!, $from: DateTime, $to: DateTime, $first: Int, $after: String, $last: Int, $before: String) {
  lakeObjects(stream: $stream, from: $from, to: $to, first: $first, after: $after, last: $last, before: $before) {
    totalCount nodes { key openedAt } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor startCursor }
  }
}
"""

_MANIFEST = """
INSERT INTO lakefront.lake_objects (tenant_id, stream, shard, from_offset, until_offset, key, compression, sha256,
  stored_bytes, raw_bytes, event_count, opened_at, sealed_at, least_occurred_at, greatest_occurred_at)
VALUES ($1, $2, $3, $4, $4::bigint + 10, $5, 'gzip', $6, 5000000000, 9000000000, 10, $7, $7, $7, $7)
"""


def key(number: int) -> str:
    """Two shards take turns, and each pair of objects opened at the same time."""
    return f"{STREAM}/batch-{number:03}.json.gz"


@pytest.fixture
async def lake(database: Database) -> None:
    """Thirty objects, two opened every half hour, and one of another tenant and of another stream."""
    for tenant, stream, prefix, count in ((CITY, STREAM, "", COUNT), (CITY, "x", "x/", 1), ("other", STREAM, "o/", 1)):
        async with database.transaction(tenant) as transaction:
            for number in range(count):
                opened = START + timedelta(minutes=30 * (number // 2))
                place: tuple[Any, ...] = (tenant, stream, number % 2, number // 2 * 10, prefix + key(number))
                await transaction.execute(_MANIFEST, *place, f"{number:064x}", opened)


async def page(ask: Ask, **variables: Any) -> Any:
    answer = await ask(PAGE, **{"stream": STREAM, **variables})
    assert "errors" not in answer, answer
    return answer["data"]["lakeObjects"]


async def test_pages_in_the_order_of_their_opening(ask: Ask, lake: None) -> None:
    found: list[str] = []
    after = None
    while True:
        part = await page(ask, first=7, after=after)
        assert part["totalCount"] == COUNT
        found += [node["key"] for node in part["nodes"]]
        after = part["pageInfo"]["endCursor"]
        if not part["pageInfo"]["hasNextPage"]:
            break
    assert found == [key(number) for number in range(COUNT)]
    back = await page(ask, last=3, before=part["edges"][0]["cursor"])
    assert [node["key"] for node in back["nodes"]] == [key(number) for number in (25, 26, 27)]


async def test_a_range_is_half_open(ask: Ask, lake: None) -> None:
    whole = await page(ask, **{"from": "2024-01-15T10:30:00Z", "to": "2024-01-15T12:00:00+01:00"})
    assert [node["key"] for node in whole["nodes"]] == [key(2), key(3)]
    assert {node["openedAt"] for node in whole["nodes"]} == {"2024-01-15T10:30:00+00:00"}
    late = await page(ask, **{"from": "2024-01-15T17:00:00Z"})
    assert [node["key"] for node in late["nodes"]] == [key(28), key(29)]
    assert late["totalCount"] == 2
    early = await page(ask, to="2024-01-15T10:00:00.000001Z")
    assert [node["key"] for node in early["nodes"]] == [key(0), key(1)]


async def test_all_that_the_manifest_knows(ask: Ask, lake: None) -> None:
    fields = "stream shard fromOffset untilOffset key compression sha256 storedBytes rawBytes eventCount openedAt"
    more = "sealedAt leastOccurredAt greatestOccurredAt downloadUrl"
    answer = await ask(f'{{ lakeObjects(stream: "{STREAM}", first: 1) {{ nodes {{ {fields} {more} }} }} }}')
    moment = "2024-01-15T10:00:00+00:00"
    assert answer["data"]["lakeObjects"]["nodes"] == [
        {
            "stream": STREAM,
            "shard": 0,
            "fromOffset": "0",
            "untilOffset": "10",
            "key": key(0),
            "compression": "gzip",
            "sha256": "0" * 64,
            "storedBytes": "5000000000",
            "rawBytes": "9000000000",
            "eventCount": 10,
            "openedAt": moment,
            "sealedAt": moment,
            "leastOccurredAt": moment,
            "greatestOccurredAt": moment,
            "downloadUrl": f"/lake/{key(0)}",
        }
    ]


@pytest.mark.parametrize(
    ("variables", "code", "told"),
    [
        ({"stream": "permits"}, "NOT_FOUND", "The streams are: sf-permit-events"),
        ({"stream": "x"}, "NOT_FOUND", "no such stream"),
        ({"from": "2024-01-15T10:00:00Z", "to": "2024-01-15T10:00:00Z"}, "VALIDATION_ERROR", "later than from"),
        ({"first": 1, "last": 1}, "VALIDATION_ERROR", "exclude each other"),
        ({"first": 2000}, "VALIDATION_ERROR", "0 to 1000"),
        ({"after": "x"}, "VALIDATION_ERROR", "after"),
    ],
)
async def test_what_is_refused(ask: Ask, lake: None, variables: dict[str, Any], code: str, told: str) -> None:
    answer = await ask(PAGE, **{"stream": STREAM, **variables})
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert told in answer["errors"][0]["message"]


@pytest.mark.parametrize("role", ["ingest", "monitor"])
async def test_the_scope_of_the_stream_is_asked_for(ask: Ask, lake: None, role: str) -> None:
    answer = await ask(PAGE, asking=of_role(role), stream=STREAM)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_another_tenants_objects_stay_theirs(ask: Ask, lake: None) -> None:
    answer = await ask(PAGE, asking=of_role("reader", "other"), stream=STREAM)
    assert [node["key"] for node in answer["data"]["lakeObjects"]["nodes"]] == [f"o/{key(0)}"]


async def test_a_page_with_its_count_takes_two_statements(ask: Ask, lake: None, recorder: RecordingDatabase) -> None:
    await page(ask)
    assert len(recorder.statements) == 2
