"""What compiled plans alone have: rows of several requests read by one statement, and plans shared by many actors."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from lakefront.actor import Actor
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.declare.cursors import encode
from tests.isolation.leaks import MARKERS, Leak, other, told
from tests.isolation.world import SHARED, World, alone_of

_ROW = "query Row($id: ID!) { permit(permitId: $id) { permitId status neighborhood description } }"
_NODE = "query Node($id: ID!) { node(id: $id) { __typename id ... on Permit { permitId status description } } }"
_PROTECTED = "query Protected($id: ID!) { permit(permitId: $id) { permitId inspector description } }"
_PAGES = "query Pages($id: ID!) { permit(permitId: $id) { events(last: 2) { totalCount nodes { eventId source } } } }"
_ROLES = ("admin", "citizen")
_ROUNDS = 3


class Asked(NamedTuple):
    """A request, and who sends it."""

    tenant: str
    role: str
    document: str
    permit: str


def _asked(tenant: str) -> list[Asked]:
    """The same requests for each tenant, so that those of both meet: rows of both, of one, and of nobody."""
    permits = (*SHARED[:4], *alone_of(tenant)[:1], *alone_of(other(tenant))[:1], "nobody")
    documents = (_ROW, _NODE, _PROTECTED, _PAGES)
    return [Asked(tenant, role, document, one) for one in permits for document in documents for role in _ROLES]


async def interleave(world: World) -> None:
    """Ask as several people of both tenants at once; raises ``Leak`` where it is not as if each were alone.

    In process: requests over HTTP come one after the other, and seldom meet.
    """
    actors = {(tenant, role): await world.actor(tenant, role) for tenant in MARKERS for role in _ROLES}
    both = [one for pair in zip(*(_asked(tenant) for tenant in MARKERS), strict=True) for one in pair]
    alone = {one: await _ask(world, one, actors) for one in both}
    for _ in range(_ROUNDS):
        for one, answer in zip(both, await asyncio.gather(*(_ask(world, one, actors) for one in both)), strict=True):
            if answer != alone[one]:
                raise Leak(f"{one} is answered {answer!r} among others, and {alone[one]!r} alone")


async def _ask(world: World, asked: Asked, actors: Mapping[tuple[str, str], Actor]) -> Any:
    """The data of the answer, which is right by itself; raises ``Leak``."""
    id_ = encode(["Permit", asked.permit]) if asked.document is _NODE else asked.permit
    request = OperationRequest(asked.document, variables={"id": id_})
    text = (await world.operations.execute(request, actors[asked.tenant, asked.role], "together")).encode()
    told(f"{asked}", text, MARKERS[other(asked.tenant)])
    answer = orjson.loads(text)
    if asked.document is _PROTECTED and asked.role == "citizen":
        if [error["extensions"]["code"] for error in answer.get("errors", ())] != ["FORBIDDEN"]:
            raise Leak(f"{asked} is answered {answer}")
        return "refused"
    (found,) = answer["data"].values()
    there = asked.permit in (*SHARED, *alone_of(asked.tenant))
    if (found is not None) is not there or "errors" in answer:
        raise Leak(f"{asked} is answered {answer}, where there is {'a' if there else 'no'} row of theirs")
    return answer["data"]


async def test_requests_that_share_a_statement_share_nothing_else(world: World) -> None:
    batches, tiers = world.operations.runner.batches, world.operations.runner.tiers
    before = batches.statements, batches.keys
    await interleave(world)
    statements, keys = batches.statements - before[0], batches.keys - before[1]
    assert keys > 1.2 * statements > 0, (
        f"{keys} rows by {statements} statements: too few went together to show anything"
    )
    assert tiers[1] == keys, "one of them was answered by resolvers"
