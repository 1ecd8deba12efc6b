"""Which selections of an operation count, by their ``@skip`` and ``@include``."""

from collections.abc import Mapping

from graphql import BooleanValueNode, SelectionNode, VariableNode


def included(node: SelectionNode, conditions: Mapping[str, bool]) -> bool:
    """Whether ``node`` may be executed: neither a literal nor a variable of ``conditions`` leaves it out."""
    for directive in node.directives or ():
        wanted = {"skip": False, "include": True}.get(directive.name.value)
        for argument in (directive.arguments or ()) if wanted is not None else ():
            value = argument.value
            if isinstance(value, BooleanValueNode):
                given: bool | None = value.value
            elif isinstance(value, VariableNode):
                given = conditions.get(value.name.value)
            else:
                given = None
            if given is not None and given is not wanted:
                return False
    return True
