"""The lake's objects: found through the manifest, read, and linked to (P4, X8)."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

from sqlalchemy import select

from lakefront.actor import PERMITS_INSPECTOR, PERMITS_READ, Actor
from lakefront.db.database import Row
from lakefront.db.tables.lake import lake_objects
from lakefront.domain.services import Services
from lakefront.errors import Forbidden, InternalError, NotFound
from lakefront.eventlog.projections.permits import STREAM

READABLE: Final = {STREAM: PERMITS_READ}
"""stream -> the scope that lists its objects."""

CONTENT: Final = {STREAM: (PERMITS_READ, PERMITS_INSPECTOR)}
"""stream -> the scopes that open its objects: whole events are in them."""

LINK_SECONDS: Final = 900
"""How long a link that the store signed is good."""

PATH: Final = "/lake/"
"""Below it the server hands out objects by their keys."""

_log = logging.getLogger(__name__)


def require(actor: Actor, stream: str) -> None:
    """Pass if the actor may read the objects of ``stream``; raises ``NotFound`` for no such stream, ``Forbidden``."""
    if stream not in READABLE:
        raise NotFound(f"There is no such stream in the lake. The streams are: {', '.join(sorted(READABLE))}.")
    actor.require(READABLE[stream])


async def find(services: Services, actor: Actor, key: str) -> Row:
    """The manifest's row of the actor's object with that ``key``.

    Only keys of the manifest are ever looked for in the store, so that none leads anywhere else. Raises ``NotFound``,
    ``Forbidden``, ``Unavailable``.
    """
    streams = [stream for stream, scopes in CONTENT.items() if actor.scopes.issuperset(scopes)]
    if not streams:
        told = f"This needs scopes such as {' and '.join(CONTENT[STREAM])}. Ask for a token with a role that has them."
        raise Forbidden(told)
    columns = lake_objects.c
    statement = select(*(column for column in columns if column.name != "tenant_id")).where(
        columns.tenant_id == actor.tenant, columns.key == key, columns.stream.in_(streams)
    )
    rows = await services.database.rows(actor.tenant, statement) if "\0" not in key else []
    if not rows:
        raise NotFound("There is no such object in the lake. lakeObjects lists what there is, with links.")
    return rows[0]


async def content(services: Services, row: Row) -> AsyncGenerator[bytes, None]:
    """The bytes of an object as it is stored, in parts; ``row`` is what ``find`` gave.

    Raises ``Unavailable`` when the store is away, and ``InternalError`` (the cause is logged) when it has lost it.
    """
    async with aclosing(services.objects.read(row["key"])) as parts:
        try:
            async for part in parts:
                yield part
        except NotFound:
            _log.error("the lake: the object %s is missing from the store; run `lakefront verify lake`", row["key"])
            raise InternalError("The object is missing from the store. Tell the server's operator.") from None


async def download_url(services: Services, key: str) -> str:
    """Where the object is to be had.

    A link that the store signed, good for ``LINK_SECONDS``; where the store cannot sign (a folder) the path on this
    server, which asks for the bearer token.
    """
    return await services.objects.link(key, seconds=LINK_SECONDS) or f"{PATH}{quote(key, safe='/=')}"
