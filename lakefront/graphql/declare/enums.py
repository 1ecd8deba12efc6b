"""Enums whose values have descriptions, from plain Python enums of the domain."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import strawberry

E = TypeVar("E", bound=Enum)


_required: dict[type[Enum], Mapping[str, str]] = {}


def described(
    enum: type[E],
    description: str,
    values: Mapping[E, str],
    *,
    name: str | None = None,
    requires: Mapping[str, str] | None = None,
) -> type[E]:
    """``enum`` as a GraphQL enum: members' names are its values, each described by ``values``.

    ``name`` is what GraphQL calls it, if not as Python does; ``requires``: member's name -> the scope without which
    nobody may give it.
    """
    made = strawberry.enum(enum, name=name, description=description)
    definition: Any = vars(made)["__strawberry_definition__"]
    for value in definition.values:
        value.description = values[enum[value.name]]
    _required[made] = requires or {}
    return made


def required_by(enum: Any) -> Mapping[str, str]:
    """Value -> scope of those values of a described enum that require one."""
    return _required.get(enum, {})
