"""Computed fields are columns in all but name: to select, filter, order, group and aggregate, on every tier alike."""

import asyncio
import json
from dataclasses import replace
from datetime import date
from functools import cmp_to_key
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import strawberry
from sqlalchemy import Date, Text, cast, func, literal_column, select

from lakefront.actor import PERMITS_INSPECTOR, PERMITS_READ, Actor
from lakefront.db import query
from lakefront.db.database import APP_ROLE, connect
from lakefront.db.query import PageRequest, Source
from lakefront.db.statement import as_tenant
from lakefront.db.tables import permits
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Context
from lakefront.graphql.declare import (
    Record,
    column,
    computed,
    connection,
    embedded,
    lookup,
    permission,
    record,
    relation,
    stats,
)
from lakefront.graphql.node import Node
from lakefront.graphql.operations import Operations
from lakefront.graphql.scalars import BigInt
from lakefront.graphql.schema import build_schema
from tests.city import COUNT, permit
from tests.db.query.test_plans import FILL
from tests.graphql.conftest import RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

WORKS = Source("Work", permits.permits, key=("permit_id",), scope=PERMITS_READ)
SITES = Source("WorkSite", permits.permit_addresses, key=("permit_id", "address_id"), scope=PERMITS_READ)


@record()
class WorkDates(Record):
    """When."""

    created_on: date | None = column("As the table has it.")
    filed_on: date | None = computed("The day.", sql=lambda rows: cast(rows.c.filed_at, Date))


@record(SITES)
class WorkSite(Record):
    """Where."""

    address_id: strawberry.ID = column("Its id.")
    label: str = computed("In words.", sql=lambda rows: rows.c.permit_id + " at " + rows.c.address_id, never_null=True)
    work: "Work | None" = relation("What.", on={"permit_id": "permit_id"})


@record(WORKS)
class Work(Node):
    """A permit, reckoned with."""

    permit_id: strawberry.ID = column("Its number.")
    gap: int | None = computed("Dollars.", sql=lambda rows: rows.c.revised_cost - rows.c.estimated_cost)
    large: BigInt | None = computed("Much.", sql=lambda rows: rows.c.revised_cost * 10, ordered=False, grouped=False)
    title: str = computed(
        "In words.",
        sql=lambda rows: func.concat(rows.c.permit_id, ": it's 100% ", func.coalesce(rows.c.status, "?")),
        type_=Text,
        never_null=True,
    )
    doubled: int = computed("It is null all the same.", sql=lambda rows: rows.c.proposed_units * 2, never_null=True)
    dates: WorkDates | None = embedded("When.")
    sites: list[WorkSite] = relation("Where.", on={"permit_id": "permit_id"})
    around: Connection["Work"] = connection("Near.", on={"neighborhood": "neighborhood"})


@strawberry.type
class Query:
    """The questions of this domain."""

    work: Work | None = lookup("One.", by={"permitId": "Its number."}, requires=PERMITS_READ)
    works: Connection[Work] = connection("All.", requires=PERMITS_READ)
    work_stats = stats(Work, "In groups.", requires=PERMITS_READ)


OPERATIONS = {
    "one": '{work(permitId: "P001") {title gap large dates {filedOn createdOn} doubled}}',
    "none": '{work(permitId: "nowhere") {title doubled}}',
    "list": "{works(first: 60) {nodes {permitId a: gap b: gap large title dates {filedOn}}}}",
    "filter": '{works(first: 60, filter: {gap: {gt: 500}, not: {title: {like: "%\'s 100\\\\% issued"}}}) '
    "{totalCount nodes {permitId gap}}}",
    "null": "{works(filter: {or: [{gap: {isNull: true}}, {large: {in: [15000, 30000]}}]}) {totalCount}}",
    "embedded": '{works(filter: {dates: {filedOn: {eq: "2024-01-04"}}}, orderBy: [{dates: {filedOn: DESC}}]) '
    "{totalCount nodes {dates {filedOn}}}}",
    "related": '{works(first: 9, filter: {sites: {some: {label: {eq: "P001 at A0"}}}}) {nodes {title}}}',
    "groups": "{workStats(groupBy: [GAP], having: {max: {gap: {gte: 0}}}, orderBy: [{sum: {gap: DESC}}, "
    "{key: {gap: ASC}}]) {totalGroups groups {count key {gap} sum {gap large} avg {gap} min {gap}}}}",
    "sums": "{workStats {groups {count max {gap large} avg {large}}}}",
    "nested": "{works(first: 5, orderBy: [{title: DESC}]) {nodes {title sites {label work {gap title}} "
    "around(last: 2, orderBy: [{gap: ASC_NULLS_FIRST}]) {totalCount edges {cursor node {gap title}} "
    "pageInfo {startCursor}}}}}",
}


