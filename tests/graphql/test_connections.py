"""Relay's rules for pages, through GraphQL, and how little is read for them."""

from typing import Any

import pytest

from lakefront.actor import PERMITS_WRITE, Actor
from tests.graphql.conftest import Ask, RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

PAGE = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  permits(first: $first, after: $after, last: $last, before: $before, orderBy: [{estimatedCost: DESC_NULLS_LAST}]) {
    edges { cursor node { permitId estimatedCost } }
    nodes { permitId }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}
"""


async def test_forward_through_all_pages(ask: Ask, city: None) -> None:
    seen: list[dict[str, Any]] = []
    after: str | None = None
    more = True
    while more:
        page = (await ask(PAGE, first=7, after=after))["data"]["permits"]
        assert page["totalCount"] == 60
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert [node["permitId"] for node in page["nodes"]] == [edge["node"]["permitId"] for edge in page["edges"]]
        seen += [edge["node"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    costs = [node["estimatedCost"] for node in seen]
    known = [cost for cost in costs if cost is not None]
    assert len(seen) == 60
    assert known == sorted(known, reverse=True)
    assert costs == known + [None] * (60 - len(known))


async def test_backward_is_the_same_order(ask: Ask, city: None) -> None:
    whole = (await ask(PAGE, first=60))["data"]["permits"]["nodes"]
    last = (await ask(PAGE, last=10))["data"]["permits"]
    assert last["nodes"] == whole[-10:]
    assert (last["pageInfo"]["hasPreviousPage"], last["pageInfo"]["hasNextPage"]) == (True, False)
    before = (await ask(PAGE, last=50, before=last["pageInfo"]["startCursor"]))["data"]["permits"]
    assert before["nodes"] == whole[:-10]
    assert (before["pageInfo"]["hasPreviousPage"], before["pageInfo"]["hasNextPage"]) == (False, True)


async def test_none_at_all(ask: Ask, city: None) -> None:
    page = (await ask(PAGE, first=0))["data"]["permits"]
    assert (page["edges"], page["nodes"]) == ([], [])
    assert page["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


@pytest.mark.parametrize(
    ("selection", "statements"),
    [
        ("__typename", 0),
        ("nodes { permitId }", 1),
        ("edges { cursor } nodes { permitId } pageInfo { hasNextPage }", 1),
        ("totalCount", 1),
        ("totalCount nodes { permitId }", 2),
        ("nodes { events { __typename } }", 1),
        ("nodes { events { totalCount } }", 2),
        ("nodes { events { totalCount nodes { eventId } pageInfo { hasNextPage } } }", 3),
        ("nodes { a: events(first: 1) { nodes { eventId } } b: events(first: 1) { edges { cursor } } }", 2),
        ("nodes { a: events(first: 1) { nodes { eventId } } b: events(first: 2) { nodes { eventId } } }", 3),
        ("nodes { events(first: 2) { nodes { permit { status events(first: 2) { nodes { eventId } } } } } }", 3),
    ],
)
async def test_only_what_is_selected_is_read(
    ask_resolvers: Ask, city: None, recorder: RecordingDatabase, selection: str, statements: int
) -> None:
    answer = await ask_resolvers(f"{{ permits {{ {selection} }} }}")
    assert "errors" not in answer
    assert len(recorder.statements) == statements


async def test_counts_of_related_rows(ask: Ask, city: None) -> None:
    document = "{ permits(first: 9) { nodes { events(filter: {eventType: {eq: PERMIT_FILED}}) { totalCount } } } }"
    nodes = (await ask(document))["data"]["permits"]["nodes"]
    assert [node["events"]["totalCount"] for node in nodes] == [0, 1, 1, 1, 2, 2, 2, 3, 0]


async def test_filters_on_related_rows_and_embedded_objects(ask: Ask, city: None) -> None:
    document = """query ($filter: PermitFilter) { permits(filter: $filter, first: 100) { nodes { permitId } } }"""

    async def found(filter_: object) -> list[str]:
        nodes = (await ask(document, filter=filter_))["data"]["permits"]["nodes"]
        return [node["permitId"] for node in nodes]

    assert await found({"latestInspection": {"type": {"eq": "final"}}}) == [f"P{n:03d}" for n in range(0, 60, 10)]
    assert await found({"events": {"none": {"shard": {"gte": 0}}}}) == [f"P{n:03d}" for n in range(0, 60, 8)]
    assert await found({"events": {"some": {"permit": {"neighborhood": {"eq": "Mission"}}}}, "adu": {"eq": True}}) == [
        f"P{n:03d}" for n in range(60) if n % 5 == 0 and n % 3 == 0 and n % 8
    ]
    near = {"latitude": 37.75, "longitude": -122.40, "meters": 250}
    assert await found({"addresses": {"some": {"location": {"near": near}}}}) == ["P049", "P050"]


async def test_another_tenant_sees_nothing_of_it(ask: Ask, city: None) -> None:
    other = Actor("someone", "other", frozenset({"permits:read"}))
    document = """{ permits { totalCount nodes { neighborhood addresses { block } events { nodes { eventId } } } }
      permitEvents { nodes { eventId permit { neighborhood } } } permitStats { groups { count } } }"""
    data = (await ask(document, other))["data"]
    assert data == {
        "permits": {
            "totalCount": 1,
            "nodes": [
                {
                    "neighborhood": "Secret",
                    "addresses": [{"block": "secret"}],
                    "events": {"nodes": [{"eventId": "secret"}]},
                }
            ],
        },
        "permitEvents": {"nodes": [{"eventId": "secret", "permit": {"neighborhood": "Secret"}}]},
        "permitStats": {"groups": [{"count": 1}]},
    }


async def test_without_the_scope_nothing_is_read(ask: Ask, city: None, recorder: RecordingDatabase) -> None:
    writer = Actor("ingest", "city", frozenset({PERMITS_WRITE}))
    answer = await ask("{ permits { nodes { permitId } } }", writer)
    assert answer["errors"][0]["extensions"]["errorCode"] == "forbidden"
    assert not recorder.statements


async def test_nested_lists_multiply_up_to_a_limit(ask: Ask, city: None) -> None:
    def nested(levels: int) -> str:
        inner = nested(levels - 1) if levels else "permitId"
        return f"events(first: 1000) {{ nodes {{ permit {{ {inner} }} }} }}" if levels else inner

    assert "errors" not in await ask(f"{{ permits(first: 60) {{ nodes {{ {nested(1)} }} }} }}")
    refused = await ask(f"{{ permits(first: 60) {{ nodes {{ {nested(4)} }} }} }}")
    assert {error["extensions"]["code"] for error in refused["errors"]} == {"OPERATION_REFUSED"}
