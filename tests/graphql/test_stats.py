"""Aggregates over groups, against the same sums in Python."""

from collections import defaultdict
from typing import Any

import pytest

from tests.city import COUNT, permit
from tests.graphql.conftest import Ask, RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

ROWS = [permit(number) for number in range(COUNT)]


def _groups(key: str) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in ROWS:
        found[row[key]].append(row)
    return found


async def test_sums_by_neighborhood(ask_resolvers: Ask, city: None, recorder: RecordingDatabase) -> None:
    document = """{ permitStats(groupBy: [NEIGHBORHOOD], orderBy: [{sum: {estimatedCost: DESC}}]) {
      groups {
        key { neighborhood status } count
        sum { estimatedCost } avg { estimatedCost } min { filedAt } max { estimatedCost }
      }
      totalGroups } }"""
    answer = (await ask_resolvers(document))["data"]["permitStats"]
    assert len(recorder.statements) == 2
    groups = answer["groups"]
    assert answer["totalGroups"] == len(groups) == 5
    sums = [int(group["sum"]["estimatedCost"]) for group in groups]
    assert sums == sorted(sums, reverse=True)
    for group in groups:
        rows = _groups("neighborhood")[group["key"]["neighborhood"]]
        costs = [row["estimated_cost"] for row in rows if row["estimated_cost"] is not None]
        assert group["count"] == len(rows)
        assert group["sum"]["estimatedCost"] == str(sum(costs))
        assert group["avg"]["estimatedCost"] == pytest.approx(sum(costs) / len(costs))
        assert group["max"]["estimatedCost"] == max(costs)
        assert group["key"]["status"] is None
        assert group["min"]["filedAt"].startswith("2024-01-")


async def test_by_month_and_several_keys(ask: Ask, city: None) -> None:
    document = """{ permitStats(groupBy: [FILED_AT_MONTH, STATUS], first: 1000, filter: {filedAt: {isNull: false}}) {
      groups { key { filedAtMonth status } count } } }"""
    groups = (await ask(document))["data"]["permitStats"]["groups"]
    assert {group["key"]["filedAtMonth"] for group in groups} == {"2024-01-01"}
    assert [group["key"]["status"] for group in groups] == ["complete", "filed", "issued", None]
    assert sum(group["count"] for group in groups) == sum(row["filed_at"] is not None for row in ROWS)


async def test_having_order_and_limit(ask: Ask, city: None) -> None:
    document = """{ permitStats(
        groupBy: [ESTIMATED_COST], first: 2,
        having: {count: {gt: 8}, max: {estimatedCost: {lt: 5000}}},
        orderBy: [{count: DESC}, {key: {estimatedCost: DESC_NULLS_LAST}}]
      ) { groups { key { estimatedCost } count } totalGroups } }"""
    answer = (await ask(document))["data"]["permitStats"]
    wanted = sorted(
        ((len(rows), cost) for cost, rows in _groups("estimated_cost").items() if cost is not None and cost < 5000),
        reverse=True,
    )
    wanted = [(count, cost) for count, cost in wanted if count > 8]
    assert [(group["count"], group["key"]["estimatedCost"]) for group in answer["groups"]] == wanted[:2]
    assert answer["totalGroups"] == len(wanted)


async def test_all_rows_are_one_group_even_when_there_is_none(ask: Ask, city: None) -> None:
    document = """query ($filter: PermitFilter) { permitStats(filter: $filter) {
      groups { count sum { revisedCost } max { updatedAt } } } }"""
    (group,) = (await ask(document))["data"]["permitStats"]["groups"]
    assert group["count"] == COUNT
    assert group["max"]["updatedAt"] == "2024-01-01T00:00:00+00:00"
    (empty,) = (await ask(document, filter={"status": {"eq": "none"}}))["data"]["permitStats"]["groups"]
    assert empty == {"count": 0, "sum": {"revisedCost": None}, "max": {"updatedAt": None}}


async def test_what_is_selected_through_fragments_and_aliases_is_computed(ask: Ask, city: None) -> None:
    document = """
    fragment Sums on PermitGroup { total: sum { ...Cost } ... on PermitGroup { n: count } }
    fragment Cost on PermitSum { dollars: revisedCost }
    { stats: permitStats { all: groups { ...Sums } } }"""
    answer = await ask(document)
    total = sum(row["revised_cost"] or 0 for row in ROWS)
    assert answer["data"] == {"stats": {"all": [{"total": {"dollars": str(total)}, "n": COUNT}]}}


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("groupBy: []", "groupBy"),
        ("groupBy: [STATUS, STATUS]", "groupBy"),
        ("first: 1001", "first"),
        ("having: {}", "having"),
        ("having: {count: {}}", "having.count"),
        ("having: {sum: {}}", "having.sum"),
        ("having: {sum: {estimatedCost: {gt: null}}}", "having.sum.estimatedCost.gt"),
        ("orderBy: [{}]", "orderBy[0]"),
        ("orderBy: [{sum: {}}]", "orderBy[0].sum"),
        ("orderBy: [{key: {status: ASC}}]", "orderBy[0].key.status"),
        ("filter: {}", "filter"),
    ],
)
async def test_refused_with_the_path(ask: Ask, arguments: str, path: str) -> None:
    (error,) = (await ask(f"{{ permitStats({arguments}) {{ groups {{ count }} }} }}"))["errors"]
    assert [detail["field"] for detail in error["extensions"]["details"]] == [path]


@pytest.mark.parametrize("arguments", ["", "(groupBy: [STATUS])"])
async def test_keys_that_are_not_grouped_by_are_null(ask: Ask, city: None, arguments: str) -> None:
    answer = await ask(f"{{ permitStats{arguments} {{ groups {{ key {{ zipcode filedAtMonth }} count }} }} }}")
    assert "errors" not in answer
    assert {group["key"]["zipcode"] for group in answer["data"]["permitStats"]["groups"]} == {None}
