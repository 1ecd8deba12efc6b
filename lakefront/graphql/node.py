"""Objects by their global id, whatever their type."""

import asyncio
from typing import Annotated

import strawberry

from lakefront.actor import SIGNED_IN
from lakefront.graphql.context import Info
from lakefront.graphql.declare.cursors import read_node_id
from lakefront.graphql.declare.declarations import Named
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.declare.record import Record
from lakefront.graphql.declare.resolvers import fetch
from lakefront.graphql.declare.words import identity, node_type
from lakefront.graphql.fields import field


@strawberry.interface(description="An object with a global id (Relay).")
class Node(Record):
    """The interface of every record that has rows of its own."""

    id: strawberry.ID = identity("The object's global id: opaque, the same for ever, fit as a cache's key.")


MOST_IDS = 1000
"""Ids in one ``nodes``."""


@strawberry.type
class Query:
    """Objects of any type."""

    @field("The object with that global id; null when there is none (any more).", requires=SIGNED_IN, means=Named())
    async def node(
        self,
        info: Info,
        id_: Annotated[strawberry.ID, strawberry.argument(name="id", description="The field id of an object.")],
    ) -> Node | None:
        """One read by key; the object's own source checks its own scope."""
        return await _node(info, id_, "id")

    @field(
        "The objects with those global ids, in their order; null where there is none.",
        requires=SIGNED_IN,
        sized_by="ids",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description=f"At most {MOST_IDS}.")],
    ) -> list[Node | None]:
        """One statement a type."""
        if len(ids) > MOST_IDS:
            raise refused("ids", f"Give at most {MOST_IDS} ids.")
        return list(await asyncio.gather(*(_node(info, id_, f"ids[{index}]") for index, id_ in enumerate(ids))))


async def _node(info: Info, id_: str, path: str) -> Node | None:
    name, key = read_node_id(id_, path)
    record = node_type(name)
    if record is None or not issubclass(record, Node):
        raise refused(path, "This is no id of this server. Use the field id of an object, as it is.")
    found = await fetch(info.context.loaders, record, key)
    return found if isinstance(found, Node) else None
