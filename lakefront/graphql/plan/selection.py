"""What an operation selects, as the executor sees it: fragments spread, fields of one response name merged."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    is_abstract_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

Selected = Mapping[str, FieldDetailsList]
"""Response name -> the field's nodes, in the order of the answer."""


class Selections:
    """The selections of one operation under given conditions (values of the variables of ``@skip``, ``@include``)."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        conditions: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = {
            node.name.value: FragmentDetails(node)
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._variables = VariableValues({}, dict(conditions))

    @cached_property
    def root(self) -> GraphQLObjectType:
        """The operation's root type."""
        found = self._schema.get_root_type(self._operation.operation)
        assert found is not None, "an operation without a root type was refused before"
        return found

    def fields(self) -> Selected:
        """The root fields."""
        return collect_fields(
            self._schema, self._fragments, self._variables, self.root, self._operation
        ).grouped_field_set

    def below(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Selected:
        """What is selected of an object of ``type_`` below a field."""
        return collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, details
        ).grouped_field_set

    def possible(self, type_: Any) -> Sequence[GraphQLObjectType]:
        """The object types that a value of ``type_`` may have."""
        return self._schema.get_possible_types(type_) if is_abstract_type(type_) else [type_]


def conditions_of(document: DocumentNode) -> tuple[str, ...]:
    """The names of the variables on which ``@skip`` and ``@include`` depend, anywhere in the document."""
    return tuple(dict.fromkeys(_conditions(document)))


def _conditions(document: DocumentNode) -> Iterator[str]:
    todo: list[Any] = [node.selection_set for node in document.definitions if hasattr(node, "selection_set")]
    while todo:
        for node in todo.pop().selections:
            for directive in node.directives or ():
                if directive.name.value in {"skip", "include"}:
                    for argument in directive.arguments or ():
                        if isinstance(argument.value, VariableNode):
                            yield argument.value.name.value
            below = getattr(node, "selection_set", None)
            if below is not None:
                todo.append(below)
