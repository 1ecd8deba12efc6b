"""Groups: their arguments, and from a client's values the request they mean."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.utils.str_converters import to_snake_case

from lakefront.db.query import Bucket, Function, Group, GroupOrder, GroupRequest, Having, Measure
from lakefront.graphql.declare.declarations import Column
from lakefront.graphql.declare.enums import described
from lakefront.graphql.declare.filters import filter_input, read_filter
from lakefront.graphql.declare.inputs import add, argument, input_type, listed
from lakefront.graphql.declare.limits import FIRST, MOST, row_limit
from lakefront.graphql.declare.operators import operators_input, read_operators, refused
from lakefront.graphql.declare.orders import OrderDirection, one_entry
from lakefront.graphql.declare.record import Record, declared, unwrapped
from lakefront.graphql.scalars import BigInt

MOST_GROUP_KEYS: Final = 10
"""Parts of a group's key."""

_ADDABLE: Final = (int, BigInt, float)
_COMPARABLE: Final = (*_ADDABLE, datetime, date)
_BUCKETS: Final = {Bucket.YEAR: "year", Bucket.MONTH: "month", Bucket.WEEK: "week", Bucket.DAY: "day"}
_arguments: dict[type, list[StrawberryArgument]] = {}


def group_keys(record: type[Record]) -> Iterator[tuple[str, Group, Any, str]]:
    """What a record can be grouped by: GraphQL name, group, type of the key's value, description."""
    for name, (field, declaration) in declared(record).items():
        leaf = unwrapped(field.type)
        if not isinstance(declaration, Column) or not declaration.grouped:
            continue
        if leaf is datetime:
            for bucket, unit in _BUCKETS.items():
                yield (
                    f"{name}{unit.capitalize()}",
                    Group(declaration.name, bucket),
                    date,
                    f"The first day (UTC) of the {unit} of: {field.description}",
                )
        elif leaf in (str, strawberry.ID, bool, date, *_ADDABLE) or isinstance(leaf, StrawberryEnumDefinition):
            type_ = leaf.wrapped_cls if isinstance(leaf, StrawberryEnumDefinition) else leaf
            yield name, Group(declaration.name), type_, field.description or ""


def measures(record: type[Record]) -> Iterator[tuple[str, Measure, Any, str]]:
    """What can be computed over a group: GraphQL name of the column, measure, type of its value, description."""
    for name, (field, declaration) in declared(record).items():
        leaf = unwrapped(field.type)
        if not isinstance(declaration, Column) or leaf not in _COMPARABLE:
            continue
        for function in (Function.SUM, Function.AVG, Function.MIN, Function.MAX):
            if leaf not in _ADDABLE and function in {Function.SUM, Function.AVG}:
                continue
            type_ = leaf
            if function is Function.AVG or leaf is float:
                type_ = float
            elif function is Function.SUM:
                type_ = BigInt
            yield name, Measure(function, declaration.name), type_, field.description or ""


def group_arguments(record: type[Record]) -> list[StrawberryArgument]:
    """filter, groupBy, having, orderBy, first."""
    if record not in _arguments:
        _arguments[record] = [
            argument("filter", filter_input(record), "Which rows take part; all when left out."),
            argument(
                "groupBy", listed(_group_by(record)), "What makes a group's key; without it all rows are one group."
            ),
            argument("having", _having(record), "Which groups; all when left out."),
            argument("orderBy", listed(_order(record)), "The groups' order, the most important first; then by key."),
            argument("first", int, f"Groups at most: {FIRST} unless given, {MOST} at most."),
        ]
    return _arguments[record]


def _group_by(record: type[Record]) -> Any:
    name = get_object_definition(record, strict=True).name
    keys = {to_snake_case(key).upper(): (group, description) for key, group, _, description in group_keys(record)}
    make: Any = Enum  # mypy knows only enums whose names are literals
    enum = make(f"{name}GroupBy", {key: group for key, (group, _) in keys.items()})
    protected = record.record_source.protected
    return described(
        enum,
        f"What {name} rows can be grouped by.",
        {enum[key]: text for key, (_, text) in keys.items()},
        requires={key: protected[group.column] for key, (group, _) in keys.items() if group.column in protected},
    )


