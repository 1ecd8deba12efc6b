"""What a subscription says of each event, compiled, as far as it can be.

Columns come from the rows that came with the event, what is related to them from statements that many events share.
Whatever is not plain success, resolvers tell.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakefront.db.query import Join, Key
from lakefront.graphql.declare.resolvers import parent_key

if TYPE_CHECKING:
    from lakefront.graphql.plan.plan import Plan

Get = Callable[[Any], Any]
"""From an object in memory to the value of one of its fields."""


class Untold(Exception):
    """A value is none that the schema promises: resolvers make it the error that it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What is related to a row in memory, at ``path`` of the answer; ``find`` leads there from the payload.

    ``plan`` makes the statement, which takes the keys of many rows.
    """

    path: tuple[str, ...]
    find: tuple[Get, ...]
    join: Join
    plan: "Plan"

    def key(self, payload: Any) -> Key | None:
        """The values by which the related rows of ``payload``'s row are found; ``None`` if there is no such row."""
        for get in self.find:
            if payload is None:
                return None
            payload = get(payload)
        if payload is None:
            return None
        return parent_key(self.join, payload.row) or (None,) * len(self.join.local)


Known = Mapping[Read, bytes | None]
"""The JSON text of what was read for one event; ``None`` is null."""

Tell = Callable[[Any, Known], Any]
"""From an object in memory and what was read beside it to what JSON is made of; raises ``Untold``."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A subscription's compiled selection: ``tell`` makes all of an event's answer, ``None`` where a resolver must.

    Then the executor does, and finds what ``reads`` gave in its place.
    """

    tell: Tell | None
    reads: tuple[Read, ...]


def plans(live: Live) -> Iterable["Plan"]:
    """Those of the statements."""
    return (read.plan for read in live.reads)
