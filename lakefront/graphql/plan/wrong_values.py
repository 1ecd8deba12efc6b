"""What is wrong with the variables of a request, told as those who write JSON know it.

graphql-core knows as well, but speaks Python: ``None``, single quotes; and its paths are in the words alone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    Undefined,
    VariableDefinitionNode,
    is_required_input_field,
)

from lakefront.errors import ValidationError
from lakefront.graphql.plan.errors import MAX_MESSAGE

MAX_SHOWN: Final = 80
"""Characters of a wrong value that are shown."""

_JSON: Final = json.JSONEncoder(ensure_ascii=False)

Wrong = tuple[str, str]
"""Where in a variable (``[0].permitId``), and what."""


def wrong_values(
    variables: Iterable[tuple[VariableDefinitionNode, Any]], given: Mapping[str, Any], most: int
) -> list[GraphQLError]:
    """An error for each wrong value, ``details`` naming it (``variables.e[0].permitId``); the first ``most``.

    ``variables`` are the operation's with their types; one without a value may have a default, which is not looked at.
    Rules of inputs "one of" are not known here.
    """
    found = (
        (node, wrong)
        for node, type_ in variables
        for wrong in _of_variable(type_, given.get(node.variable.name.value, Undefined), node)
    )
    errors = [_error(node, *wrong) for node, wrong in islice(found, most)]
    if next(found, None) is not None:
        errors.append(GraphQLError("There are more errors in the variables. Correct these first."))
    return errors


def _error(node: VariableDefinitionNode, place: str, message: str) -> GraphQLError:
    name, place, message = node.variable.name.value, _short(place), _short(message)
    said = f"Variable '${name}' has invalid value{' at ' + place if place else ''}: {message}"
    told = ValidationError(said, details=[{"field": f"variables.{name}{place}", "message": message}])
    return GraphQLError(said, node, original_error=told)


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _of_variable(type_: Any, value: Any, node: VariableDefinitionNode) -> Iterator[Wrong]:
    if value is not Undefined:
        yield from _wrong(type_, value, "")
    elif isinstance(type_, GraphQLNonNull) and node.default_value is None:
        yield "", f"Expected a value of non-null type '{type_}' to be provided."


def _wrong(type_: Any, value: Any, place: str) -> Iterator[Wrong]:
    if isinstance(type_, GraphQLNonNull):
        if value is None:
            yield place, f"Expected value of non-null type '{type_}' not to be null."
            return
        type_ = type_.of_type
    if value is None:
        return
    if isinstance(type_, GraphQLList):
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _wrong(type_.of_type, item, f"{place}[{index}]")
        else:
            yield from _wrong(type_.of_type, value, place)
    elif isinstance(type_, GraphQLInputObjectType):
        yield from _wrong_object(type_, value, place)
    else:
        yield from _wrong_leaf(type_, value, place)


def _wrong_object(type_: GraphQLInputObjectType, value: Any, place: str) -> Iterator[Wrong]:
    if not isinstance(value, dict):
        yield place, f"Expected value of type '{type_}' to be an object, found: {_shown(value)}."
        return
    for name, field in type_.fields.items():
        if name in value:
            yield from _wrong(field.type, value[name], f"{place}.{name}")
        elif is_required_input_field(field):
            yield f"{place}.{name}", f"Expected value of type '{type_}' to include required field '{name}'."
    for name in value:
        if name not in type_.fields:
            yield f"{place}.{name}", f"Expected value of type '{type_}' not to include unknown field '{name}'."


def _wrong_leaf(type_: GraphQLScalarType | GraphQLEnumType, value: Any, place: str) -> Iterator[Wrong]:
    try:
        if isinstance(type_, GraphQLEnumType):
            result = type_.coerce_input_value(value, hide_suggestions=True)
        else:
            result = type_.coerce_input_value(value)
    except GraphQLError as told:
        quotes_text = isinstance(type_, GraphQLEnumType) and isinstance(value, str)
        what, colon, _ = told.message.partition(": ")
        yield place, told.message if quotes_text or not colon else f"{what}: {_shown(value)}."
    except Exception as told:  # noqa: BLE001 - whatever a scalar raises is its word on the value
        yield place, f"Expected value of type '{type_}', found: {_shown(value)}. {told}"
    else:
        if result is Undefined:
            yield place, f"Expected value of type '{type_}', found: {_shown(value)}."


def _shown(value: Any) -> str:
    """The beginning of ``value`` as JSON, whatever its size."""
    text = ""
    for part in _JSON.iterencode(value):
        text += part
        if len(text) > MAX_SHOWN:
            return text[:MAX_SHOWN] + "…"
    return text
