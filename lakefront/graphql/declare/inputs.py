"""Input types made at import. Their values come as the plain mapping that the client sent, keyed by GraphQL names.

The planner sees variables in the same form, so that both read filters and orders with the same code.
"""

from collections.abc import Mapping
from typing import Any

from strawberry import UNSET
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from lakefront.graphql.fields import requirement


def _as_sent(_cls: type, value: Mapping[str, Any], _context: Any) -> Mapping[str, Any]:
    return value


def input_type(name: str, description: str) -> Any:
    """An empty input type; ``add`` gives it fields until the schema is built: inputs may refer to each other."""
    return made_type(name, description, is_input=True, fields=[], from_input=_as_sent)


def made_type(name: str, description: str, **more: Any) -> Any:
    """A class that Strawberry takes for a type of its own; ``more`` are members of its definition."""
    made: Any = type(name, (), {"__doc__": description})
    made.__strawberry_definition__ = StrawberryObjectDefinition(
        name=name,
        is_interface=False,
        origin=made,
        description=description,
        interfaces=[],
        extend=False,
        directives=(),
        is_type_of=None,
        resolve_type=None,
        **more,
    )
    return made


def listed(item: Any) -> Any:
    """A list of ``item``, a type that is made at import."""
    made: Any = list
    return made[item]


def add(
    input_: Any, name: str, annotation: Any, description: str, *, required: bool = False, requires: str | None = None
) -> None:
    """Give ``input_`` the field ``name`` (a GraphQL name); ``requires``: the scope without which nobody may use it."""
    made = StrawberryField(
        python_name=name,
        graphql_name=name,
        type_annotation=StrawberryAnnotation(annotation if required else annotation | None),
        description=description,
        default=UNSET,
        metadata=requirement(requires),
    )
    input_.__strawberry_definition__.fields.append(made)


def argument(name: str, annotation: Any, description: str, *, required: bool = False) -> StrawberryArgument:
    """An argument without a default; its value comes under ``name``, the GraphQL name."""
    return StrawberryArgument(
        python_name=name,
        graphql_name=name,
        type_annotation=StrawberryAnnotation(annotation if required else annotation | None),
        description=description,
        default=UNSET,
    )
