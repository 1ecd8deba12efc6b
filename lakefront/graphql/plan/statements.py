"""From a plan and the values of a request to a statement that can run: compiled once for each shape of the values."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.db.query import QUERY_SUBJECT, QUERY_TENANT, GroupRequest, Key, PageRequest, Slots, key_arrays
from lakefront.db.statement import SUBJECT, TENANT, Statement, Template, template_of_value
from lakefront.errors import LakefrontError, OperationRefused
from lakefront.graphql.plan.cache import Cache
from lakefront.graphql.plan.literals import with_parameters
from lakefront.graphql.plan.parts import Compiled, Linked, Node, One
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Plan, Planned
from lakefront.graphql.plan.sql import Writer

BYTES_PER_CHARACTER: Final = 4
"""What a compiled statement takes in memory, for each character of its text."""


BYTES_AT_LEAST: Final = 4096
"""What it takes besides, with the skeletons by which it is found."""

AT_ONCE: Final = 150
"""Fields and conditions that are written as SQL in one go, some 0.1 ms each; more are in a thread, one plan after
another."""

MOST_COMPILED: Final = 2500
"""Fields and conditions of one statement."""

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
        """The parameters that have names of their own, the keys of a batched statement aside."""
        return {
            TENANT: self.tenant,
            QUERY_TENANT: self.tenant,
            SUBJECT: self.subject,
            QUERY_SUBJECT: self.subject,
        }

    def statement(self) -> Statement:
        """What runs where nothing goes together with it."""
        return self.together([self.key])

    def together(self, keys: Sequence[Key]) -> Statement:
        """What runs for this request and others like it, whose keys are among ``keys``."""
        template = self.shape.template
        return Statement(template.sql, template.fill(self.slots, self.named() | key_arrays(keys)))


class Statements:
    """The compiled statements of all plans, bounded by their size."""

    def __init__(self, size: int) -> None:
        """``size`` in bytes."""
        self.shapes: Cache[Any, Shape] = Cache(size, _weight)
        self._writing = asyncio.Lock()

    async def bind(self, planned: Planned, actor: Actor) -> Bound:
        """The statement of a plan's compiled part. Raises ``NotCompiled`` where these values want the resolvers.

        That is also where an argument means nothing, or the actor may not: they tell it as the specification says.
        Raises ``OperationRefused`` for more conditions than anybody should write.
        """
        asked, shape = self._known(planned)
        if shape is None:
            shape = await self._write(planned.plan, asked, actor)
        return _bound(shape, asked, actor)

    def ready(self, planned: Planned, actor: Actor) -> Bound | None:
        """As ``bind`` where the statement is written already, and nothing is to be refused; ``None`` otherwise."""
        try:
            asked, shape = self._known(planned)
        except (NotCompiled, LakefrontError):
            return None
        return None if shape is None else _bound(shape, asked, actor)

    def sql(self, planned: Planned, actor: Actor) -> str:
        """The statement's text with its parameters below, to be looked at; raises as ``bind``."""
        asked, shape = self._known(planned)
        shape = shape or compile_shape(planned.plan, asked.requests, actor)
        return with_parameters(_bound(shape, asked, actor).statement())

    def _known(self, planned: Planned) -> tuple["_Asked", Shape | None]:
        """The request's values, and the statement for them if it is written."""
        asked = _ask(planned)
        return asked, self.shapes.get((planned.plan.number, asked.requests))

    async def _write(self, plan: Plan, asked: "_Asked", actor: Actor) -> Shape:
        if asked.work <= AT_ONCE:
            shape = compile_shape(plan, asked.requests, actor)
        else:
            async with self._writing:
                shape = await asyncio.to_thread(compile_shape, plan, asked.requests, actor)
        return self.shapes.put((plan.number, asked.requests), shape)


class _Asked(NamedTuple):
    """The values of one request apart from their shape, and what writing a statement for them amounts to."""

    requests: tuple[Any, ...]
    slots: tuple[Any, ...]
    key: tuple[Any, ...]
    work: int


def _ask(planned: Planned) -> _Asked:
    compiled = planned.plan.compiled
    assert compiled is not None, "a plan of tier 3 has no statement"
    slots, single = Slots(), _single(compiled)
    asked: list[Any] = []
    requests: list[Any] = []
    for place, ask in enumerate(compiled.asks):
        try:
            asked.append(ask.values(planned.variables))
        except (LakefrontError, GraphQLError) as told:
            raise NotCompiled(f"its arguments are refused: {told}", ask.path) from told
        except NotCompiled as found:
            raise NotCompiled(found.reason, ask.path) from found
        requests.append(_skeleton(slots, asked[-1], keyed=single is None or place != single.ask))
        if slots.conditions > MOST_CONDITIONS:
            raise OperationRefused(
                f"The filters have more than {MOST_CONDITIONS:,} conditions, counted wherever they are used. "
                "Ask for less at once."
            )
    work = compiled.size + slots.conditions + slots.positions
    if work > MOST_COMPILED:
        raise NotCompiled(f"it has more than {MOST_COMPILED:,} fields and conditions")
    key: tuple[Any, ...] = ()
    if single is not None:
        key = asked[single.ask][1] if isinstance(single, Node) else asked[single.ask]
    return _Asked(tuple(requests), tuple(slots.values), key, work)


def _bound(shape: Shape, asked: _Asked, actor: Actor) -> Bound:
    return Bound(shape, asked.slots, actor.tenant, actor.subject if shape.owned else None, asked.key)


def _weight(shape: Shape) -> int:
    return BYTES_AT_LEAST + BYTES_PER_CHARACTER * len(shape.template.sql)


def compile_shape(plan: Plan, requests: tuple[Any, ...], actor: Actor) -> Shape:
    """Write and compile the statement for ``requests`` (skeletons). Takes milliseconds.

    Raises ``NotCompiled``, also for what the actor may not: that is for the resolvers to tell.
    """
    assert plan.compiled is not None, "a plan of tier 3 has no statement"
    writer, single = Writer(actor, requests), _single(plan.compiled)
    try:
        if single is not None:
            value = writer.batch(single)
        elif (only := plan.compiled.spread) is not None:
            value = writer.spread(only)
        else:
            value = writer.values(plan.compiled.read)
    except LakefrontError as told:
        raise NotCompiled(f"it is not allowed: {told}", writer.path) from told
    except NotCompiled as found:
        raise NotCompiled(found.reason, writer.path) from found
    owned = writer.owned
    return Shape(template_of_value(value, owned=owned), owned, single is not None)


def _single(compiled: Compiled) -> One | Node | Linked | None:
    """The only root field, where that is one row by its key, or what is related to one: such requests go together."""
    if len(compiled.read) != 1:
        return None
    (part,) = compiled.read.values()
    return part if isinstance(part, One | Node | Linked) else None


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
