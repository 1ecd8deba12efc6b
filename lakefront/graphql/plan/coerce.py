"""Coercing what clients send, as graphql-core does, at the price of what is there and not of what could be.

graphql-core looks at every field that an input object may have: some 50 µs for one filter, at each request. Here the
types are looked at once, when the operation is planned. Whatever is not plainly right is left to ``wrong_values``,
which says what is wrong, and to graphql-core.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    is_required_argument,
    is_required_input_field,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_argument_values, get_variable_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal

from lakefront.graphql.plan.document import MAX_ERRORS
from lakefront.graphql.plan.wrong_values import wrong_values

Values = Mapping[str, Any]
Make = Callable[[Values], Any]
"""From the coerced variables to a value; ``Undefined`` where a variable is not given."""


class LeftToTheLibrary(Exception):
    """The value is wrong, or more than is done here."""


class Variables:
    """The variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._nodes = operation.variable_definitions or ()
        self._signatures: list[tuple[Any, Callable[[Any], Any], Any, bool]] = []
        for node in self._nodes:
            signature = get_variable_signature(schema, node)
            assert not isinstance(signature, GraphQLError), "a valid document's variables have input types"
            default = coerce_default_value(signature) if signature.default is not None else Undefined
            needed = isinstance(signature.type, GraphQLNonNull)
            self._signatures.append((signature, _reader(signature.type), default, needed))
        self.composite: Final = any(_is_composite(signature.type) for signature, *_ in self._signatures)
        """Whether a variable may be a list or an object."""

    def coerce(self, given: Values) -> VariableValues | list[GraphQLError]:
        """As ``get_variable_values``, but with errors of our own."""
        try:
            return self._coerced(given)
        except LeftToTheLibrary:
            types = [signature.type for signature, *_ in self._signatures]
            wrong = wrong_values(zip(self._nodes, types, strict=True), given, MAX_ERRORS)
        if wrong:
            return wrong
        return get_variable_values(self._schema, self._nodes, dict(given), MAX_ERRORS, hide_suggestions=True)

    def _coerced(self, given: Values) -> VariableValues:
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, read, default, needed in self._signatures:
            name = signature.name
            if name in given:
                sources[name] = VariableValueSource(signature, given[name])
                coerced[name] = read(given[name])
                continue
            sources[name] = VariableValueSource(signature)
            if default is not Undefined:
                coerced[name] = default
            elif needed:
                raise LeftToTheLibrary
        return VariableValues(sources, coerced)


class Arguments:
    """The arguments of one selected field."""

    def __init__(self, definition: GraphQLField, node: FieldNode) -> None:
        self._definition = definition
        self._node = node
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        self.constant: Final = not any(_has_variables(value) for value in given.values())
        """Whether the values are the same for each request."""
        self._makes: list[tuple[str, Make, bool]] = []
        self._plain = True
        for name, argument in definition.args.items():
            required = is_required_argument(argument)
            if name in given:
                self._makes.append((argument.out_name or name, _maker(given[name], argument.type), required))
            fixed = required or coerce_default_value(argument) is not Undefined
            self._plain = self._plain and (name in given or not fixed)

    def values(self, variables: VariableValues) -> dict[str, Any]:
        """As ``get_argument_values``; raises ``GraphQLError`` as that does."""
        if self._plain:
            try:
                return self._values(variables.coerced)
            except LeftToTheLibrary:
                pass
        return get_argument_values(self._definition, self._node, variables, hide_suggestions=True)

    def _values(self, variables: Values) -> dict[str, Any]:
        found = {}
        for name, make, required in self._makes:
            value = make(variables)
            if value is not Undefined:
                found[name] = value
            elif required:
                raise LeftToTheLibrary
        return found


def _is_composite(type_: Any) -> bool:
    while isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    return isinstance(type_, GraphQLList | GraphQLInputObjectType)


def _refuse(_: Any) -> Any:
    raise LeftToTheLibrary


def _reader(type_: Any) -> Callable[[Any], Any]:
    """What reads a value (JSON form) of ``type_``; an object's fields are looked up when it comes to them."""
    if isinstance(type_, GraphQLNonNull):
        return _not_null(_reader(type_.of_type))
    if isinstance(type_, GraphQLList):
        return _list(_reader(type_.of_type))
    if isinstance(type_, GraphQLInputObjectType):
        return _object(type_)
    assert isinstance(type_, GraphQLScalarType | GraphQLEnumType), "an input type"
    return _leaf(type_)


