"""Enums whose values have descriptions, from plain Python enums of the domain."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import strawberry

E = TypeVar("E", bound=Enum)


def described(enum: type[E], description: str, values: Mapping[E, str], *, name: str | None = None) -> type[E]:
    """``enum`` as a GraphQL enum: members' names are its values, each described by ``values``.

    ``name`` is what GraphQL calls it, if not as Python does.
    """
    made = strawberry.enum(enum, name=name, description=description)
    definition: Any = vars(made)["__strawberry_definition__"]
    for value in definition.values:
        value.description = values[enum[value.name]]
    return made
