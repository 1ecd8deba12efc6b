"""Arguments that mean nothing in particular are refused, with the path of the field and what to do."""

from typing import Any

import pytest

from lakefront.graphql.declare.cursors import decode, encode
from tests.graphql.conftest import Ask
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

REFUSED: list[tuple[str, str]] = [
    ("filter: {}", "filter"),
    ("filter: {neighborhood: {}}", "filter.neighborhood"),
    ("filter: {neighborhood: null}", "filter.neighborhood"),
    ("filter: {neighborhood: {eq: null}}", "filter.neighborhood.eq"),
    ("filter: {neighborhood: {isNull: null}}", "filter.neighborhood.isNull"),
    ("filter: {neighborhood: {in: []}}", "filter.neighborhood.in"),
    ("filter: {neighborhood: {notIn: []}}", "filter.neighborhood.notIn"),
    ('filter: {neighborhood: {in: ["' + '","'.join(["x"] * 1001) + '"]}}', "filter.neighborhood.in"),
    ('filter: {neighborhood: {eq: "a\\u0000"}}', "filter.neighborhood.eq"),
    ('filter: {neighborhood: {in: ["a", "\\u0000"]}}', "filter.neighborhood.in[1]"),
    ('filter: {neighborhood: {like: "%\\\\"}}', "filter.neighborhood.like"),
    ("filter: {estimatedCost: {between: [1]}}", "filter.estimatedCost.between"),
    ("filter: {or: []}", "filter.or"),
    ("filter: {and: []}", "filter.and"),
    ("filter: {or: [{adu: {eq: true}}, {}]}", "filter.or[1]"),
    ("filter: {not: {}}", "filter.not"),
    ("filter: {not: null}", "filter.not"),
    ("filter: {events: {}}", "filter.events"),
    ("filter: {events: {some: {}}}", "filter.events.some"),
    ("filter: {latestInspection: {}}", "filter.latestInspection"),
    (
        "filter: {addresses: {some: {location: {near: {latitude: 91, longitude: 0, meters: 1}}}}}",
        "filter.addresses.some.location.near",
    ),
    ("filter: " + "{not: " * 10 + "{adu: {eq: true}}" + "}" * 10, "filter" + ".not" * 10),
    ("orderBy: [{}]", "orderBy[0]"),
    ("orderBy: [{status: ASC, adu: DESC}]", "orderBy[0]"),
    ("orderBy: [{status: null}]", "orderBy[0].status"),
    ("orderBy: [{status: ASC}, {status: DESC}]", "orderBy[1]"),
    ("orderBy: [{latestInspection: {}}]", "orderBy[0].latestInspection"),
    ("first: -1", "first"),
    ("first: 1001", "first"),
    ("last: 1001", "last"),
    ("first: 1, last: 1", "last"),
    ('after: ""', "after"),
    ('after: "x"', "after"),
    ('after: "ü"', "after"),
    ('before: "W10"', "before"),
]


@pytest.mark.parametrize(
    ("arguments", "path"), REFUSED, ids=[path + str(place) for place, (_, path) in enumerate(REFUSED)]
)
async def test_refused_with_the_path(ask: Ask, arguments: str, path: str) -> None:
    answer = await ask(f"{{ permits({arguments}) {{ nodes {{ permitId }} }} }}")
    (error,) = answer["errors"]
    assert error["extensions"]["errorCode"] == "validation_error"
    assert [detail["field"] for detail in error["extensions"]["details"]] == [path]
    assert error["path"] == ["permits"]


async def test_a_filter_has_a_bound_number_of_conditions(ask: Ask) -> None:
    document = "query ($filter: PermitFilter) { permits(filter: $filter) { totalCount } }"
    answer = await ask(document, filter={"or": [{"adu": {"eq": True}}] * 500})
    assert [detail["field"] for detail in answer["errors"][0]["extensions"]["details"]] == ["filter.or[499].adu"]


async def test_an_unknown_field_of_a_filter_is_refused_before_anything_runs(ask: Ask) -> None:
    answer = await ask('{ permits(filter: {unknown: {eq: "x"}}) { nodes { permitId } } }')
    assert "data" not in answer


@pytest.mark.parametrize("name", ["filter", "orderBy", "first", "after", "last", "before"])
async def test_null_for_a_whole_argument_counts_as_left_out(ask: Ask, city: None, name: str) -> None:
    answer = await ask(f"{{ permits({name}: null) {{ nodes {{ permitId }} }} }}")
    assert len(answer["data"]["permits"]["nodes"]) == 20


async def test_a_cursor_belongs_to_its_order_and_type(ask: Ask, city: None) -> None:
    page = await ask("{ permits(first: 1) { pageInfo { endCursor } } }")
    cursor = page["data"]["permits"]["pageInfo"]["endCursor"]
    document = "query ($after: String) { permits(after: $after%s) { nodes { permitId } } }"
    assert "errors" not in await ask(document % "", after=cursor)
    elsewhere = "query ($after: String) { permitEvents(after: $after) { nodes { eventId } } }"
    for other in (document % ", orderBy: [{permitId: DESC}]", elsewhere):
        (error,) = (await ask(other, after=cursor))["errors"]
        assert "another field or another orderBy" in error["message"]


async def test_a_made_up_cursor_never_reaches_the_database(ask: Ask, city: None) -> None:
    page = await ask("{ permitEvents(first: 1) { pageInfo { endCursor } } }")
    mark, *values = decode(page["data"]["permitEvents"]["pageInfo"]["endCursor"])
    document = "query ($after: String) { permitEvents(after: $after) { nodes { eventId } } }"
    wrong: list[list[Any]] = [
        [],
        values[:2],
        ["x", 0, 0],
        [values[0], "0", 0],
        [values[0], 0, 2**70],
        [values[0], True, 0],
    ]
    for made_up in wrong:
        (error,) = (await ask(document, after=encode([mark, *made_up])))["errors"]
        assert error["extensions"]["errorCode"] == "validation_error"
    for possible in (values, [values[0], 40_000, 0]):
        assert "errors" not in await ask(document, after=encode([mark, *possible]))
