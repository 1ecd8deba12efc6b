"""The schema as a whole: printed as checked in, everything described, names that users know."""

from pathlib import Path

import strawberry
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType
from strawberry.types.base import StrawberryObjectDefinition

from lakefront.graphql.declare import declaration_of, declared, permission
from lakefront.graphql.declare.words import node_type
from lakefront.graphql.schema import build_schema, print_schema

CHECKED_IN = Path(__file__).parents[2] / "schema.graphql"


def test_the_checked_in_schema_is_the_one_that_is_served() -> None:
    assert CHECKED_IN.read_text(encoding="utf-8") == print_schema(), "run `make schema` and commit schema.graphql"


def test_everything_has_a_description() -> None:
    without: list[str] = []
    for name, type_ in build_schema()._schema.type_map.items():
        if name.startswith("__"):
            continue
        parts = {name: type_.description}
        if isinstance(type_, GraphQLEnumType):
            parts |= {f"{name}.{value}": item.description for value, item in type_.values.items()}
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            parts |= {f"{name}.{field}": item.description for field, item in type_.fields.items()}
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for field, item in type_.fields.items():
                parts |= {f"{name}.{field}({argument})": found.description for argument, found in item.args.items()}
        without += [path for path, text in parts.items() if not text]
    assert not without


def test_a_field_that_declares_nothing_is_open_to_nobody() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def forgotten(self) -> int:
            return 1

    schema = strawberry.Schema(Query)
    assert permission(schema, "Query", "forgotten") is None
    assert permission(schema, "Query", "unknown") is None
    assert permission(schema, "Unknown", "forgotten") is None


def test_the_names_that_users_know() -> None:
    schema = build_schema()._schema
    assert schema.query_type is not None
    assert set(schema.query_type.fields) >= {"permit", "permits", "permitEvents", "permitStats", "node", "nodes"}
    assert str(schema.query_type.fields["permits"].type) == "PermitConnection!"
    assert set(schema.query_type.fields["permits"].args) == {"filter", "orderBy", "first", "after", "last", "before"}
    assert schema.mutation_type is not None
    assert set(schema.mutation_type.fields) >= {"ingestPermitEvents", "createApiKey", "rotateApiKey", "revokeApiKey"}
    assert schema.subscription_type is not None
    assert set(schema.subscription_type.fields) >= {"permitEvents", "metricsUpdated"}


def test_declarations_can_be_walked() -> None:
    """What the planner needs: from a root field through connections to columns, without resolvers."""
    permit = node_type("Permit")
    assert permit is not None
    assert type(declared(permit)["events"][1]).__name__ == "Connected"
    query = build_schema().get_type_by_name("Query")
    assert isinstance(query, StrawberryObjectDefinition)
    kinds = {field.python_name: type(declaration_of(field)).__name__ for field in query.fields}
    expected = {
        "node": "Named",
        "nodes": "NoneType",
        "permit": "Found",
        "permits": "Connected",
        "permit_events": "Connected",
        "permit_stats": "Grouped",
    }
    assert kinds.items() >= expected.items()
