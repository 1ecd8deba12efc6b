"""Aggregates: the types of ``<thing>Stats`` over a record, and the root field that gives them."""

from typing import Any

from strawberry.annotation import StrawberryAnnotation
from strawberry.types.base import get_object_definition

from lakefront.db.query import Function
from lakefront.graphql.declare.declarations import Column, Grouped, Whole
from lakefront.graphql.declare.grouping import group_keys, measures
from lakefront.graphql.declare.inputs import made_type
from lakefront.graphql.declare.record import Record
from lakefront.graphql.declare.words import declare
from lakefront.graphql.weights import GROUPS, directives

Part = tuple[str, Any, Any, str, str | None]
"""A field of a made type: its GraphQL name, declaration, type, description, the scope that it requires."""


def stats(record: type[Record], description: str, *, requires: str) -> Any:
    """A root field with the groups of ``record`` and their aggregates; needs no annotation."""
    made = declare(Grouped(record), description, requires=requires, directives=directives(GROUPS))
    made.type_annotation = StrawberryAnnotation(_stats(record))
    return made


def _stats(record: type[Record]) -> Any:
    name = get_object_definition(record, strict=True).name
    protected = record.record_source.protected.get
    keys = [
        (key, Column(group.label), type_ | None, text, protected(group.column))
        for key, group, type_, text in group_keys(record)
    ]
    fields: list[Part] = [
        (
            "key",
            Whole(),
            _object(f"{name}GroupKey", "What the group's rows share; null where not in groupBy.", keys),
            "The key.",
            None,
        ),
        ("count", Column(f"{Function.COUNT}."), int, "How many rows the group has.", None),
    ]
    for function in (Function.SUM, Function.AVG, Function.MIN, Function.MAX):
        parts = [
            (column, Column(measure.label), type_ | None, text, protected(measure.column))
            for column, measure, type_, text in measures(record)
            if measure.function is function
        ]
        what = f"The {function} of each column over the group's rows; null where no row has a value."
        fields.append((function.value, Whole(), _object(f"{name}{function.capitalize()}", what, parts), what, None))
    group: Any = _object(f"{name}Group", f"{name} rows that share a key, and what is computed over them.", fields)
    return _object(
        f"{name}Stats",
        f"Aggregates over {name} rows.",
        [
            ("groups", Column("groups"), list[group], "The groups, in the order that was asked for.", None),
            ("totalGroups", Column("totalGroups"), int, "How many groups there are without the limit.", None),
        ],
    )


def _object(name: str, description: str, fields: list[Part]) -> Any:
    made_fields = [
        declare(
            declaration,
            text,
            requires=requires,
            python_name=field_name,
            graphql_name=field_name,
            type_annotation=StrawberryAnnotation(annotation),
        )
        for field_name, declaration, annotation, text, requires in fields
    ]
    return made_type(name, description, is_input=False, fields=made_fields)
