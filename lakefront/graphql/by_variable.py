"""Arguments that no document may hold: documents are remembered by their text, and what is personal is not."""

from graphql import VariableNode

from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused


def only_by_variable(info: Info, argument: str, what: str) -> None:
    """Pass if ``argument`` of the field at hand is a variable without a default; raises ``ValidationError``.

    ``what`` it is, for the message: "A household".
    """
    raw = info._raw_info  # noqa: SLF001 - Strawberry gives the nodes nowhere else
    named = {
        given.value.name.value
        for node in raw.field_nodes
        for given in node.arguments or ()
        if given.name.value == argument and isinstance(given.value, VariableNode)
    }
    defined = {each.variable.name.value: each.default_value for each in raw.operation.variable_definitions or ()}
    if not named or any(defined.get(name) is not None for name in named):
        raise refused(argument, f"{what} is given by a variable, never within the document, which is kept.")
