"""SoQL, against rows that one can count by eye."""

from typing import Any

import pytest

from lakefront.simulator import soql

COLUMNS = (":id", ":updated_at", "n", "name", "at", "none")
ROWS: list[dict[str, Any]] = [
    {
        ":id": f"row-{n}",
        ":updated_at": f"2026-01-0{n}T00:00:00.000Z",
        "n": str(n * 5),
        "name": name,
        "at": f"2026-02-0{n}T10:00:00.000",
        "none": None,
    }
    for n, name in enumerate(("Bronx", "Queens", "O'Hara", "bronx", None), 1)
]


def answer(statement: str) -> list[dict[str, Any]]:
    return soql.run(soql.read(soql.clauses(statement), COLUMNS), ROWS)


def ids(condition: str) -> str:
    return "".join(row[":id"][-1] for row in answer(f"select :id where {condition} order by :id"))


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("n = 5", "1"),
        ("n > 9", "2345"),
        ("n >= '10' and n < 25", "234"),
        ("n != 5", "2345"),
        ("n <> 5 AND NOT (n = 10 OR n = 15)", "45"),
        ("name = 'O''Hara'", "3"),
        ("name != 'Bronx'", "234"),
        ("name is null", "5"),
        ("name IS NOT NULL", "1234"),
        ("none = 1 or none is null", "12345"),
        ("name like '%ronx'", "14"),
        ("name not like '_ronx'", "235"),
        ("lower(name) = 'bronx'", "14"),
        ("upper(name) in ('BRONX', 'QUEENS')", "124"),
        ("name not in ('Bronx')", "2345"),
        ("n between 10 and 20", "234"),
        ("n not between 10 and 20", "15"),
        ("starts_with(name, 'Q')", "2"),
        (":updated_at > '2026-01-03T00:00:00.000Z'", "45"),
        ("at > '2026-02-04'", "45"),
        ("`name` = 'Queens'", "2"),
        ("name = 'where order by'", ""),
    ],
)
def test_conditions(condition: str, found: str) -> None:
    assert ids(condition) == found


def test_columns_are_shown_as_asked_and_nulls_left_out() -> None:
    assert answer("select name as borough, n where n in (5, 25) order by n") == [
        {"borough": "Bronx", "n": "5"},
        {"n": "25"},
    ]
    assert answer("select * where n = 5")[0].keys() == {"n", "name", "at"}
    assert answer("select :*, * where n = 5")[0].keys() == {":id", ":updated_at", "n", "name", "at"}


def test_order_goes_by_numbers_and_several_columns_nulls_last() -> None:
    assert [row["n"] for row in answer("select n order by n desc")] == ["25", "20", "15", "10", "5"]
    assert [row.get("name") for row in answer("select name order by name, n")] == [
        *("Bronx", "O'Hara", "Queens", "bronx"),
        None,
    ]


def test_pages() -> None:
    assert [row["n"] for row in answer("select n order by n limit 2 offset 3")] == ["20", "25"]
    assert answer("select n limit 0") == []


def test_counts() -> None:
    assert answer("select count(*)") == [{"count": "5"}]
    assert answer("select count(*) as all where n = 1") == [{"all": "0"}]
    assert answer("select name, count(*) as c where n <= 10 group by name order by name") == [
        {"name": "Bronx", "c": "1"},
        {"name": "Queens", "c": "1"},
    ]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("frobnicate", "query.compiler.malformed"),
        ("select nope", "query.soql.no-such-column"),
        ("select * where nope = 1", "query.soql.no-such-column"),
        ("select * order by nope", "query.soql.no-such-column"),
        ("select * where n =", "query.compiler.malformed"),
        ("select * where (n = 1", "query.compiler.malformed"),
        ("select * where n = 1 n = 2", "query.compiler.malformed"),
        ("select * where n ~ 1", "query.compiler.malformed"),
        ("select * where name = 'open", "query.compiler.malformed"),
        ("select * limit many", "query.soql.invalid-limit"),
        ("select * limit -1", "query.soql.invalid-limit"),
    ],
)
def test_what_is_no_soql_is_refused(statement: str, code: str) -> None:
    with pytest.raises(soql.NotSoql) as refused:
        answer(statement)
    assert refused.value.code == code
