"""Variables and fragments: what is used is defined and fits, and what is defined is used.

One rule in place of four of graphql-core's, which walk the document again for each; this one notes uses as validation
passes by, and adds up at the end what each operation reaches.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from graphql import (
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInputType,
    OperationDefinitionNode,
    ValidationContext,
    ValidationRule,
    VariableDefinitionNode,
    VariableNode,
    is_input_object_type,
    is_non_null_type,
    type_from_ast,
)
from graphql.language.visitor import SKIP
from graphql.validation.rules.variables_in_allowed_position import allowed_variable_usage


class _Place(NamedTuple):
    """Where a variable is used, as far as that decides whether it fits."""

    name: str
    type: GraphQLInputType | None
    one_of: str | None
    default: Any


class _Definition:
    """An operation or fragment: its variables' places, each with the first node there, and the fragments it spreads."""

    def __init__(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> None:
        self.node = node
        self.places: dict[Any, tuple[_Place, VariableNode]] = {}
        self.spreads: dict[str, None] = {}


class UsesAreDefined(ValidationRule):
    """Undefined and unused variables, variables in places that they do not fit, and unused fragments.

    With the messages of graphql-core's four rules about them; a mistake in many places is told once for each kind of
    place.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._operations: list[_Definition] = []
        self._fragments: dict[str, _Definition] = {}
        self._all_fragments: list[FragmentDefinitionNode] = []
        self._current: _Definition | None = None

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """What follows is in this operation."""
        self._current = _Definition(node)
        self._operations.append(self._current)

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> None:
        """What follows is in this fragment."""
        self._current = self._fragments[node.name.value] = _Definition(node)
        self._all_fragments.append(node)

    def enter_variable_definition(self, *_: Any) -> Any:
        """A definition is no use."""
        return SKIP

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        """Note the use of a fragment."""
        if self._current:
            self._current.spreads[node.name.value] = None

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        """Note the use of a variable."""
        if self._current is None:
            return
        here = self.context._type_info  # noqa: SLF001 - where graphql-core's own rules look, too
        parent = here.get_parent_input_type()
        one_of = parent.name if is_input_object_type(parent) and parent.is_one_of else None
        type_, default = here.get_input_type(), here.get_default_value()
        key = (node.name.value, str(type_), one_of, id(default))
        self._current.places.setdefault(key, (_Place(node.name.value, type_, one_of, default), node))

    def leave_document(self, *_: Any) -> None:
        """Add up and report."""
        used: set[str] = set()
        for operation in self._operations:
            reached = [operation, *self._reached(operation)]
            used.update(name for definition in reached for name in definition.spreads)
            places = {key: use for definition in reached for key, use in definition.places.items()}
            self._check_variables(operation.node, places.values())
        for fragment in self._all_fragments:
            if fragment.name.value not in used:
                self.report_error(GraphQLError(f"Fragment '{fragment.name.value}' is never used.", fragment))

    def _reached(self, operation: _Definition) -> Iterator[_Definition]:
        """The fragments that the operation uses, directly and through others, each once."""
        names = dict(operation.spreads)
        todo = list(names)
        while todo:
            fragment = self._fragments.get(todo.pop())
            if fragment is not None:
                yield fragment
                more = [name for name in fragment.spreads if name not in names]
                names.update(dict.fromkeys(more))
                todo += more

    def _check_variables(self, operation: Any, uses: Iterable[tuple[_Place, VariableNode]]) -> None:
        where = f" {{}} operation '{operation.name.value}'" if operation.name else ""
        defined = {definition.variable.name.value: definition for definition in operation.variable_definitions or ()}
        used = set()
        for place, node in uses:
            used.add(place.name)
            definition = defined.get(place.name)
            if definition is not None:
                self._check_place(definition, place, node)
                continue
            told = f"Variable '${place.name}' is not defined{where.format('by')}."
            self.report_error(GraphQLError(told, [node, operation]))
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            if name not in used:
                told = f"Variable '${name}' is never used{where.format('in')}."
                self.report_error(GraphQLError(told, definition))

    def _check_place(self, definition: VariableDefinitionNode, place: _Place, node: VariableNode) -> None:
        schema = self.context.schema
        given: Any = type_from_ast(schema, definition.type)
        if given is None or place.type is None:
            return
        if not allowed_variable_usage(schema, given, definition.default_value, place.type, place.default):
            told = f"Variable '${place.name}' of type '{given}' used in position expecting type '{place.type}'."
            self.report_error(GraphQLError(told, [definition, node]))
        if place.one_of and not is_non_null_type(given):
            told = f"Variable '${place.name}' is of type '{given}' but must be non-nullable to be used for OneOf Input"
            self.report_error(GraphQLError(f"{told} Object '{place.one_of}'.", [definition, node]))
