"""A database with the made-up rows, who asks, and the same operations with and without compiled plans."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
import strawberry
from graphql import GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument

from lakefront.actor import Actor
from lakefront.adapters.objects import LocalStore
from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.db.listener import Listener
from lakefront.db.query import Source
from lakefront.domain.permits import STREAM
from lakefront.domain.quotas import Quotas
from lakefront.domain.rights import Rights
from lakefront.domain.services import Services
from lakefront.domain.tenants.directory import Directory
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.projections.progress import Progress
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import Record, permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import DOMAINS, build_schema
from lakefront.settings import Settings
from tests.actors import of_role
from tests.graphql.fuzz import events, outside
from tests.graphql.fuzz.facts import Facts
from tests.graphql.fuzz.rows import TENANTS, fill
from tests.graphql.fuzz.values import IDS, Pools


@dataclass(frozen=True)
class Asker:
    """Somebody who asks, and what a server does with fields that they may not see."""

    actor: Actor
    forbidden_fields: str = "refuse"


ASKERS: Final[Mapping[str, Asker]] = {
    "admin": Asker(of_role("admin")),
    "citizen": Asker(of_role("citizen", subject="ada")),
    "citizen-null": Asker(of_role("citizen", subject="ada"), "null"),
    "other": Asker(of_role("admin", "other")),
}
"""Everything in the city; fewer scopes, twice; another tenant."""

_MORE: Final[Mapping[str, Any]] = {
    "meters": (1000.0, 1, 50_000, 100_000),
    "minutes": (1, 60),
    "stream": (STREAM, STREAM, STREAM, STREAM, "none"),
    "tenantId": (*TENANTS, "nobody"),
}


@dataclass(frozen=True)
class World:
    """A filled database behind the schema."""

    schema: strawberry.Schema
    pools: Pools
    tiers: Mapping[str, tuple[Operations, Operations]]
    """``forbidden_fields`` -> operations with compiled plans, and without."""

    def facts(self, asker: Asker) -> Facts:
        """What to draw operations from for ``asker``."""
        return Facts(self.schema, asker.actor.holds, nulls=asker.forbidden_fields == "null")


@asynccontextmanager
async def world(dsn: str, folder: Path) -> AsyncIterator[World]:
    """Fill the migrated database of ``dsn`` and serve it until the block ends; objects would be in ``folder``."""
    admin = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC"})
    try:
        await fill(admin)
        schema = build_schema((*DOMAINS, events, outside))
        rows = {source.name: await _rows(admin, source) for source in _sources(schema)}
    finally:
        await admin.close()
    async with _served(dsn, folder) as services:
        tiers = {}
        for mode in ("refuse", "null"):
            chosen = replace(services, settings=services.settings.model_copy(update={"forbidden_fields": mode}))
            compiled, plain = (
                Operations(schema, chosen, Context.for_operation, permission, compiled=one) for one in (True, False)
            )
            plain.planner.documents = compiled.planner.documents  # reading one is most of the work, and no tier's
            tiers[mode] = compiled, plain
        yield World(schema, Pools(await _seen(schema, tiers["refuse"][1]), rows), tiers)


@asynccontextmanager
async def _served(dsn: str, folder: Path) -> AsyncIterator[Services]:
    """Services on the database; nothing changes it by itself, and nobody has a quota."""
    async with AsyncExitStack() as stack:
        database = Database(dsn, pool_size=5)
        provisioner, signing_in = (Database(dsn, pool_size=2, role=PROVISIONER_ROLE) for _ in range(2))
        for door in (database, provisioner, signing_in):
            await door.open()
            stack.push_async_callback(door.close)
        log = PostgresLog(dsn, listener=Listener(dsn))
        await log.open()
        stack.push_async_callback(log.close)
        directory, rights = Directory(signing_in), Rights(database)
        await directory.load()
        await rights.load()
        objects = LocalStore(folder)
        await objects.open()
        quotas = Quotas(None, enabled=False)
        settings, progress = Settings(rate_limits="off"), Progress(database)
        yield Services(settings, database, log, progress, quotas, objects, provisioner, signing_in, directory, rights)


def _sources(schema: strawberry.Schema) -> Iterator[Source]:
    for name in schema._schema.type_map:
        cls = getattr(schema.get_type_by_name(name), "origin", None)
        if isinstance(cls, type) and issubclass(cls, Record) and hasattr(cls, "record_source"):
            yield cls.record_source


async def _rows(admin: "asyncpg.Connection[Any]", source: Source) -> list[dict[str, Any]]:
    """Some rows of all tenants, in PostgreSQL's JSON forms."""
    table = f"{source.table.schema}.{source.table.name}"
    texts = await admin.fetch(f"SELECT row_to_json(t)::text FROM {table} t ORDER BY md5(t::text) LIMIT 80")
    return [orjson.loads(text) for (text,) in texts]


async def _seen(schema: strawberry.Schema, plain: Operations) -> dict[str, list[Any]]:
    """What the connections at the root have, in both tenants, by the fields' names."""
    found: dict[str, dict[str, Any]] = {}
    query = schema._schema.query_type
    assert query is not None
    for name, field in query.fields.items():
        type_ = get_named_type(field.type)
        if "Connection" not in type_.name or any(map(is_required_argument, field.args.values())):
            continue
        text = f"{{ {name}(first: 100) {{ edges {{ cursor }} nodes {_everything(type_.fields['nodes'], 3)} }} }}"
        for tenant in TENANTS:
            actor = of_role("admin", tenant)
            answer = await plain.execute(OperationRequest(text), actor, "seen")
            _collect(answer.data, found)
    values = {name: list(values.values()) for name, values in found.items()}
    return {"id": list(IDS), **values, **_MORE}


def _everything(field: Any, depth: int) -> str:
    type_ = get_named_type(field.type)
    assert isinstance(type_, GraphQLObjectType)
    parts = []
    for name, inner in type_.fields.items():
        if any(map(is_required_argument, inner.args.values())):
            continue
        if is_leaf_type(get_named_type(inner.type)):
            parts.append(name)
        elif depth > 0 and not inner.args:
            parts.append(f"{name} {_everything(inner, depth - 2)}")
    return f"{{ {' '.join(parts)} }}"


def _collect(value: Any, found: dict[str, dict[str, Any]]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, list | dict):
                _collect(item, found)
            elif item is not None and len(found.setdefault(name, {})) < 60:
                found[name][f"{item!r}"] = item
