"""Root fields need their scopes, however an operation reaches them; what declares none is closed."""

import pytest
import strawberry
from graphql import parse

from lakefront.errors import BadRequest, Forbidden
from lakefront.graphql.plan.authorise import authorise
from lakefront.graphql.plan.document import select_operation
from tests.graphql.sample import NOBODY, READER, SCOPES, WRITER, Mutation, Query, Subscription

SCHEMA = strawberry.Schema(Query, Mutation, Subscription)._schema

NEEDS_READING = [
    "{ hello }",
    "{ alias: hello }",
    "{ __typename hello }",
    "{ ... { hello } }",
    "{ ... on Query { ... { hello } } }",
    "{ ...f } fragment f on Query { ...g } fragment g on Query { hello }",
    "query($yes: Boolean!) { hello @include(if: $yes) }",
    "subscription { count }",
]


@pytest.mark.parametrize("text", NEEDS_READING)
def test_a_scope_is_needed_through_every_disguise(text: str) -> None:
    document = parse(text)
    operation = select_operation(document, None)
    authorise(SCHEMA, document, operation, READER, lambda kind, name: SCOPES.get((kind, name)))
    with pytest.raises(Forbidden, match="permits:read"):
        authorise(SCHEMA, document, operation, NOBODY, lambda kind, name: SCOPES.get((kind, name)))


def test_default_deny() -> None:
    document = parse("{ hello undeclared }")
    with pytest.raises(Forbidden, match="open to nobody"):
        authorise(SCHEMA, document, select_operation(document, None), WRITER, lambda _kind, _name: None)


def test_introspection_is_open_to_whoever_holds_a_token() -> None:
    document = parse('{ __typename __schema { queryType { name } } __type(name: "Query") { name } }')
    authorise(SCHEMA, document, select_operation(document, None), NOBODY, lambda _kind, _name: None)


def test_an_operation_needs_a_root_and_a_field() -> None:
    for text, schema in (("query { }", SCHEMA), ("mutation { a }", strawberry.Schema(Query)._schema)):
        document = parse(text)
        with pytest.raises(BadRequest):
            authorise(schema, document, select_operation(document, None), WRITER, lambda _kind, _name: None)
