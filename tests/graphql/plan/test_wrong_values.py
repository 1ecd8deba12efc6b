"""Errors of variables: in JSON's words, and with the path of what is wrong in ``details``."""

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from lakefront.graphql.plan.coerce import Variables
from lakefront.graphql.plan.document import MAX_ERRORS
from lakefront.graphql.plan.errors import MAX_MESSAGE, format_request_errors
from lakefront.graphql.schema import build_schema

SCHEMA = build_schema()._schema
OPERATION = parse(
    "query ($n: Int! = 1, $e: [PermitEventInput!], $f: PermitFilter, $t: DateTime, $o: [PermitOrder!]) { __typename }"
).definitions[0]
assert isinstance(OPERATION, OperationDefinitionNode)
TEXT = "String cannot represent a non string value"
TIME = "A DateTime is text in RFC 3339 with a zone and at most 6 digits of fraction: 2024-01-15T10:30:00.5+00:00."
VARIABLES = Variables(SCHEMA, OPERATION)


def told(given: dict[str, Any]) -> list[Any]:
    errors = VARIABLES.coerce(given)
    assert isinstance(errors, list)
    return format_request_errors(errors, "trace")


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"n": None}, "n", "Expected value of non-null type 'Int!' not to be null."),
        ({"n": "x"}, "n", 'Int cannot represent non-integer value: "x".'),
        ({"n": {"a": None}}, "n", 'Int cannot represent non-integer value: {"a": null}.'),
        ({"e": [True]}, "e[0]", "Expected value of type 'PermitEventInput' to be an object, found: true."),
        ({"f": {"and": [{}, {"status": {"in": ["ä", 5]}}]}}, "f.and[1].status.in[1]", f"{TEXT}: 5."),
        ({"f": {"nope": 1}}, "f.nope", "Expected value of type 'PermitFilter' not to include unknown field 'nope'."),
        ({"o": {"filedAt": "UP"}}, "o.filedAt", "Value 'UP' does not exist in 'OrderDirection' enum."),
        ({"o": {"filedAt": [None]}}, "o.filedAt", "Enum 'OrderDirection' cannot represent non-string value: [null]."),
        ({"t": [1]}, "t", f"Expected value of type 'DateTime', found: [1]. {TIME}"),
        ({"n": "x" * 1000}, "n", 'Int cannot represent non-integer value: "' + "x" * 79 + "…."),
    ],
)
def test_a_wrong_value(given: dict[str, Any], field: str, message: str) -> None:
    [error] = told(given)
    [detail] = error["extensions"]["details"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert detail["field"] == f"variables.{field}"
    assert detail["message"] == message
    place = field[1:] and f" at {field[1:]}"
    assert error["message"] == f"Variable '${field[0]}' has invalid value{place}: {detail['message']}"
    assert error["locations"], "of the variable's definition"


def test_each_missing_field_by_itself() -> None:
    errors = told({"e": [{"eventId": "a"}]})
    fields = [error["extensions"]["details"][0]["field"] for error in errors]
    assert fields == [f"variables.e[0].{name}" for name in ("permitId", "eventType", "timestamp", "eventData")]
    assert all("found" not in error["message"] for error in errors), "what is not there needs no picture"


def test_only_so_many_and_only_so_long() -> None:
    name = "x" * 100_000
    errors = told({"e": [{name: 1}] * 1000})
    assert len(errors) == MAX_ERRORS + 1
    assert errors[-1]["message"] == "There are more errors in the variables. Correct these first."
    errors = told({"f": {name: 1}, "o": {"filedAt": name}})
    for error in errors:
        assert len(str(error)) < 5 * MAX_MESSAGE