@pytest.fixture
def tiers(services: Services, recorder: RecordingDatabase) -> tuple[Operations, Operations]:
    """The same operations, compiled and by resolvers alone."""
    schema = build_schema([SimpleNamespace(Query=Query)])
    parts: Any = (schema, replace(services, database=recorder), Context.for_operation, permission)
    return Operations(*parts), Operations(*parts, compiled=False)


async def _ask(operations: Operations, actor: Actor, document: str) -> dict[str, Any]:
    answer = (await operations.execute(OperationRequest(document), actor, "trace")).payload()
    for error in answer.get("errors", ()):
        del error["extensions"]["timestamp"]
    return answer


@pytest.mark.parametrize("name", OPERATIONS)
async def test_all_tiers_answer_the_same(
    tiers: tuple[Operations, Operations], city: None, actor: Actor, name: str
) -> None:
    compiled, resolved = [await _ask(each, actor, OPERATIONS[name]) for each in tiers]
    assert compiled == resolved
    assert "errors" not in compiled
    assert tiers[0].runner.tiers == {1: 1}


def _gap(number: int) -> int | None:
    row = permit(number)
    known = row["revised_cost"] is not None and row["estimated_cost"] is not None
    return row["revised_cost"] - row["estimated_cost"] if known else None


async def test_it_is_what_sql_makes_of_the_row(tiers: tuple[Operations, Operations], city: None, actor: Actor) -> None:
    document = "{works(first: 60) {nodes {gap title dates {filedOn}} totalCount} workStats {groups {sum {gap}}}}"
    (data,) = [(await _ask(each, actor, document))["data"] for each in tiers[:1]]
    rows = [(number, permit(number)) for number in range(COUNT)]
    assert [node["gap"] for node in data["works"]["nodes"]] == [_gap(number) for number, _ in rows]
    titles = [f"{row['permit_id']}: it's 100% {row['status'] or '?'}" for _, row in rows]
    assert [node["title"] for node in data["works"]["nodes"]] == titles
    assert data["works"]["nodes"][1]["dates"] == {"filedOn": "2024-01-02"}
    assert data["workStats"]["groups"] == [{"sum": {"gap": str(sum(_gap(number) or 0 for number, _ in rows))}}]


@pytest.mark.parametrize("tier", [0, 1], ids=["compiled", "resolvers"])
@pytest.mark.parametrize("direction", ["ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_LAST"])
async def test_pages_follow_its_order_both_ways(
    tiers: tuple[Operations, Operations], city: None, actor: Actor, direction: str, tier: int
) -> None:
    expected = _in_order(direction)
    for size, cursor, more, edge in (
        ("first", "after", "hasNextPage", "endCursor"),
        ("last", "before", "hasPreviousPage", "startCursor"),
    ):
        found: list[int] = []
        place, going = "", True
        while going:
            wanted = f"nodes {{permitId}} pageInfo {{{more} {edge}}}"
            page = f"{{works({size}: 7, {place} orderBy: [{{gap: {direction}}}]) {{{wanted}}}}}"
            works = (await _ask(tiers[tier], actor, page))["data"]["works"]
            numbers = [int(node["permitId"][1:]) for node in works["nodes"]]
            found = [*found, *numbers] if size == "first" else [*numbers, *found]
            place, going = f'{cursor}: "{works["pageInfo"][edge]}"', works["pageInfo"][more]
        assert found == expected


