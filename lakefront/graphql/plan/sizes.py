"""How long the lists of an operation are: from its literals and variables, as far as they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLNonNull,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
    value_from_ast_untyped,
)

from lakefront.graphql.declare.limits import FIRST, MOST
from lakefront.graphql.weights import ASSUMED, list_size_of

SLICING = ("first", "last")
"""Arguments that say how many rows are asked for, wherever they stand."""


@dataclass(frozen=True, slots=True)
class Size:
    """Rows of a list: the most that ``fixed`` and ``variables`` (name, default) say, else ``default``.

    At most ``most``, where there is such a limit: who asks for more is refused.
    """

    fixed: int | None
    variables: tuple[tuple[str, int | None], ...]
    default: int
    most: int | None

    def of(self, variables: Mapping[str, Any]) -> int:
        """The size with those values of the variables (JSON forms); a variable that is not there has its default."""
        size = self.fixed
        for name, default in self.variables:
            asked = _length(variables[name]) if name in variables else default
            if asked is not None and (size is None or asked > size):
                size = asked
        if size is None:
            size = self.default
        if self.most is not None and size > self.most:
            return self.most
        return max(size, 0)

    def __str__(self) -> str:
        names = [f"${name}" for name, _ in self.variables]
        return names[0] if len(names) == 1 and self.fixed is None else f"max({', '.join(self._parts(names))})"

    def _parts(self, names: list[str]) -> list[str]:
        return names if self.fixed is None else [*names, str(self.fixed)]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a field says: ``own``, the sizes of its lists from the outside in; ``below``, of the lists in its object."""

    own: tuple[Size, ...] = ()
    below: Size | None = None


def sizes_of(operation: OperationDefinitionNode, node: FieldNode, field: GraphQLField, around: Size | None) -> Sizes:
    """The sizes at ``node``; ``around`` is what the object said in which the field stands.

    A list of scalars is one value. An object with ``first`` or ``last`` is a connection, or the like: they hold for
    the lists in it, and so does the limit of 1,000 that every one of them has.
    """
    if is_leaf_type(get_named_type(field.type)):
        return Sizes()
    depth, declared = _list_depth(field), list_size_of(field)
    named = declared.arguments if declared else ()
    slicing = [name for name in named or SLICING if name in field.args]
    size = _size(operation, node, field, slicing, most=None if named or depth else MOST) if slicing else None
    if not depth:
        return Sizes(below=size)
    assumed = Size((declared and declared.assumed) or ASSUMED, (), 0, None)
    if size is None:
        size = assumed if declared or around is None else around
    return Sizes(own=(size, *[assumed] * (depth - 1)))


def _size(
    operation: OperationDefinitionNode, node: FieldNode, field: GraphQLField, names: list[str], most: int | None
) -> Size:
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    fixed: list[int | None] = []
    variables: list[tuple[str, int | None]] = []
    for name in names:
        value = given.get(name)
        if isinstance(value, VariableNode):
            variables.append((value.name.value, _default(operation, value.name.value, field.args[name])))
        elif value is not None:
            fixed.append(_literal(value))
        else:
            fixed.append(_length(_schema_default(field.args[name])))
    known = max((size for size in fixed if size is not None), default=None)
    is_list = any(is_list_type(_nullable(field.args[name])) for name in names)
    return Size(known, tuple(variables), ASSUMED if is_list else FIRST, most)


def _default(operation: OperationDefinitionNode, name: str, argument: GraphQLArgument) -> int | None:
    """What holds where the variable is not there: its own default, else the argument's."""
    for definition in operation.variable_definitions or ():
        if definition.variable.name.value == name and definition.default_value is not None:
            return _literal(definition.default_value)
    return _length(_schema_default(argument))


def _schema_default(argument: GraphQLArgument) -> Any:
    return None if argument.default_value is Undefined else argument.default_value


def _literal(value: Any) -> int | None:
    if isinstance(value, IntValueNode):
        return int(value.value)
    if isinstance(value, ListValueNode):
        return len(value.values)
    return None if isinstance(value, NullValueNode) else _length(value_from_ast_untyped(value))


def _length(value: Any) -> int | None:
    """The number that an argument asks for; of a list its length, and what should have been one counts as one item."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return int(value)
    return len(value) if isinstance(value, list | tuple) else 1


def _nullable(argument: GraphQLArgument) -> Any:
    return argument.type.of_type if isinstance(argument.type, GraphQLNonNull) else argument.type


def _list_depth(field: GraphQLField) -> int:
    type_: Any = field.type
    depth = 0
    while (inner := getattr(type_, "of_type", None)) is not None:
        depth += is_list_type(type_)
        type_ = inner
    return depth
