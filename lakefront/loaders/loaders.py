"""The DataLoaders of one operation: built with it, for its one actor, so that no batch ever mixes tenants.

A loader is found by what it reads (a source or a join, and for pages their arguments): the same connection with equal
arguments under a hundred parents is one statement.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from lakefront.actor import Actor
from lakefront.db.database import Row
from lakefront.db.query import Expression, GroupRequest, Join, Key, PageRequest, Source
from lakefront.domain import geocoding, reads
from lakefront.domain.geocoding import Finding, Match
from lakefront.domain.reads import Page
from lakefront.domain.services import Services
from lakefront.errors import OperationRefused

MOST_KEYS = 1000
"""Keys in one statement; more are split."""

MOST_ROWS = 10_000
"""Objects made of rows in one answer, each place counted: nested lists multiply, and 30,000 took five seconds of CPU
in one go, which no time-out can interrupt."""

T = TypeVar("T")


class Loaders:
    """Each method returns one value; calls within one turn of the event loop share a statement."""

    def __init__(self, services: Services, actor: Actor) -> None:
        self._services = services
        self._actor = actor
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}
        self._handed_out = 0

    def hand_out(self, rows: int) -> None:
        """Count ``rows`` that become objects of the answer; raises ``OperationRefused`` past MOST_ROWS."""
        self._handed_out += rows
        if self._handed_out > MOST_ROWS:
            raise OperationRefused(f"The answer has over {MOST_ROWS:,} objects. Ask for fewer rows at once.")

    def row(self, source: Source, key: Key) -> Awaitable[Row | None]:
        """The row with ``key``, if there is one."""

        async def load(keys: list[Key]) -> list[Row | None]:
            return await reads.by_keys(self._services, self._actor, source, keys)

        return self._loader(("row", source), load).load(key)

    def related(self, join: Join, key: Key) -> Awaitable[list[Row]]:
        """All related rows of a parent, whose values in ``join.local`` are ``key``."""

        async def load(keys: list[Key]) -> list[list[Row]]:
            return await reads.related(self._services, self._actor, join, keys)

        return self._loader(("related", join), load).load(key)

    def page(self, source: Source, request: PageRequest) -> Awaitable[Page]:
        """A page of a source; read once, however many fields ask for it."""

        async def load(requests: list[PageRequest]) -> list[Page]:
            return [await reads.page(self._services, self._actor, source, request) for request in requests]

        return self._loader(("page", source, request), load).load(request)

    def page_of(self, join: Join, request: PageRequest, key: Key) -> Awaitable[Page]:
        """A page of the related rows of a parent."""

        async def load(keys: list[Key]) -> list[Page]:
            return await reads.pages_per_parent(self._services, self._actor, join, request, keys)

        return self._loader(("page", join, request), load).load(key)

    def count(self, source: Source, where: Expression | None) -> Awaitable[int]:
        """How many rows of a source match ``where``."""

        async def load(conditions: list[Expression | None]) -> list[int]:
            return [await reads.count(self._services, self._actor, source, condition) for condition in conditions]

        return self._loader(("count", source, where), load).load(where)

    def count_of(self, join: Join, where: Expression | None, key: Key) -> Awaitable[int]:
        """How many related rows of a parent match ``where``."""

        async def load(keys: list[Key]) -> list[int]:
            return await reads.counts_per_parent(self._services, self._actor, join, where, keys)

        return self._loader(("count", join, where), load).load(key)

    def groups(self, source: Source, request: GroupRequest) -> Awaitable[list[Row]]:
        """The groups of a source."""

        async def load(requests: list[GroupRequest]) -> list[list[Row]]:
            return [await reads.groups(self._services, self._actor, source, request) for request in requests]

        return self._loader(("groups", source, request), load).load(request)

    def count_groups(self, source: Source, request: GroupRequest) -> Awaitable[int]:
        """How many groups of a source there are."""

        async def load(requests: list[GroupRequest]) -> list[int]:
            return [await reads.count_groups(self._services, self._actor, source, request) for request in requests]

        return self._loader(("count_groups", source, request), load).load(request)

    async def matches(self, address: str, city: str | None, trace_id: str) -> list[Match]:
        """The places of an address: asked for with all others of the city, waited for by itself (C4)."""

        async def load(lines: list[str]) -> list[Finding]:
            return await geocoding.geocode(self._services, self._actor, lines, city, trace_id=trace_id)

        finding: Finding = await self._loader(("matches", city), load).load(geocoding.one_line(address))
        return await finding.get()

    def _loader(self, identity: Hashable, load: Callable[[list[Any]], Awaitable[list[T]]]) -> DataLoader[Any, T]:
        found = self._loaders.get(identity)
        if found is None:
            found = self._loaders[identity] = DataLoader(load_fn=load, max_batch_size=MOST_KEYS)
        return found
