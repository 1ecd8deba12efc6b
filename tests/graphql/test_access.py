"""The fields that manage access are the schema's (T5)."""

from lakefront.graphql.access import MANAGES_ACCESS
from lakefront.graphql.schema import build_schema


def test_they_are_fields_of_the_schema() -> None:
    core = build_schema()._schema
    assert core.query_type is not None
    assert core.mutation_type is not None
    assert {*core.query_type.fields, *core.mutation_type.fields} >= MANAGES_ACCESS
