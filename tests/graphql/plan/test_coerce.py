"""Coercion of our own gives what graphql-core's gives, and finds as much wrong."""

from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, parse
from graphql.execution.values import get_argument_values, get_variable_values
from hypothesis import given, settings
from hypothesis import strategies as st

from lakefront.graphql.plan.coerce import Arguments, Variables
from lakefront.graphql.schema import build_schema

SCHEMA = build_schema()._schema
FIELD = SCHEMA.query_type.fields["permits"] if SCHEMA.query_type else None

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.sampled_from(["", "a", "ASC", "DESC", "2024-01-15"]),
)
names = st.sampled_from(
    [
        "permitId",
        "status",
        "estimatedCost",
        "issuedAt",
        "and",
        "or",
        "not",
        "events",
        "some",
        "eq",
        "in",
        "isNull",
        "nope",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
DEFINITIONS = (
    "$filter: PermitFilter, $order: [PermitOrder!], $first: Int = 7, $after: String, $ids: [ID!], $id: ID!, "
    "$near: NearInput, $deep: [[Int]]"
)
ARGUMENTS = (
    "filter: $filter, first: $first, orderBy: $order",
    "filter: {permitId: {in: $ids}, not: $filter}, after: $after",
    "filter: {or: [$filter, {permitId: {eq: $id}}]}, first: 3",
    'filter: {and: [{status: {eq: "issued", ne: $after}}]}, orderBy: {issuedAt: DESC}, last: $first',
    "orderBy: [{issuedAt: ASC_NULLS_LAST}], filter: {permitId: {in: [$id, $after]}}",
    "first: null, filter: {}",
)


def operation(arguments: str) -> OperationDefinitionNode:
    document = parse(f"query ({DEFINITIONS}) {{ permits({arguments}) {{ totalCount }} }}")
    found = document.definitions[0]
    assert isinstance(found, OperationDefinitionNode)
    return found


OPERATIONS = [operation(arguments) for arguments in ARGUMENTS]
READERS = [Variables(SCHEMA, each) for each in OPERATIONS]


def told(made: Any) -> Any:
    """A result, or for each error which variable is wrong: the words are our own."""
    return [error.locations for error in made[:5]] if isinstance(made, list) else made.coerced


@settings(deadline=None, max_examples=300)
@given(
    given_=st.fixed_dictionaries(
        {"id": st.one_of(st.just("P1"), values)},
        optional=dict.fromkeys(("filter", "order", "first", "after", "ids", "near", "deep"), values),
    ),
    which=st.integers(0, len(ARGUMENTS) - 1),
)
def test_as_graphql_core(given_: dict[str, Any], which: int) -> None:
    definitions = OPERATIONS[which].variable_definitions or ()
    theirs = get_variable_values(SCHEMA, definitions, given_, 5, hide_suggestions=True)
    ours = READERS[which].coerce(given_)
    assert repr(told(ours)) == repr(told(theirs)) or told(ours) == told(theirs)
    if isinstance(ours, list) or isinstance(theirs, list) or FIELD is None:
        return
    node: Any = OPERATIONS[which].selection_set.selections[0]
    try:
        expected: Any = get_argument_values(FIELD, node, theirs, hide_suggestions=True)
    except GraphQLError as error:
        expected = error.message
    try:
        found: Any = Arguments(FIELD, node).values(ours)
    except GraphQLError as error:
        found = error.message
    assert repr(found) == repr(expected) or found == expected
