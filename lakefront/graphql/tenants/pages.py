"""Pages of all tenants, which no tenant's own rows are: read through the provisioner, in the order of their ids."""

import asyncio
from typing import Any, Final

import msgspec

from lakefront.db.database import Row
from lakefront.db.query import PageRequest
from lakefront.domain.reads import Page
from lakefront.domain.tenants import profiles
from lakefront.domain.tenants.profiles import Profile, ProfilePage
from lakefront.graphql.connections import Connection, Reading
from lakefront.graphql.context import Context
from lakefront.graphql.declare.cursors import decode, encode
from lakefront.graphql.declare.limits import row_limit
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.tenants.types import Tenant

_MARK: Final = "tenants"
"""What a cursor of these pages begins with, so that no other is taken for one."""


def page_of(
    *, first: int | None, after: str | None, last: int | None, before: str | None, status: str | None
) -> ProfilePage:
    """What a connection's arguments mean; raises ``ValidationError``."""
    if first is not None and last is not None:
        raise refused("last", "first and last exclude each other. Give one of them.")
    return ProfilePage(
        row_limit("last", last) if last is not None else row_limit("first", first),
        after=_position(after, "after"),
        before=_position(before, "before"),
        status=status,
        backward=last is not None,
    )


def connect(context: Context, page: ProfilePage) -> Connection[Tenant]:
    """The connection; what several of its fields need is read once."""
    known: list[asyncio.Future[Page]] = []

    async def read() -> Page:
        found, more = await profiles.profiles(context.services, context.actor, page)
        context.loaders.hand_out(len(found))
        return Page([msgspec.structs.asdict(one) for one in found], more)

    def rows() -> asyncio.Future[Page]:
        if not known:
            known.append(asyncio.ensure_future(read()))
        return known[0]

    async def count() -> int:
        return await profiles.count(context.services, context.actor, page.status)

    between = (_bound(page.after), _bound(page.before))
    request = PageRequest((), page.limit, backward=page.backward, after=between[0], before=between[1])
    return Connection(reading=Reading(request, rows, count, _cursor, _node))


def _node(row: Row) -> Tenant:
    return Tenant.of(Profile(**row))


def _cursor(row: Row) -> str:
    return encode([_MARK, row["tenant_id"]])


def _bound(tenant_id: str | None) -> tuple[Any, ...] | None:
    return None if tenant_id is None else (tenant_id,)


def _position(text: str | None, path: str) -> str | None:
    """The tenant at which a cursor stands; raises ``ValidationError`` for one that is not of these pages."""
    if text is None:
        return None
    try:
        values = decode(text)
    except ValueError:
        values = []
    match values:
        case [str(mark), str(tenant_id)] if mark == _MARK and tenant_id.isascii() and tenant_id.isprintable():
            return tenant_id
        case _:
            raise refused(path, "This is no cursor of tenants. Take one from pageInfo or an edge, as it is.")