def _in_order(direction: str) -> list[int]:
    descending = direction.startswith("DESC")
    nulls_first = direction in {"DESC", "ASC_NULLS_FIRST"}

    def compare(one: int, other: int) -> int:
        a, b = _gap(one), _gap(other)
        if a == b:
            found = -1 if one < other else 1
        elif a is None or b is None:
            return -1 if (a is None) is nulls_first else 1
        else:
            found = -1 if a < b else 1
        return -found if descending else found

    return sorted(range(COUNT), key=cmp_to_key(compare))


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ('{work(permitId: "P004") {permitId doubled}}', ["work", "doubled"]),
        ('{works(first: 1, filter: {permitId: {eq: "P008"}}) {nodes {x: doubled}}}', ["works", "nodes", 0, "x"]),
        ('{work(permitId: "P004") {sites {work {doubled}}}}', ["work", "sites", 0, "work", "doubled"]),
    ],
)
async def test_a_null_where_none_may_be_is_an_error_at_the_field(
    tiers: tuple[Operations, Operations], city: None, actor: Actor, document: str, path: list[str | int]
) -> None:
    compiled, resolved = [await _ask(each, actor, document) for each in tiers]
    assert compiled == resolved
    (error,) = compiled["errors"]
    assert error["path"] == path
    assert error["extensions"]["code"] == "INTERNAL_ERROR"


async def test_others_in_the_batch_do_not_suffer(
    tiers: tuple[Operations, Operations], city: None, actor: Actor
) -> None:
    documents = [f'{{work(permitId: "P00{number}") {{doubled}}}}' for number in (1, 2, 4, 5)]
    answers = await asyncio.gather(*(_ask(tiers[0], actor, document) for document in documents))
    assert [answer["data"]["work"] for answer in answers] == [{"doubled": 2}, {"doubled": 4}, None, {"doubled": 2}]


async def test_an_index_on_it_gives_its_order(dsn: str, actor: Actor) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute(FILL)
    await owner.execute(
        "CREATE INDEX by_gap ON lakefront.permits (tenant_id, (revised_cost - estimated_cost), permit_id);"
        "ANALYZE lakefront.permits"
    )
    await owner.close()
    request = PageRequest(WORKS.complete((WORKS.order_key("gap", descending=True),)), 5)
    sql, values = as_tenant("city", query.page(WORKS, actor, request))
    connection = await connect(dsn, APP_ROLE)
    try:
        plan = json.dumps(json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values)))
    finally:
        await connection.close()
    assert '"Index Name": "by_gap"' in plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


def _declare(sql: Any, annotation: Any = int | None, **more: Any) -> type[Record]:
    """A record of permits with one protected column and one computed field."""
    source = Source("Reckoned", permits.permits, key=("permit_id",), scope=PERMITS_READ, hidden=frozenset({"zipcode"}))
    members = {"inspector": str | None, "computed": annotation}
    made = {
        "__annotations__": members,
        "__doc__": "Made up.",
        "__module__": __name__,
        "inspector": column("Who.", requires=PERMITS_INSPECTOR),
        "computed": computed("Made of others.", sql=sql, **more),
    }
    return record(source)(type("Reckoned", (Record,), made))


def test_what_is_made_of_a_protected_column_must_require_its_scope() -> None:
    with pytest.raises(TypeError, match="computed shows inspector, which requires permits:inspector"):
        _declare(lambda rows: func.length(rows.c.inspector), type_=Date)
    made = _declare(lambda rows: func.length(rows.c.inspector), type_=Text, requires=PERMITS_INSPECTOR)
    assert made.record_source.protected == {"inspector": PERMITS_INSPECTOR, "computed": PERMITS_INSPECTOR}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (lambda rows: literal_column("inspector", Text), "cannot be seen"),
        (lambda rows: select(rows.c.units).scalar_subquery(), "cannot be seen"),
        (lambda rows: rows.c.zipcode, "reads zipcode"),
        (lambda rows: cast("1", Text), "reads none"),
        (lambda rows: rows.c.forgotten + 1, "forgotten"),
        (lambda rows: func.length(rows.c.status), "with type_"),
        (lambda rows: rows.c.issued_at - rows.c.filed_at, "with type_"),
    ],
)
def test_what_cannot_be_a_column_is_refused(sql: Any, told: str) -> None:
    with pytest.raises(TypeError, match=rf"Reckoned.computed: .*{told}"):
        _declare(sql)


def test_it_may_be_null_unless_it_says_not() -> None:
    with pytest.raises(TypeError, match="may be null"):
        _declare(lambda rows: rows.c.units + 1, int)
    _declare(lambda rows: rows.c.units + 1, int, never_null=True)


def test_a_column_of_its_name_is_refused() -> None:
    with pytest.raises(TypeError, match="permits has a column status"):

        @record(Source("Twice", permits.permits, key=("permit_id",), scope=PERMITS_READ))
        class Twice(Record):
            """Wrong."""

            status: str | None = computed("Another.", sql=lambda rows: rows.c.type)