def _having(record: type[Record]) -> Any:
    name = get_object_definition(record, strict=True).name
    protected = record.record_source.protected.get
    made = input_type(f"{name}Having", "Conditions on a group; all hold together. Name at least one.")
    add(made, "count", operators_input(int), "How many rows the group has.")
    for function, parts in _by_function(record).items():
        inner = input_type(
            f"{name}{function.capitalize()}Having", f"Conditions on the group's {function}. Name at least one."
        )
        for column, measure, type_, description in parts:
            add(inner, column, operators_input(type_), description, requires=protected(measure.column))
        add(made, function.value, inner, f"The {function} of a column.")
    return made


def _order(record: type[Record]) -> Any:
    name = get_object_definition(record, strict=True).name
    protected = record.record_source.protected.get
    made = input_type(f"{name}GroupOrder", "One thing to order groups by: exactly one field.")
    add(made, "count", OrderDirection, "How many rows the group has.")
    keys = input_type(f"{name}GroupKeyOrder", "A part of the group's key, which must be in groupBy: exactly one field.")
    for key, group, _, description in group_keys(record):
        add(keys, key, OrderDirection, description, requires=protected(group.column))
    add(made, "key", keys, "A part of the group's key.")
    for function, parts in _by_function(record).items():
        inner = input_type(f"{name}{function.capitalize()}Order", f"The {function} to order by: exactly one field.")
        for column, measure, _, description in parts:
            add(inner, column, OrderDirection, description, requires=protected(measure.column))
        add(made, function.value, inner, f"The {function} of a column.")
    return made


def _by_function(record: type[Record]) -> dict[Function, list[tuple[str, Measure, Any, str]]]:
    found: dict[Function, list[tuple[str, Measure, Any, str]]] = {}
    for part in measures(record):
        found.setdefault(part[1].function, []).append(part)
    return found


def group_request(record: type[Record], values: Mapping[str, Any], wanted: Iterable[list[str]]) -> GroupRequest:
    """What the arguments mean; ``wanted`` are the selected paths below a group. Raises ``ValidationError``."""
    given = {name: value for name, value in values.items() if value is not None}
    by = tuple(item.value for item in given.get("groupBy", ()))
    if len(set(by)) < len(by) or len(by) > MOST_GROUP_KEYS:
        raise refused("groupBy", f"Name each at most once, and at most {MOST_GROUP_KEYS}.")
    if "groupBy" in given and not by:
        raise refused("groupBy", "Name at least one, or leave it out to have all rows as one group.")
    known = {(measure.function.value, name): measure for name, measure, _, _ in measures(record)}
    return GroupRequest(
        by=by,
        measures=tuple(known[path[0], path[1]] for path in wanted if len(path) > 1 and (path[0], path[1]) in known),
        limit=row_limit("first", given.get("first")),
        where=read_filter(record, given["filter"]) if "filter" in given else None,
        having=tuple(_read_having(known, given["having"])) if "having" in given else (),
        order=tuple(
            _read_order(record, known, by, item, f"orderBy[{index}]")
            for index, item in enumerate(given.get("orderBy", ()))
        ),
    )


def _read_having(known: Mapping[tuple[str, str], Measure], raw: Mapping[str, Any]) -> Iterator[Having]:
    if not raw:
        raise refused("having", "Name a condition, or leave it out.")
    for function, part in raw.items():
        path = f"having.{function}"
        if function == Function.COUNT:
            for operator, operand in read_operators(part, path):
                yield Having(Measure(Function.COUNT), operator, operand)
            continue
        if not part:
            raise refused(path, "Name a column and a condition, or leave it out.")
        for column, conditions in part.items():
            for operator, operand in read_operators(conditions, f"{path}.{column}"):
                yield Having(known[function, column], operator, operand)


def _read_order(
    record: type[Record], known: Mapping[tuple[str, str], Measure], by: tuple[Group, ...], raw: Any, path: str
) -> GroupOrder:
    name, value = one_entry(raw, path)
    target: Group | Measure
    if name == Function.COUNT:
        target, direction = Measure(Function.COUNT), value
    else:
        part, direction = one_entry(value, f"{path}.{name}")
        if name == "key":
            target = next(group for key, group, _, _ in group_keys(record) if key == part)
            if target not in by:
                raise refused(f"{path}.key.{part}", "Groups can be ordered only by what is in groupBy. Add it there.")
        else:
            target = known[name, part]
    descending, nulls_first = direction.value
    return GroupOrder(target, descending, nulls_first)
