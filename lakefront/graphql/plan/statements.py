"""From a plan and the values of a request to a statement that can run: compiled once for each shape of the values."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.db.query import QUERY_SUBJECT, QUERY_TENANT, GroupRequest, PageRequest, Slots
from lakefront.db.statement import SUBJECT, TENANT, Template, template_of_value
from lakefront.errors import LakefrontError, OperationRefused
from lakefront.graphql.plan.cache import Cache
from lakefront.graphql.plan.parts import Compiled, Node, One
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Plan, Planned
from lakefront.graphql.plan.sql import Writer

BYTES_PER_CHARACTER: Final = 4
"""What a compiled statement takes in memory, for each character of its text."""


BYTES_AT_LEAST: Final = 4096
"""What it takes besides, with the skeletons by which it is found."""

MOST_COMPILED: Final = 200
"""Conditions in one statement: writing one takes some 0.1 ms, in one go."""

MOST_CONDITIONS: Final = 1000
"""Conditions in all filters of an operation, each counted wherever it is used: resolvers write them, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A compiled statement; ``owned`` where it reads a subject's own rows, ``batched`` where it takes many keys."""

    template: Template
    owned: bool
    batched: bool


class Bound(NamedTuple):
    """A statement with the values of one request; ``key`` is what a batched one reads."""

    shape: Shape
    slots: tuple[Any, ...]
    tenant: str
    subject: str | None
    key: tuple[Any, ...] = ()

    def named(self) -> dict[str, Any]:
        """The parameters that have names of their own."""
        return {
            TENANT: self.tenant,
            QUERY_TENANT: self.tenant,
            SUBJECT: self.subject,
            QUERY_SUBJECT: self.subject,
        }


class Statements:
    """The compiled statements of all plans, bounded by their size."""

    def __init__(self, size: int) -> None:
        """``size`` in bytes."""
        self.shapes: Cache[Any, Shape] = Cache(size, _weight)

    def bind(self, planned: Planned, actor: Actor) -> Bound:
        """The statement of a plan's compiled part. Raises ``NotCompiled`` where these values want the resolvers.

        That is also where an argument means nothing, or the actor may not: they tell it as the specification says.
        Raises ``OperationRefused`` for more conditions than anybody should write.
        """
        compiled = planned.plan.compiled
        assert compiled is not None, "a plan of tier 3 has no statement"
        slots = Slots()
        single = _single(compiled)
        try:
            asked = [ask.values(planned.variables) for ask in compiled.asks]
            requests = tuple(
                _skeleton(slots, value, keyed=single is None or place != single.ask)
                for place, value in enumerate(asked)
            )
        except (LakefrontError, GraphQLError) as told:
            raise NotCompiled(f"its arguments are refused: {told}") from told
        if slots.conditions > MOST_CONDITIONS:
            raise OperationRefused(
                f"The filters have {slots.conditions:,} conditions, counted wherever they are used, and may have "
                f"{MOST_CONDITIONS:,}. Ask for less at once."
            )
        shape = self._shape(planned.plan, requests, actor, slots.conditions)
        key: tuple[Any, ...] = ()
        if single is not None:
            key = asked[single.ask][1] if isinstance(single, Node) else asked[single.ask]
        return Bound(shape, tuple(slots.values), actor.tenant, actor.subject if shape.owned else None, key)

    def _shape(self, plan: Plan, requests: tuple[Any, ...], actor: Actor, conditions: int) -> Shape:
        known = self.shapes.get((plan.number, requests))
        if known is not None:
            return known
        if conditions > MOST_COMPILED:
            raise NotCompiled(f"its filters have more than {MOST_COMPILED} conditions")
        try:
            return self.shapes.put((plan.number, requests), compile_shape(plan, requests, actor))
        except LakefrontError as told:
            raise NotCompiled(f"it is not allowed: {told}") from told


def _weight(shape: Shape) -> int:
    return BYTES_AT_LEAST + BYTES_PER_CHARACTER * len(shape.template.sql)


def compile_shape(plan: Plan, requests: tuple[Any, ...], actor: Actor) -> Shape:
    """Write and compile the statement for ``requests`` (skeletons). Takes milliseconds."""
    assert plan.compiled is not None, "a plan of tier 3 has no statement"
    writer, single = Writer(actor, requests), _single(plan.compiled)
    value = writer.values(plan.compiled.read.values()) if single is None else writer.batch(single)
    owned = writer.owned
    return Shape(template_of_value(value, owned=owned), owned, single is not None)


def _single(compiled: Compiled) -> One | Node | None:
    """The only root field, where that is one row by its key: such requests go together."""
    if len(compiled.read) != 1:
        return None
    (part,) = compiled.read.values()
    return part if isinstance(part, One | Node) else None


def _skeleton(slots: Slots, value: Any, *, keyed: bool) -> Any:
    match value:
        case PageRequest():
            return slots.page(value)
        case GroupRequest():
            return slots.groups(value)
        case (type() as record, key):
            return record, tuple(slots.put(part) for part in key) if keyed else None
        case _:
            return (tuple(slots.put(part) for part in value) if keyed else None,)
