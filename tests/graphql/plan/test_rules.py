"""Our rules of validation and graphql-core's say the same of random documents; theirs are the oracle."""

from typing import Any

import pytest
from graphql import DocumentNode, GraphQLError, Lexer, Source, TokenKind, build_schema, parse, validate
from graphql.validation import (
    NoFragmentCyclesRule,
    NoUndefinedVariablesRule,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    OverlappingFieldsCanBeMergedRule,
    VariablesInAllowedPositionRule,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lakefront.graphql.plan.merging import FieldsMerge
from lakefront.graphql.plan.tokens import count
from lakefront.graphql.plan.usage import UsesAreDefined

SCHEMA = build_schema("""
    interface Being { name: String being(of: Int): Being friends: [Being] tag: String }
    type Cat implements Being {
        name: String being(of: Int): Cat friends: [Being] tag: String same: Int! lives: [Int] cat: Cat
    }
    type Dog implements Being {
        name: String being(of: Int): Being friends: [Being] tag: String same: Int lives: Int cat: Cat
    }
    union Pet = Cat | Dog
    input Box { in: Int! = 1, or: Int, box: Box, ids: [ID!] }
    input One @oneOf { a: Int b: ID }
    type Query {
        being(of: Int): Being cat(box: Box, one: One): Cat dog: Dog pet(ids: [ID!]!): Pet name(of: Int! = 3): String
    }
""")

TYPES = {
    "Query": ["being", "cat", "dog", "pet", "name", "__typename"],
    "Being": ["name", "being", "friends", "tag", "__typename"],
    "Cat": ["name", "being", "friends", "tag", "same", "lives", "cat"],
    "Dog": ["name", "being", "friends", "tag", "same", "lives", "cat", "missing"],
    "Pet": ["__typename"],
}
BELOW = {"being": "Being", "cat": "Cat", "dog": "Dog", "pet": "Pet", "friends": "Being"}
ARGUMENTS = [
    *[""] * 40,
    *["(of: 1)"] * 4,
    "(of: $a)",
    "(of: 2)",
    "(box: {in: $a, box: {or: $b}})",
    "(box: {or: $b, in: $a})",
]
ARGUMENTS += ["(ids: [$a, $c])", "(ids: $d)", "(one: {a: $a})", '(ids: ["1"])', "(ids: 1)", "(of: $undefined)"]
FRAGMENTS = ["F", "G", "H"]


@st.composite
def selections(draw: st.DrawFn, on: str, depth: int) -> str:
    """A selection set on ``on``; fields, aliases, arguments and fragments come from few, so that many meet."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            parts.append("..." + draw(st.sampled_from([*FRAGMENTS, "Missing"] if depth < 3 else FRAGMENTS)))
        elif kind <= 2 and depth:
            inner = draw(st.sampled_from(["Being", "Cat", "Dog", on]))
            parts.append(f"... on {inner} " + draw(selections(inner, depth - 1)))
        else:
            name = draw(st.sampled_from(TYPES[on]))
            if name in BELOW and not depth:
                continue
            alias = draw(st.sampled_from([*[""] * 12, "x: ", "name: "]))
            below = draw(selections(BELOW[name], depth - 1)) if name in BELOW else ""
            parts.append(f"{alias}{name}{draw(st.sampled_from(ARGUMENTS))} {below}")
    return "{" + " ".join(parts or ["__typename"]) + "}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """One or two operations and up to three fragments, which may be unused, undefined or a cycle."""
    parts = []
    for name in draw(st.sampled_from([["A"], ["A", "B"]])):
        variables = draw(
            st.sampled_from(
                ["", "($a: Int)", "($a: Int! $b: Int)", "($a: Int = 1 $c: ID! $d: [ID!])", "($d: [ID!]! = [])"]
            )
        )
        parts.append(f"query {name}{variables} " + draw(selections("Query", 4)))
    for name in draw(st.lists(st.sampled_from(FRAGMENTS), unique=True)):
        on = draw(st.sampled_from(["Query", "Being", "Cat", "Dog"]))
        parts.append(f"fragment {name} on {on} " + draw(selections(on, 2)))
    return " ".join(parts)


def found(document: Any, *rules: Any) -> list[GraphQLError]:
    return validate(SCHEMA, document, rules, max_errors=1000)


@hypothesis_settings(max_examples=300, deadline=None)
@given(text=documents())
def test_both_rules_say_what_graphql_core_says(text: str) -> None:
    document = parse(text)  # to draw one is most of the work, so both look at it
    fields_merge_where_graphql_core_says_so(document)
    uses_are_defined_where_graphql_core_says_so(document)


def fields_merge_where_graphql_core_says_so(document: DocumentNode) -> None:
    theirs, ours = found(document, OverlappingFieldsCanBeMergedRule), found(document, FieldsMerge)
    assert not ours or theirs, ours
    # Of fragments that form a cycle or that nobody uses it says nothing: other rules refuse them.
    if not found(document, NoUnusedFragmentsRule, NoFragmentCyclesRule):
        assert bool(ours) == bool(theirs), (theirs, ours)


def uses_are_defined_where_graphql_core_says_so(document: DocumentNode) -> None:
    rules = (NoUndefinedVariablesRule, NoUnusedVariablesRule, VariablesInAllowedPositionRule, NoUnusedFragmentsRule)
    theirs = {error.message for error in found(document, *rules)}
    assert {error.message for error in found(document, UsesAreDefined)} == theirs


@pytest.mark.parametrize(
    "text",
    [
        "{ cat { x: name x: tag } }",
        "{ cat { name } cat { name: tag } }",
        "{ being { name(a: 1) name(a: 2) } }",
        "{ being { ... on Cat { x: same } ... on Dog { x: same } } }",
        "{ being { ... on Cat { x: lives } ... on Dog { x: lives } } }",
    ],
)
def test_conflicts_are_told_as_by_graphql_core(text: str) -> None:
    (theirs,), (ours,) = found(parse(text), OverlappingFieldsCanBeMergedRule), found(parse(text), FieldsMerge)
    assert ours.message == theirs.message


@pytest.mark.parametrize(
    "text",
    [
        "{ cat { name name } cat { name } }",
        "{ pet { ... on Cat { x: cat { name } } ... on Dog { x: cat { name: tag } } } }",
        "{ cat(box: {in: 1, or: 2}) { name } cat(box: {or: 2, in: 1}) { tag } }",
        "{ cat { ...F friends { ...F } } } fragment F on Being { name ...G } fragment G on Being { x: name }",
    ],
)
def test_one_field_in_many_places_is_no_conflict(text: str) -> None:
    assert found(parse(text), OverlappingFieldsCanBeMergedRule) == found(parse(text), FieldsMerge) == []


WORDS = [
    *"{}()[]:$!@|&=1,0",
    "...",
    "query",
    "on",
    "f",
    "a",
    "true",
    "-1.5e3",
    '"x"',
    '""',
    r'"a\"b"',
    r'"\u00e9"',
    "@skip",
]
words = st.sampled_from([*WORDS, "\n", "\r\n", "#c{ @\n", '"' * 3 + ' a "b" \\' + '"' * 3 + ' "\n' + '"' * 3, '"' * 6])


@hypothesis_settings(max_examples=400)
@given(parts=st.lists(words, max_size=40))
def test_tokens_are_counted_as_graphql_core_reads_them(parts: list[str]) -> None:
    text = " ".join(parts)
    tokens, comments, lexer = [], 0, Lexer(Source(text))
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens.append(token)
    token = lexer.token
    while token.prev:
        token = token.prev
        comments += token.kind is TokenKind.COMMENT
    directives = sum(token.kind is TokenKind.AT for token in tokens)
    assert count(text, 1000) == (len(tokens), comments, directives)


def test_a_count_ends_soon() -> None:
    assert count("a " * 1000, 10).tokens == 11
