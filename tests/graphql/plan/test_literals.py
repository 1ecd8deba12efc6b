"""Statements to be looked at: what stands below them, PostgreSQL reads as the value that it was."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from lakefront.db.database import Database
from lakefront.db.statement import Statement
from lakefront.graphql.plan.literals import literal, with_parameters


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (None, "text"),
        (True, "boolean"),
        (-5, "bigint"),
        (1.5, "double precision"),
        ("it's", "text"),
        ("a\\b\n'; DROP TABLE x; --\u2028é", "text"),
        (b"\x01a", "bytea"),
        ([], "text[]"),
        (["a", None, 'b"c'], "text[]"),
        ([1, 2], "bigint[]"),
        (datetime(2024, 1, 15, 10, 30, 0, 500, tzinfo=UTC), "timestamptz"),
        (UUID(int=7), "uuid"),
    ],
)
async def test_a_literal_is_its_value(dsn: str, value: Any, type_: str) -> None:
    text = literal(value)
    assert text.isprintable(), "nothing of it can leave its line"
    database = Database(dsn)
    await database.open()
    try:
        async with database.transaction("city") as transaction:
            [row] = await transaction.fetch(f"SELECT $1::{type_} IS NOT DISTINCT FROM {text}::{type_} AS same", value)
    finally:
        await database.close()
    assert row["same"]


def test_the_parameters_are_below_as_comments() -> None:
    assert with_parameters(Statement("SELECT $1, $2", ["a", None])) == "SELECT $1, $2\n-- $1 = 'a'\n-- $2 = NULL"
    assert with_parameters(Statement("SELECT 1", [])) == "SELECT 1"
