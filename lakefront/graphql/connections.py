"""Relay's connections: nothing is read until a field asks for it, and what several fields ask for is read once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

from lakefront.db.database import Row
from lakefront.db.query import PageRequest
from lakefront.domain.reads import Page
from lakefront.graphql.fields import field
from lakefront.graphql.weights import COUNT

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a connection gets at its rows: ``page`` and ``count`` go through loaders and may be called repeatedly."""

    request: PageRequest
    page: Callable[[], Awaitable[Page]]
    count: Callable[[], Awaitable[int]]
    cursor: Callable[[Row], str]
    node: Callable[[Row], Any]


@strawberry.type(description="Where a page stands among all the rows that match.")
class PageInfo:
    """Relay's page info."""

    has_next_page: bool = strawberry.field(description="Whether there are rows after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there are rows before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first row; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last row; null on an empty page.")


@strawberry.type(description="A row on a page, and where it stands.")
class Edge(Generic[T]):
    """Relay's edge."""

    cursor: str = strawberry.field(description="Where the row stands in this order, for after and before.")
    node: T = strawberry.field(description="The row.")


@strawberry.type(description="One page of rows in a stable order (Relay's connection).")
class Connection(Generic[T]):
    """Relay's connection, with ``nodes`` as a short cut and ``totalCount``."""

    reading: strawberry.Private[Reading]

    @field("The page's rows with their cursors.", weight=0)
    async def edges(self) -> list[Edge[T]]:
        """Relay's edges."""
        page = await self.reading.page()
        return [Edge(cursor=self.reading.cursor(row), node=self.reading.node(row)) for row in page.rows]

    @field("The page's rows.")
    async def nodes(self) -> list[T]:
        """The rows alone."""
        page = await self.reading.page()
        return [self.reading.node(row) for row in page.rows]

    @field("Where this page stands.")
    async def page_info(self) -> PageInfo:
        """More rows ahead are known by one row read beyond the page; a given cursor stands for rows behind it."""
        page, request = await self.reading.page(), self.reading.request
        return PageInfo(
            has_next_page=request.before is not None or (page.more and not request.backward),
            has_previous_page=request.after is not None or (page.more and request.backward),
            start_cursor=self.reading.cursor(page.rows[0]) if page.rows else None,
            end_cursor=self.reading.cursor(page.rows[-1]) if page.rows else None,
        )

    @field("How many rows match the filter, on all pages. Costs a count of its own when selected.", weight=COUNT)
    async def total_count(self) -> int:
        """A separate statement, only when selected."""
        return await self.reading.count()