def _not_null(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_it(value: Any) -> Any:
        if value is None:
            raise LeftToTheLibrary
        return read(value)

    return read_it


def _list(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_it(value: Any) -> Any:
        if value is None:
            return None
        return [read(item) for item in value] if isinstance(value, list) else [read(value)]

    return read_it


def _leaf(type_: GraphQLScalarType | GraphQLEnumType) -> Callable[[Any], Any]:
    def read_it(value: Any) -> Any:
        if value is None:
            return None
        try:
            found = type_.coerce_input_value(value)
        except Exception as told:
            raise LeftToTheLibrary from told
        if found is Undefined:
            raise LeftToTheLibrary
        return found

    return read_it


def _object(type_: GraphQLInputObjectType) -> Callable[[Any], Any]:
    known: dict[str, tuple[str, Callable[[Any], Any]]] = {}

    def field_of(name: str) -> tuple[str, Callable[[Any], Any]]:
        field = type_.fields.get(name)
        if field is None:
            raise LeftToTheLibrary
        return known.setdefault(name, (field.out_name or name, _reader(field.type)))

    def read_it(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict) or type_.is_one_of or not _fixed(type_) <= value.keys():
            raise LeftToTheLibrary
        found = {}
        for name, part in value.items():
            out, read = known.get(name) or field_of(name)
            found[out] = read(part)
        return type_.out_type(found)

    return read_it


def _fixed(type_: GraphQLInputObjectType) -> frozenset[str]:
    """The fields that are there whether a client gives them or not, or that it must give."""
    if type_ not in _fixed_fields:
        _fixed_fields[type_] = frozenset(
            name
            for name, field in type_.fields.items()
            if is_required_input_field(field) or coerce_default_value(field) is not Undefined
        )
    return _fixed_fields[type_]


_fixed_fields: dict[GraphQLInputObjectType, frozenset[str]] = {}


def _maker(node: Any, type_: Any) -> Make:
    """What makes the value of an argument's literal, in which variables may be."""
    if isinstance(node, VariableNode):
        return _variable(node.name.value, needed=isinstance(type_, GraphQLNonNull))
    if not _has_variables(node):
        return _constant(coerce_input_literal(node, type_))
    while isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if isinstance(node, ListValueNode) and isinstance(type_, GraphQLList):
        return _listed([_maker(item, type_.of_type) for item in node.values], type_.of_type)
    if isinstance(type_, GraphQLList):
        return _listed([_maker(node, type_.of_type)], type_.of_type)
    if isinstance(node, ObjectValueNode) and isinstance(type_, GraphQLInputObjectType):
        return _made(node, type_)
    return _refuse  # a literal of a scalar of ours with variables in it


def _has_variables(node: Any) -> bool:
    if isinstance(node, ListValueNode):
        return any(_has_variables(item) for item in node.values)
    if isinstance(node, ObjectValueNode):
        return any(_has_variables(field.value) for field in node.fields)
    return isinstance(node, VariableNode)


def _constant(value: Any) -> Make:
    return _refuse if value is Undefined else lambda _: value


def _variable(name: str, *, needed: bool) -> Make:
    def make(variables: Values) -> Any:
        value = variables.get(name, Undefined)
        if value is None and needed:
            raise LeftToTheLibrary
        return value

    return make


def _listed(makes: list[Make], item: Any) -> Make:
    def make(variables: Values) -> Any:
        values = [make(variables) for make in makes]
        if Undefined in values:
            if isinstance(item, GraphQLNonNull):
                raise LeftToTheLibrary
            values = [None if value is Undefined else value for value in values]
        return values

    return make


def _made(node: ObjectValueNode, type_: GraphQLInputObjectType) -> Make:
    fields = {field.name.value: field.value for field in node.fields}
    fixed = _fixed(type_)
    if type_.is_one_of or not fields.keys() <= type_.fields.keys() or not fixed <= fields.keys():
        return _refuse
    makes = [
        (type_.fields[name].out_name or name, _maker(value, type_.fields[name].type), name in fixed)
        for name, value in fields.items()
    ]

    def make(variables: Values) -> Any:
        found = {}
        for name, part, is_fixed in makes:
            value = part(variables)
            if value is not Undefined:
                found[name] = value
            elif is_fixed:
                raise LeftToTheLibrary
        return type_.out_type(found)

    return make
