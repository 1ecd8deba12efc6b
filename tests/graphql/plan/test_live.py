"""What is compiled of subscriptions: what tells it, why not, and the same words as resolvers have."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import Enum
from typing import Any

import pytest
import strawberry

from lakefront.actor import PERMITS_READ, POLICIES_MANAGE, Actor
from lakefront.db.query import PageRequest, Source
from lakefront.db.tables import permits
from lakefront.domain import reads
from lakefront.domain.services import Services
from lakefront.errors import Unavailable
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Context, Info
from lakefront.graphql.declare import Record, column, connection, permission, record, relation
from lakefront.graphql.fields import field, subscription
from lakefront.graphql.node import Node
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.explain import FELL_BACK
from lakefront.graphql.schema import build_schema
from tests.graphql.fuzz.compare import told

LOTS = Source("Lot", permits.permits, key=("permit_id",), scope=PERMITS_READ)
DOORS = Source("Door", permits.permit_addresses, key=("permit_id", "address_id"), scope=PERMITS_READ)


@strawberry.enum
class Kind(Enum):
    """Of what kind it is."""

    BIG = "big"
    SMALL = "small"


@record(DOORS)
class Door(Record):
    """An address."""

    address_id: strawberry.ID = column("Its id.")
    lot: "Lot | None" = relation("Its lot.", on={"permit_id": "permit_id"})

    @field("In words.")
    async def words(self) -> str:
        return f"{self.row['street_number']} {self.row['street_name']}"


@record(LOTS)
class Lot(Node):
    """A permit."""

    permit_id: strawberry.ID = column("Its number.")
    status: str | None = column("Its status.")
    doors: list[Door] = relation("Where.", on={"permit_id": "permit_id"})
    paged: Connection[Door] = connection("Where, by pages.", on={"permit_id": "permit_id"})


@strawberry.type
class Thing:
    """What comes, plain as it is."""

    number: int
    kind: Kind
    sure: str
    names: list[str | None]
    lots: list[Lot]
    lot: Lot | None = None
    inner: "Thing | None" = None

    @field("From outside.")
    async def weather(self) -> str:
        if self.number == 2:
            raise Unavailable("It is away.")
        return "fair"


@strawberry.type
class Query:
    hello: str = "you"


@strawberry.type
class Subscription:
    @subscription("Three of them.", requires=PERMITS_READ)
    async def things(self, info: Info) -> AsyncIterator[Thing]:
        services, actor = info.context.services, info.context.actor
        page = await reads.page(services, actor, LOTS, PageRequest(order=LOTS.complete(), limit=3))
        lots = [Lot(row=row) for row in page.rows]
        for number, lot in enumerate(lots):
            inner = Thing(number=2**31 + number, kind=Kind.BIG, sure="i", names=[], lots=[lot], lot=lot)
            sure: Any = None if number == 1 else "text"
            yield Thing(number=number, kind=Kind.SMALL, sure=sure, names=["a", None], lots=lots, lot=lot, inner=inner)
        yield Thing(number=9, kind=Kind.BIG, sure="alone", names=[], lots=[])


class Domain:
    """The only one."""

    Query = Query
    Subscription = Subscription


# What is selected: the tier, why it is not the first, and where that is.
PLAIN = "number kind names lots { id permitId status } lot { status __typename } inner { kind lots { permitId } }"
SELECTED: dict[str, tuple[str, int, str | None, str | None]] = {
    "plain": (PLAIN, 1, None, None),
    "null where none may be": ("number sure", 1, None, None),
    "a number that is no Int": ("number inner { number }", 1, None, None),
    "related": ("lot { doors { addressId lot { status } } paged(first: 1) { totalCount } }", 1, None, None),
    "deeper": ("inner { a: lot { b: doors { addressId } } }", 1, None, None),
    "beside a resolver": (
        "weather lot { doors { addressId } } inner { lot { paged { nodes { addressId } } } }",
        *(2, "it is resolved in Python", "things.weather"),
    ),
    "of a list": (
        "number lots { doors { addressId } }",
        *(3, "it is related to the rows of a list in memory", "things.lots.doors"),
    ),
    "a resolver below": ("lot { doors { words } }", 3, "it is resolved in Python", "things.lot.doors"),
    "a resolver": ("weather", 3, "it is resolved in Python", "things.weather"),
    "refused arguments": ("lot { paged(first: -1) { totalCount } }", 1, None, None),
    "directives": (
        "number @skip(if: $no) weather @include(if: $no) ... @skip(if: $no) { a: kind } inner { b: __typename }",
        *(1, None, None),
    ),
}


@pytest.fixture
def both(services: Services, city: None) -> tuple[Operations, Operations]:
    """The same operations, compiled and by resolvers alone."""
    parts: Any = (build_schema([Domain]), services, Context.for_operation, permission)
    return Operations(*parts), Operations(*parts, compiled=False)


async def follow(operations: Operations, actor: Actor, selected: str, **extensions: Any) -> tuple[int, list[Answer]]:
    variables = "($no: Boolean! = false)" if "$no" in selected else ""
    text = f"subscription {variables} {{ things {{ {selected} }} }}"
    operation = operations.prepare(OperationRequest(text, extensions=extensions), actor, "trace")
    assert isinstance(operation, Operation), operation
    async with aclosing(operations.follow(operation)) as answers:
        return operation.planned.plan.tier, [answer async for answer in answers]


@pytest.mark.parametrize("name", SELECTED)
async def test_what_is_compiled_is_told_as_resolvers_tell_it(
    both: tuple[Operations, Operations], actor: Actor, name: str
) -> None:
    selected, tier, _, _ = SELECTED[name]
    found, answers = await follow(both[0], actor, selected)
    plain, expected = await follow(both[1], actor, selected)
    assert (found, plain) == (tier, 3)
    assert [told(answer) for answer in answers] == [told(answer) for answer in expected]
    assert len(answers) == 4


@pytest.mark.parametrize("name", SELECTED)
async def test_the_plan_says_what_is_compiled_and_why_not(
    both: tuple[Operations, Operations], actor: Actor, name: str
) -> None:
    selected, tier, reason, path = SELECTED[name]
    manager = Actor(actor.subject, actor.tenant, actor.scopes | {POLICIES_MANAGE})
    _, answers = await follow(both[0], manager, selected, plan=True, cost=True)
    assert answers[0].extensions is not None
    plan = answers[0].extensions["plan"]
    (root,) = plan["fields"]
    if name == "refused arguments":
        assert (plan["tier"], plan["sql"]) == (3, None)
        assert root["reason"].startswith("its arguments are refused")
        assert root["path"] == "things.lot.paged"
        return
    if name == "a number that is no Int":  # found as the event is told: resolvers tell it
        tier, reason, path = 3, FELL_BACK, "things"
    assert (plan["tier"], root["compiled"], root["reason"], root["path"]) == (tier, tier == 1, reason, path)
    reading = tier < 3 and "doors" in selected
    assert (plan["sql"] is not None) == reading
    assert answers[0].extensions["cost"]["actual"] > 0


async def test_resolvers_are_asked_for_the_rest_alone(both: tuple[Operations, Operations], actor: Actor) -> None:
    """A statement for the events of each read, and none for what it gave."""
    compiled, _ = both
    await follow(compiled, actor, SELECTED["beside a resolver"][0])
    batches = compiled.runner.batches
    assert (batches.statements, batches.keys) == (6, 6), "these events do not come one right after the other"
