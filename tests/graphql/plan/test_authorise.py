"""Root fields need their scopes, however an operation reaches them; what declares none is closed."""

from functools import partial

import pytest
import strawberry
from graphql import parse

from lakefront.actor import PERMITS_WRITE
from lakefront.errors import BadRequest, Forbidden
from lakefront.graphql.plan import authorise as authorising
from lakefront.graphql.plan.document import select_operation
from tests.graphql.sample import NOBODY, READER, SCOPES, WRITER, Mutation, Query, Subscription

authorise = partial(authorising.authorise, variables={})
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


def _scope(kind: str, name: str) -> str | None:
    """``Node.name`` and ``Node.child`` need the writer's scope, besides what the roots need."""
    return PERMITS_WRITE if (kind, name) in {("Node", "name"), ("Node", "child")} else SCOPES.get((kind, name))


NESTED = [
    "{ node { name } }",
    "{ hello node { other: name @skip(if: true) } }",
    "{ node { ... on Node { name } } }",
    "{ ...f } fragment f on Query { many { ...g } } fragment g on Node { ... { name } }",
]


@pytest.mark.parametrize("text", NESTED)
def test_a_field_below_may_need_a_scope_of_its_own(text: str) -> None:
    document = parse(text)
    operation = select_operation(document, None)
    authorise(SCHEMA, document, operation, WRITER, _scope)
    for nulls in (False, True):  # it may not be null
        with pytest.raises(Forbidden, match=r"'Node.name' needs the scope 'permits:write'") as refused:
            authorise(SCHEMA, document, operation, READER, _scope, nulls=nulls)
        needs = {"field": "Node.name", "message": "This needs the scope 'permits:write'."}
        assert refused.value.details == [needs]


def test_a_fragment_of_another_operation_does_not_count() -> None:
    document = parse("query a { node { broken } } query b { node { ...f } } fragment f on Node { name }")
    authorise(SCHEMA, document, select_operation(document, "a"), READER, _scope)
    with pytest.raises(Forbidden):
        authorise(SCHEMA, document, select_operation(document, "b"), READER, _scope)


def test_a_root_field_is_refused_though_it_may_be_null() -> None:
    document = parse("{ node { broken } }")
    with pytest.raises(Forbidden):
        authorise(SCHEMA, document, select_operation(document, None), NOBODY, _scope, nulls=True)


def test_fragments_are_walked_once() -> None:
    """2^200 ways through them."""
    chain = [f"fragment f{number} on Node {{ a: child {{ ...f{number + 1} }} b: child {{ ...f{number + 1} }} }}"
             for number in range(200)]  # fmt: skip
    document = parse(f"{{ node {{ ...f0 }} }} {' '.join(chain)} fragment f200 on Node {{ broken }}")
    authorise(SCHEMA, document, select_operation(document, None), WRITER, _scope)
