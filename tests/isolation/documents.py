"""Random valid GraphQL documents over the real schema: whatever is added to it is attacked by itself."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import strategies as st

Values = Mapping[str, Sequence[Any]]
"""Name of an argument or of a scalar -> values to give it; the argument's name goes first."""

_DEEPEST = 3
_PAGING = ("first", "last", "after", "before")

_SCALARS: Values = {
    "Boolean": (True, False),
    "Int": (1, 2, 5, 30),
    "Float": (0.0, 1.5, 1e6),
    "BigInt": ("1", "900000"),
    "Date": ("2024-01-02", "2030-01-01"),
    "DateTime": ("2024-01-02T08:00:00+00:00", "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
    "JSON": ({}, {"a": 1}),
    "Secret": (None,),
}


class Documents:
    """Documents of a schema. ``values`` are what an attacker tries; scalars have some of their own."""

    def __init__(self, schema: GraphQLSchema, values: Values) -> None:
        self._schema = schema
        self._values = {**_SCALARS, **values}

    def operations(
        self, kind: str, *, without: Sequence[str] = (), often: Sequence[str] = ()
    ) -> st.SearchStrategy[str]:
        """``query``, ``mutation`` or ``subscription``: the last with one root field, the others with up to three.

        Root fields of ``often`` are drawn three times as often as the others.
        """
        root = {"query": self._schema.query_type, "mutation": self._schema.mutation_type}.get(
            kind, self._schema.subscription_type
        )
        assert root is not None
        names = [*sorted(name for name in root.fields if name not in without), *often, *often]

        @st.composite
        def document(draw: st.DrawFn) -> str:
            chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=1 if kind == "subscription" else 3))
            parts = [
                f"r{number}: {self._field(draw, name, root.fields[name], 0)}" for number, name in enumerate(chosen)
            ]
            return f"{kind} {{ {' '.join(parts)} }}"

        return document()

    def _field(self, draw: st.DrawFn, name: str, field: GraphQLField, depth: int) -> str:
        return name + self._arguments(draw, field.args) + self._selection(draw, field, depth)

    def _selection(self, draw: st.DrawFn, field: GraphQLField, depth: int) -> str:
        """All leaves, for the most to leak, and some of what lies deeper."""
        found = get_named_type(field.type)
        if is_leaf_type(found):
            return ""
        if isinstance(found, GraphQLInterfaceType | GraphQLUnionType):
            kinds = sorted(self._schema.get_possible_types(found), key=lambda kind: kind.name)
            parts = [f"... on {kind.name} {self._fields(draw, kind, depth + 1)}" for kind in kinds]
            return f" {{ __typename {' '.join(parts)} }}"
        assert isinstance(found, GraphQLObjectType)
        return " " + self._fields(draw, found, depth)

    def _fields(self, draw: st.DrawFn, kind: GraphQLObjectType, depth: int) -> str:
        parts = ["__typename"]
        deeper = []
        for name, field in sorted(kind.fields.items()):
            if is_leaf_type(get_named_type(field.type)) and not any(map(is_required_argument, field.args.values())):
                parts.append(name)
            else:
                deeper.append(name)
        # Pages have wrappers of their own (edges, node), which are no step deeper into the data.
        step = 0 if kind.name.endswith(("Connection", "Edge", "Stats", "Group", "Payload")) else 1
        if deeper and depth < _DEEPEST:
            most = 2 if step else 3
            chosen = draw(st.lists(st.sampled_from(deeper), min_size=1 - step, max_size=most, unique=True))
            parts += [self._field(draw, name, kind.fields[name], depth + step) for name in chosen]
        return f"{{ {' '.join(parts)} }}"

    def _arguments(self, draw: st.DrawFn, arguments: Mapping[str, GraphQLArgument]) -> str:
        paging = draw(st.sampled_from((("first",), ("first", "after"), ("last",), ("last", "before"), ())))
        given = [
            f"{name}: {self._literal(draw, argument.type, name, 0)}"
            for name, argument in arguments.items()
            if is_required_argument(argument)
            or (name in paging if name in _PAGING and "first" in arguments else draw(st.booleans()))
        ]
        return f"({', '.join(given)})" if given else ""

    def _literal(self, draw: st.DrawFn, type_: Any, name: str, depth: int) -> str:
        if isinstance(type_, GraphQLNonNull):
            return self._literal(draw, type_.of_type, name, depth)
        if isinstance(type_, GraphQLList):
            size = 2 if name == "between" else 1 if name in {"orderBy", "groupBy"} else draw(st.integers(1, 2))
            return f"[{', '.join(self._literal(draw, type_.of_type, name, depth) for _ in range(size))}]"
        if isinstance(type_, GraphQLEnumType):
            return str(draw(st.sampled_from(sorted(type_.values))))
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(draw, type_, depth)
        values = self._values.get(name) or self._values.get(type_.name) or self._values["String"]
        return _written(draw(st.sampled_from(values)))

    def _object(self, draw: st.DrawFn, kind: GraphQLInputObjectType, depth: int) -> str:
        required = [name for name, field in kind.fields.items() if is_required_input_field(field)]
        optional = [name for name, field in sorted(kind.fields.items()) if self._ends(name, field, required, depth)]
        least = 0 if required else 1
        most = 1 if kind.is_one_of or name_of_order(kind) else 2
        chosen = (
            draw(st.lists(st.sampled_from(optional), min_size=least, max_size=most, unique=True)) if optional else []
        )
        parts = [
            f"{name}: {self._literal(draw, kind.fields[name].type, name, depth + 1)}" for name in required + chosen
        ]
        return f"{{{', '.join(parts)}}}"

    @staticmethod
    def _ends(name: str, field: GraphQLInputField, required: Sequence[str], depth: int) -> bool:
        """Whether ``field`` may be drawn: past a depth only what cannot go on for ever."""
        nested = isinstance(get_named_type(field.type), GraphQLInputObjectType)
        return name not in required and (depth < 2 or not nested or name not in {"and", "or", "not", "some", "every"})


def name_of_order(kind: GraphQLInputObjectType) -> bool:
    """Whether ``kind`` is an order, which names one field."""
    return kind.name.endswith("Order")


def _written(value: Any) -> str:
    """``value`` as a GraphQL literal."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_written(item)}' for name, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)
