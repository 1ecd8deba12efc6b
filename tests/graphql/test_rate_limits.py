"""Limits of single fields (L16): declared at the field, in the schema for all to see, counted as the document asks."""

from collections import Counter

import pytest
import strawberry
from graphql import OperationDefinitionNode, parse

from lakefront.graphql.fields import field, mutation, subscription
from lakefront.graphql.rate_limits import RateLimit, rate_limits, root_fields
from lakefront.graphql.schema import build_schema


@strawberry.type
class Query:
    @field("Costs nothing.", requires="x")
    def cheap(self) -> int:
        return 1

    @field("Costs much.", requires="x", limit="5/hour")
    def dear_one(self) -> int:
        return 1


@strawberry.type
class Mutation:
    @mutation("Makes.", requires="x", limit="10/minute")
    def make_thing(self) -> int:
        return 1


def test_a_limit_is_in_the_schema() -> None:
    schema = strawberry.Schema(Query, Mutation)
    text = schema.as_str()
    assert "directive @rateLimit(" in text
    assert 'makeThing: Int! @rateLimit(limit: "10/minute")' in text
    assert 'dearOne: Int! @rateLimit(limit: "5/hour")' in text
    assert rate_limits(schema) == {"dearOne": "5/hour", "makeThing": "10/minute"}


@pytest.mark.parametrize("rate", ["", "10", "0/minute", "10/fortnight", "10 per minute", "1/minute\n", "999999/second"])
def test_what_is_no_rate_is_refused_where_it_is_declared(rate: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        field("A field.", limit=rate)
    with pytest.raises(ValueError, match="is no rate"):
        subscription("A field.", requires="x", limit=rate)


def test_only_root_fields_can_have_one() -> None:
    @strawberry.type
    class Thing:
        @field("Not a root field.", limit="10/minute")
        def part(self) -> int:
            return 1

    @strawberry.type(name="Query")
    class Root:
        @field("A thing.", requires="x")
        def thing(self) -> Thing:
            return Thing()

    with pytest.raises(ValueError, match=r"Thing\.part is no root field"):
        rate_limits(strawberry.Schema(Root))


@pytest.mark.parametrize(
    ("document", "uses"),
    [
        ("{ cheap }", {}),
        ("{ cheap dearOne }", {"dearOne": 1}),
        ("{ dearOne dearOne }", {"dearOne": 1}),
        ("{ a: dearOne b: dearOne dearOne }", {"dearOne": 3}),
        ("{ a: dearOne ... { a: dearOne b: dearOne } }", {"dearOne": 2}),
        (
            "{ ...F ...F } fragment F on Query { dearOne c: dearOne ...G } fragment G on Query { d: dearOne }",
            {"dearOne": 3},
        ),
        ("{ dearOne @skip(if: true) }", {"dearOne": 1}),
        ("mutation { a: makeThing b: makeThing }", {"makeThing": 2}),
        ("{ cheap: dearOne }", {"dearOne": 1}),
        ("{ dearOne: cheap }", {}),
    ],
)
def test_uses_are_counted(document: str, uses: dict[str, int]) -> None:
    parsed = parse(document)
    operation = parsed.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    limited = {"dearOne", "makeThing"}
    assert Counter(name for name, _ in root_fields(parsed, operation) if name in limited) == uses


def test_every_limit_of_the_schema_is_on_a_root_field() -> None:
    assert all(RateLimit(limit=rate) for rate in rate_limits(build_schema()).values())
