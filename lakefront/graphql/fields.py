"""Hand-written fields: Strawberry's decorators, typed, with a description and the scope that a field requires."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import strawberry
from strawberry import UNSET

from lakefront.graphql import weights
from lakefront.graphql.rate_limits import RateLimit

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Requires:
    """The scope that an actor needs to ask for a field."""

    scope: str


def field(
    description: str,
    *,
    requires: str | None = None,
    limit: str | None = None,
    weight: int | None = None,
    size: int | None = None,
    sized_by: str | None = None,
    needs: tuple[str, ...] | None = None,
    means: object | None = None,
) -> Callable[[F], F]:
    """A field that the decorated method resolves; ``limit`` is a root field's own rate limit (``10/minute``).

    ``needs`` are the columns of a record's row that it reads, which SQL then gives to it: all unless given. ``means``
    is a declaration by which SQL can answer it, too. ``weight`` is what it costs, ``size`` how long its list is taken
    to be, ``sized_by`` the argument (by its GraphQL name) that says it: see ``weights``.
    """
    made: Callable[[F], F] = strawberry.field(
        description=description,
        metadata=requirement(requires)
        | ({} if needs is None else {"needs": needs})
        | ({} if means is None else {"declaration": means}),
        directives=(*_directives(limit), *weights.directives(weight, size, sized_by)),
    )
    return made


def attribute(description: str, *, requires: str | None = None) -> Any:
    """A field that is an attribute of its object."""
    return strawberry.field(description=description, metadata=requirement(requires))


def mutation(
    description: str, *, requires: str, limit: str | None = None, sized_by: str | None = None
) -> Callable[[F], F]:
    """A mutation that the decorated method carries out."""
    return field(description, requires=requires, limit=limit, sized_by=sized_by)


def subscription(description: str, *, requires: str, limit: str | None = None) -> Callable[[F], F]:
    """A subscription that the decorated async generator feeds."""
    made: Callable[[F], F] = strawberry.subscription(
        description=description, metadata=requirement(requires), directives=_directives(limit)
    )
    return made


def requirement(requires: str | None) -> dict[str, Any]:
    """The metadata of a field that requires the scope; none where there is none."""
    return {} if requires is None else {"requires": Requires(requires)}


def _directives(limit: str | None) -> tuple[RateLimit, ...]:
    return () if limit is None else (RateLimit(limit=limit),)


def given(value: T | None) -> T | None:
    """An argument's value; ``None`` when it was left out, too (``UNSET``: the schema then shows no default)."""
    return None if value is UNSET else value
