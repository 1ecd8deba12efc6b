"""Documents that would hurt are refused with little work, whatever is wrong with them, and the harmless ones pass."""

import time
from contextlib import suppress

import pytest
import strawberry
from graphql import get_introspection_query
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lakefront.errors import BadRequest, LakefrontError, OperationRefused
from lakefront.graphql.plan.document import MAX_ERRORS, InvalidDocument, read_document, select_operation
from lakefront.settings import Settings
from tests.graphql.sample import Mutation, Query, Subscription, settings

SCHEMA = strawberry.Schema(Query, Mutation, Subscription)._schema
SETTINGS = settings()

CPU = 3.0
"""Seconds that no document may cost, on a slow and busy machine; they take a tenth of it."""


def many(count: int, part: str, before: str = "{", after: str = "}") -> str:
    """``part`` repeated with its number for ``#``."""
    return before + " ".join(part.replace("#", str(number)) for number in range(count)) + after


def fan_out(levels: int, leaf: str = "hello") -> str:
    """A document of 2^levels fields."""
    steps = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels)]
    return " ".join(["{ ...f0 }", *steps, f"fragment f{levels} on Query {{ {leaf} }}"])


REFUSED = {
    "aliases": many(1000, "a#: hello"),
    "aliases in a fragment used often": many(30, "...f") + "fragment f on Query { a: hello b: hello }",
    "operations": many(1000, "query q# { hello }", "", ""),
    "directives": "{ hello " + "@skip(if: false) " * 100 + "}",
    "ten thousand directives": "{ hello " + "@a" * 10_000 + "}",
    "a megabyte of commas": "{ hello" + "," * 1_000_000 + "}",
    "a megabyte of name": "{" + "a" * 1_000_000 + "}",
    "a megabyte of comments": "{ hello }" + "#\n" * 500_000,
    "characters of several bytes": '{ hello(name: "' + "é" * 60_000 + '") }',
    "names": many(49_000, "a"),
    "fields": many(2100, "hello"),
    "comments": "{ hello }" + "#\n" * 40_000,
    "fragments that fan out": fan_out(9),
    "fragments that fan out without end": fan_out(300),
    "depth": "{ node " + "{ child " * 100 + "{ name }" + " }" * 101,
    "depth through fragments": "{ node { ...f0 } } "
    + many(20, "fragment f# on Node { child { ...g# } }", "", " ")
    + " ".join(f"fragment g{n} on Node {{ child {{ ...f{n + 1} }} }}" for n in range(20))
    + " fragment f20 on Node { name }",
    "deeper than any stack": "{ a " * 20_000,
    "lists within lists": "{ hello(name: " + "[" * 40_000,
    "types within types": "query($a: " + "[" * 2000 + "Int" + "]" * 2000 + ") { hello }",
    "ofType": "{ __schema { types " + "{ ofType " * 100 + "{ name }" + "}" * 101 + "}}",
    "ofType through a fragment": "{ __schema { types { ...t } } } fragment t on __Type "
    + "{ ofType " * 14
    + "{ name }"
    + "}" * 14,
    "introspection that multiplies": "{ __schema { types { fields { type { fields { name } } } } } }",
    "introspection under aliases": "{ __schema { types { a: fields { name } b: fields { name } } } }",
    "aliased introspection in a fragment": "{ ...s } fragment s on Query { a: __schema { types { name } } }",
    "fields of one name in fragments": many(250, "...f#")
    + many(250, "fragment f# on Query { node { child { name } } }"),
    "conflicts": many(300, "node { child(depth: #) { name } }"),
    "a chain of fragments": "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(600)),
    "a cycle": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    "a fragment of itself": "{ ...a } fragment a on Query { hello ...a }",
    "unused fragments": "{ hello } " + many(600, "fragment f# on Query { hello }", "", ""),
    "unknown fields": many(1900, "x#"),
    "unknown arguments": "{ hello" + many(1500, "x#: 1", "(", ")") + "}",
    "an object of unknown fields": "{ hello(point: " + many(1500, "x#: 1") + ") }",
    "unused variables": "query" + many(1200, "$v#: Int", "(", ")") + "{ hello }",
    "lines": "\n" * 90_000 + many(1500, "x#"),
    "a schema": "type A { a: Int } " * 600,
    "no operation": "fragment f on Query { hello }",
    "nothing": " ",
    "an unknown name": "{ helo }",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_document_that_would_hurt_is_refused_at_once(name: str) -> None:
    began = time.process_time()
    with pytest.raises((InvalidDocument, LakefrontError)) as refusal:
        select_operation(read_document(SCHEMA, REFUSED[name], SETTINGS), None)
    assert time.process_time() - began < CPU
    if isinstance(refusal.value, InvalidDocument):
        assert len(refusal.value.errors) <= MAX_ERRORS + 1
        assert "Did you mean" not in str(refusal.value.errors)


ACCEPTED = {
    "the customary introspection": get_introspection_query(),
    "all of it": get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    ),
    "introspection of one type": '{ __type(name: "Node") { fields { type { name fields { name } } } } }',
    "commas": "{ hello" + "," * 40_000 + "}",
    "some aliases": many(50, "a#: hello"),
    "fragments of many components": "{ node { "
    + " ".join(f"...f{n}" for n in range(80))
    + " } } "
    + " ".join(f"fragment f{n} on Node {{ name child {{ name }} }}" for n in range(80)),
    "fields of one name": many(300, "node { child { name } }"),
    "fifteen levels": "{ node " + "{ child " * 13 + "{ name }" + " }" * 13 + "}",
    "a typename": "{ __typename node { __typename } }",
    "several operations": "query a { hello } query b { hello }",
    "a long text": '{ hello(name: """' + "\n a" * 10_000 + '""") }',
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_harmless_document_passes(name: str) -> None:
    assert read_document(SCHEMA, ACCEPTED[name], SETTINGS).definitions


def test_the_limits_are_settings() -> None:
    generous: Settings = settings(graphql_max_aliases=2000, graphql_max_depth=40)
    read_document(SCHEMA, many(900, "a#: hello"), generous)
    read_document(SCHEMA, "{ node " + "{ child " * 30 + "{ name }" + " }" * 31, generous)
    with pytest.raises(OperationRefused, match="levels of fields than the 3 allowed"):
        read_document(SCHEMA, "{ node { child { child { name } } } }", settings(graphql_max_depth=3))
    read_document(SCHEMA, get_introspection_query(), settings(graphql_max_depth=3))


def test_an_operation_is_chosen_by_its_name() -> None:
    document = read_document(SCHEMA, "query a { hello } query b { hello }", SETTINGS)
    chosen = select_operation(document, "b")
    assert chosen.name is not None
    assert chosen.name.value == "b"
    for name, there in ((None, "'operationName': a, b."), ("c", "There is a, b.")):
        with pytest.raises(BadRequest, match=there):
            select_operation(document, name)
    with pytest.raises(BadRequest, match="leave it out"):
        select_operation(read_document(SCHEMA, "{ hello }", SETTINGS), "c")


def test_errors_know_their_lines() -> None:
    with pytest.raises(InvalidDocument) as refusal:
        read_document(SCHEMA, "{\r\n  hello\n\n    nothing }", SETTINGS)
    assert refusal.value.errors[0].locations == [(4, 5)]


WORDS = """{ } ( ) [ ] : $ ! ... @ | & = query mutation subscription fragment on hello node child name f a true null 1
-1.5e3 "x" "" " @skip(if:true) ...f #c , \\ __schema __type types fields ofType"""
words = st.sampled_from([*WORDS.split(), "\n", '""' + '"'])


@hypothesis_settings(max_examples=400, deadline=None)
@given(text=st.lists(words, max_size=40).map(" ".join) | st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(InvalidDocument, LakefrontError):
        read_document(SCHEMA, text, SETTINGS)
