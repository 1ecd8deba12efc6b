"""Variables that would take long to read are refused by counting; all others pass."""

from typing import Any

import pytest

from lakefront.errors import OperationRefused
from lakefront.graphql.plan.document import read_document, select_operation
from lakefront.graphql.plan.variables import MOST_READING, check_variables
from lakefront.graphql.schema import build_schema
from tests.graphql.plan.hostile import FILTERED, INGEST, ORDERED
from tests.graphql.sample import settings

SCHEMA = build_schema()._schema
EVENT = {"eventId": "e", "permitId": "p", "eventType": "PERMIT_FILED", "timestamp": "2024-01-01T00:00:00Z"}


def check(document: str, **values: Any) -> None:
    operation = select_operation(read_document(SCHEMA, document, settings()), None)
    check_variables(SCHEMA, operation, values)


@pytest.mark.parametrize(
    ("document", "values"),
    [
        (FILTERED, {}),
        (FILTERED, {"filter": None}),
        (FILTERED, {"filter": {"permitId": {"in": ["a"] * 1000}, "and": [{"status": {"eq": "a"}}] * 100}}),
        (FILTERED, {"filter": "what is no filter"}),
        (FILTERED, {"filter": {"unknown": [1] * 100_000}, "unknown": [1] * 100_000}),
        (INGEST, {"events": [{**EVENT, "eventData": {"a": 1}}] * 2000}),
        (INGEST, {"events": [{**EVENT, "eventData": [[1] * 1000] * 100}] * 10}),
        (INGEST, {"events": {**EVENT, "eventData": None}}),
        (ORDERED, {"order": [{"status": "ASC"}, None]}),
    ],
)
def test_what_is_soon_read_passes(document: str, values: dict[str, Any]) -> None:
    check(document, **values)


@pytest.mark.parametrize(
    ("document", "values"),
    [
        (FILTERED, {"filter": {"permitId": {"in": ["a"] * MOST_READING}}}),
        (FILTERED, {"filter": {"or": [{}] * 2000}}),
        (FILTERED, {"filter": [{}] * MOST_READING}),
        (FILTERED, {"filter": {"permitId": [[1] * 1000] * 1000}}),
        (FILTERED, {"filter": {str(number): 1 for number in range(MOST_READING)}}),
        (INGEST, {"events": [EVENT] * 4000}),
        (INGEST, {"events": [1] * MOST_READING}),
        (INGEST, {"events": [{"eventType": ["PERMIT_FILED"] * MOST_READING}]}),
        (ORDERED, {"order": [{"status": "ASC"}] * 2000}),
    ],
)
def test_what_takes_long_is_refused(document: str, values: dict[str, Any]) -> None:
    with pytest.raises(OperationRefused, match="too many values"):
        check(document, **values)
