"""Pages, filters and orders against plain Python over the same rows, on real PostgreSQL."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakefront.actor import system_actor
from lakefront.db import query
from lakefront.db.database import Database, Row
from lakefront.db.query import (
    PARENT,
    All,
    Compare,
    Either,
    Expression,
    Join,
    Operator,
    Opposite,
    OrderKey,
    PageRequest,
    Quantifier,
    Related,
    Source,
)
from lakefront.graphql.permits import ADDRESSES, EVENTS, PERMITS
from tests.city import COUNT, NEIGHBORHOODS, START
from tests.db.query.oracle import Oracle, in_order, parsed

TENANT = "city"
ACTOR, OTHER = system_actor(TENANT), system_actor("other")
PERMIT_EVENTS = Join(EVENTS, (("permit_id", "partition_key"),))
PERMIT_ADDRESSES = Join(ADDRESSES, (("permit_id", "permit_id"),))

on_the_city = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "permit_id": st.integers(0, COUNT).map(lambda number: f"P{number:03d}"),
    "neighborhood": st.sampled_from([*filter(None, NEIGHBORHOODS), "", "Mission ", "mission"]),
    "estimated_cost": st.integers(-1, 6).map(lambda thousands: thousands * 1000),
    "filed_at": st.integers(0, 14).map(lambda day: START.replace(day=day + 1)),
    "created_on": st.integers(1, 31).map(lambda day: START.date().replace(day=day)),
    "adu": st.booleans(),
}
PATTERNS = st.text(alphabet="Mis%_o", max_size=5) | st.sampled_from(["100\\%\\_odd%", "%\\\\one", "BERNAL%", "100%"])
COLUMNS = st.sampled_from(sorted(VALUES))


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    column = draw(COLUMNS)
    value = VALUES[column]
    operators = [Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN, Operator.IS_NULL]
    if column != "adu":
        operators += [Operator.LT, Operator.LTE, Operator.GT, Operator.GTE, Operator.BETWEEN]
    if column in {"neighborhood", "permit_id"}:
        operators += [Operator.LIKE, Operator.ILIKE, Operator.STARTS_WITH]
    operator = draw(st.sampled_from(operators))
    operands: dict[Operator, st.SearchStrategy[Any]] = {
        Operator.IN: st.lists(value, min_size=1, max_size=4).map(tuple),
        Operator.NOT_IN: st.lists(value, min_size=1, max_size=4).map(tuple),
        Operator.BETWEEN: st.tuples(value, value),
        Operator.LIKE: PATTERNS,
        Operator.ILIKE: PATTERNS,
        Operator.STARTS_WITH: st.sampled_from(["M", "100%", "100%_", "P0", ""]),
        Operator.IS_NULL: st.booleans(),
    }
    return Compare(column, operator, draw(operands.get(operator, value)))


EVENT_CONDITIONS = st.sampled_from(
    [
        Compare("event_type", Operator.EQ, "permit_filed"),
        Compare("occurred_at", Operator.GT, START),
        Compare("shard", Operator.IN, (1, 40_000)),
    ]
)
ADDRESS_CONDITIONS = st.sampled_from(
    [
        Compare("block", Operator.EQ, "0001"),
        Compare("latitude", Operator.IS_NULL, value=True),
        Compare("latitude", Operator.LT, 37.72),
        Opposite(Compare("primary", Operator.EQ, value=True)),
    ]
)
RELATED = st.builds(Related, st.just(PERMIT_EVENTS), st.sampled_from(Quantifier), EVENT_CONDITIONS) | st.builds(
    Related, st.just(PERMIT_ADDRESSES), st.sampled_from(Quantifier), ADDRESS_CONDITIONS
)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    comparisons() | RELATED,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: Either(tuple(parts)))
        | inner.map(Opposite)
    ),
    max_leaves=6,
)
ORDERS = st.lists(
    st.tuples(COLUMNS, st.booleans(), st.none() | st.booleans()), max_size=3, unique_by=lambda key: key[0]
).map(
    lambda keys: PERMITS.complete(
        tuple(PERMITS.order_key(name, descending=down, nulls_first=first) for name, down, first in keys)
    )
)


@pytest.fixture
async def oracle(database: Database, city: None) -> Oracle:
    tables = {}
    for source in (PERMITS, EVENTS, ADDRESSES):
        everything = query.page(source, ACTOR, PageRequest(source.complete(), 1000))
        tables[source.name] = [parsed(source, row) for row in await database.rows(TENANT, everything)]
    assert len(tables["Permit"]) == COUNT
    return Oracle(tables)


async def _read(database: Database, request: PageRequest) -> tuple[list[Row], bool]:
    rows = [parsed(PERMITS, row) for row in await database.rows(TENANT, query.page(PERMITS, ACTOR, request))]
    kept = rows[: request.limit]
    return (kept[::-1] if request.backward else kept), len(rows) > request.limit


def _position(order: tuple[OrderKey, ...], row: Row) -> tuple[Any, ...]:
    return tuple(row[key.column] for key in order)


@on_the_city
@given(EXPRESSIONS)
async def test_a_filter_and_its_opposite_select_what_python_selects(
    database: Database, oracle: Oracle, expression: Expression
) -> None:
    order = PERMITS.complete()
    for part in (expression, Opposite(expression)):
        rows, _ = await _read(database, PageRequest(order, 1000, part))
        assert rows == oracle.rows(PERMITS, part)
        counted = await database.rows(TENANT, query.count(PERMITS, ACTOR, part))
        assert counted == [{"count": len(rows)}]


@on_the_city
@given(ORDERS, st.integers(3, 25), st.none() | comparisons())
async def test_pages_forward_and_backward_make_the_whole_in_order(
    database: Database, oracle: Oracle, order: tuple[OrderKey, ...], limit: int, where: Expression | None
) -> None:
    whole = in_order(order, oracle.rows(PERMITS, where))
    forward: list[Row] = []
    request, more = PageRequest(order, limit, where), True
    while more:
        rows, more = await _read(database, request)
        forward += rows
        request = replace(request, after=_position(order, rows[-1])) if more else request
    assert forward == whole
    backward: list[Row] = []
    request, more = PageRequest(order, limit, where, backward=True), True
    while more:
        rows, more = await _read(database, request)
        backward = rows + backward
        request = replace(request, before=_position(order, rows[0])) if more else request
    assert backward == whole


@on_the_city
@given(ORDERS, st.integers(0, 10), st.integers(0, COUNT - 1), st.integers(0, COUNT - 1), st.booleans())
async def test_a_page_between_two_cursors(
    database: Database, oracle: Oracle, order: tuple[OrderKey, ...], limit: int, start: int, end: int, backward: bool
) -> None:
    whole = in_order(order, oracle.rows(PERMITS))
    between = whole[start + 1 : end]
    request = PageRequest(order, limit, None, backward, _position(order, whole[start]), _position(order, whole[end]))
    rows, more = await _read(database, request)
    wanted = between[max(0, len(between) - limit) :] if backward else between[:limit]
    assert (rows, more) == (wanted, len(between) > limit)


@on_the_city
@given(st.booleans(), st.integers(0, 4), st.lists(st.integers(0, COUNT), min_size=1, max_size=8), st.booleans())
async def test_a_page_for_each_parent(
    database: Database, oracle: Oracle, backward: bool, limit: int, numbers: list[int], by_type: bool
) -> None:
    keys = [(f"P{number:03d}",) for number in numbers]
    order = EVENTS.complete((EVENTS.order_key("event_type", descending=True),) if by_type else ())
    request = PageRequest(order, limit, backward=backward)
    found = await database.rows(TENANT, query.pages_per_parent(PERMIT_EVENTS, ACTOR, request, keys))
    for place, (key,) in enumerate(keys, 1):
        rows = [parsed(EVENTS, {n: v for n, v in row.items() if n != PARENT}) for row in found if row[PARENT] == place]
        own = in_order(order, oracle.rows(EVENTS, Compare("partition_key", Operator.EQ, key)))
        wanted = own[::-1][: limit + 1] if backward else own[: limit + 1]
        assert rows == wanted


async def test_pages_stay_put_when_rows_come_in_between(database: Database, dsn: str, city: None) -> None:
    order = PERMITS.complete((PERMITS.order_key("estimated_cost", descending=True),))
    first, _ = await _read(database, PageRequest(order, 20))
    async with database.transaction(TENANT) as transaction:
        await transaction.execute(
            "INSERT INTO lakefront.permits (tenant_id, permit_id, estimated_cost, updated_at, field_versions) "
            "SELECT 'city', 'new' || n, n * 1000, now(), '{}' FROM generate_series(0, 6) n"
        )
    rest, _ = await _read(database, PageRequest(order, 1000, after=_position(order, first[-1])))
    seen = [row["permit_id"] for row in first + rest if not row["permit_id"].startswith("new")]
    assert len(seen) == len(set(seen)) == COUNT


async def test_another_tenant_sees_its_own_rows_alone(database: Database, city: None) -> None:
    async def read(source: Source) -> list[Row]:
        return await database.rows("other", query.page(source, OTHER, PageRequest(source.complete(), 100)))

    assert [row["neighborhood"] for row in await read(PERMITS)] == ["Secret"]
    assert [row["event_id"] for row in await read(EVENTS)] == ["secret"]
    related = await database.bound_rows(query.related(PERMIT_ADDRESSES, OTHER, [("P001",), ("P002",)]))
    assert [row["block"] for row in related] == ["secret"]
    # The statement's explicit condition and row security say the same: the one without the other gives nothing.
    assert await database.rows("city", query.page(PERMITS, OTHER, PageRequest(PERMITS.complete(), 100))) == []
