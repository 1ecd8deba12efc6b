"""Default deny, proven: nothing of the schema and no route is open but by a permission that it declares."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import strawberry
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedOutputType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)
from starlette.routing import BaseRoute, Route, WebSocketRoute

from lakefront.actor import SCOPES, SIGNED_IN
from lakefront.graphql.declare.permission import permissions
from lakefront.graphql.schema import build_schema
from lakefront.server.app import PUBLIC
from lakefront.server.openapi import described
from lakefront.settings import Settings
from tests.server.wired import Wired, wired

PERMISSIONS = {*SCOPES, SIGNED_IN}

BY_THEMSELVES = {"/graphql"}
"""Paths whose every operation declares what it needs: the schema's walk looks at them."""


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn)) as made:
        yield made


def undeclared(schema: strawberry.Schema) -> list[str]:
    """What is open though nothing says so: root fields without a permission, fields that hang below no root field."""
    core, declared = schema._schema, permissions(schema)
    roots = [root for root in (core.query_type, core.mutation_type, core.subscription_type) if root is not None]
    found = [f"{root.name}.{name}" for root in roots for name in root.fields if (root.name, name) not in declared]
    below = reached(core, [field.type for root in roots for field in root.fields.values()])
    for name, type_ in core.type_map.items():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and not name.startswith("__"):
            hangs = type_ in roots or name in below
            found += [f"{name}.{field}" for field in type_.fields if not hangs and (name, field) not in declared]
    return found


def reached(core: GraphQLSchema, types: list[GraphQLNamedOutputType]) -> set[str]:
    """The names of the types that fields of ``types`` lead to, themselves included."""
    found: set[str] = set()
    todo = list(types)
    while todo:
        type_ = get_named_type(todo.pop())
        if type_.name in found:
            continue
        found.add(type_.name)
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            todo += core.get_possible_types(type_)
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            todo += [field.type for field in type_.fields.values()]
    return found


def test_every_field_has_a_permission_or_hangs_below_one_that_has() -> None:
    assert undeclared(build_schema()) == []


def test_every_permission_is_one_that_there_is() -> None:
    assert {scope for scope in permissions(build_schema()).values() if scope not in PERMISSIONS} == set()


def test_the_walk_finds_what_was_forgotten() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def forgotten(self) -> int:
            return 1

    @strawberry.type
    class Lost:
        found: int = 1

    schema = strawberry.Schema(Query, types=[Lost])
    assert undeclared(schema) == ["Query.forgotten", "Lost.found"]
    assert "Query.forgotten" in undeclared(build_schema((SimpleNamespace(Query=Query),)))


def open_methods(route: BaseRoute) -> list[str]:
    """The methods of a route that ask for nothing."""
    assert isinstance(route, Route | WebSocketRoute), f"{route} is a kind of route that this walk does not know"
    if route.path in PUBLIC | BY_THEMSELVES:
        return []
    declared = described(route)
    if declared is None:
        return [f"{route.path}: declares nothing"]
    return [f"{method} {route.path}" for method, said in declared.items() if said.scope not in PERMISSIONS]


async def test_every_route_is_public_or_declares_a_permission(served: Wired) -> None:
    assert [found for route in served.app.routes for found in open_methods(route)] == []
    assert {route.path for route in served.app.routes if isinstance(route, Route)} >= PUBLIC | BY_THEMSELVES


async def test_a_route_that_declares_nothing_is_found() -> None:
    assert open_methods(Route("/forgotten", lambda _request: None)) == ["/forgotten: declares nothing"]
