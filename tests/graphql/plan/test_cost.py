"""What known operations cost; test_cost_random.py has random ones against a naive count."""

import time
from typing import Any

import pytest
import strawberry
from graphql import DocumentNode, OperationDefinitionNode, parse, validate

from lakefront.errors import OperationRefused
from lakefront.graphql.connections import Connection
from lakefront.graphql.fields import field, mutation
from lakefront.graphql.plan.cost import Formula, check_cost, formula
from lakefront.graphql.schema import build_schema
from lakefront.graphql.weights import COUNT, GROUPS, MUTATION, SCHEMA, TYPE, directives
from tests.graphql.sample import settings

CORE = build_schema()._schema
COLUMNS = "permitId status type neighborhood zipcode filedAt issuedAt estimatedCost"


def made(text: str, schema: Any = CORE, **conditions: bool) -> Formula:
    """The formula of the (valid) document's first operation."""
    document = parse(text)
    assert validate(schema, document) == []
    return formula(schema, document, operation_of(document), conditions=conditions)


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    return next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))


def cost(text: str, **variables: Any) -> int:
    return made(text).estimate(variables).total


def within(most: int) -> Any:
    """Settings with that limit."""
    return settings(graphql_max_cost=most)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ permit(permitId: "1") { permitId status } }', 3),
        ("{ permits { nodes { permitId } } }", 1 + 20 * 2),
        (f"{{ permits(first: 1000) {{ nodes {{ {COLUMNS} }} }} }}", 1 + 1000 * 9),
        ("{ permits(last: 7) { edges { cursor node { permitId } } pageInfo { endCursor } } }", 1 + 7 * 3 + 2),
        (
            "{ permits(first: 100) { nodes { permitId events(last: 5) { nodes { eventId } } } } }",
            1 + 100 * (2 + 1 + 10),
        ),
        ("{ permits(first: 5) { totalCount } }", 1 + COUNT),
        ("{ permits(first: 5000) { nodes { permitId } } }", 1 + 1000 * 2),
        ("{ permits(first: -5) { nodes { permitId } } }", 1),
        ("{ permits(first: 2, last: 3) { nodes { permitId } } }", 1 + 3 * 2),
        ("{ permits(first: null) { nodes { permitId } } }", 1 + 20 * 2),
        ("{ permits(first: 3) { nodes { addresses { zipcode location { latitude } } } } }", 1 + 3 * (1 + 3 * 4)),
        ("{ a: me { subject } b: me { subject scopes } }", 5),
        ("{ apiKeys { name roles } }", 10 * 3),
        ('{ nodes(ids: ["a", "b", "c"]) { id ... on Permit { status } } }', 3 * 3),
        ("{ permitStats(groupBy: [STATUS], first: 3) { groups { key { status } count } totalGroups } }", GROUPS + 13),
        ("{ __typename me { __typename subject } }", 2),
        ("{ __schema { types { name fields { name } } } }", SCHEMA),
        ('{ __type(name: "Permit") { name } }', TYPE),
        ('mutation { revokeApiKey(keyId: "1") { apiKey { name } } }', MUTATION + 3),
        ("subscription { permitEvents { cursor event { eventId } } }", 1 + 1 + 2),
    ],
)
def test_what_known_operations_cost(text: str, expected: int) -> None:
    assert cost(text) == expected


@pytest.mark.parametrize(
    ("variables", "rows", "events"),
    [
        ({}, 20, 5),
        ({"n": None, "m": None}, 20, 20),
        ({"n": 100, "m": 7}, 100, 7),
        ({"n": 10**9, "m": 0}, 1000, 0),
        ({"n": -1}, 0, 5),
    ],
)
def test_variables_say_how_many(variables: dict[str, Any], rows: int, events: int) -> None:
    text = """query ($n: Int, $m: Int = 5) {
        permits(first: $n) { nodes { permitId events(first: $m) { edges { cursor } nodes { eventId } } } }
    }"""
    assert cost(text, **variables) == 1 + rows * (2 + 1 + events * (1 + 2))
    assert str(made(text)) == "1 + 3 × $n + 3 × $m × $n"  # noqa: RUF001 - the sign of a product


def test_the_length_of_a_list_says_how_many() -> None:
    text = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert cost(text, ids=["a"] * 30) == 60
    assert cost(text, ids=[]) == 0
    assert cost(text, ids="a") == 2, "one item is a list of it"
    assert cost("query ($a: ID!) { nodes(ids: [$a, $a]) { id } }", a="a") == 4


def test_what_stands_twice_is_executed_once() -> None:
    text = """
        { permit(permitId: "1") { ...A ...B permitId ...A } permit(permitId: "1") { status ...B } }
        fragment A on Permit { permitId status ...B latestInspection { result } }
        fragment B on Permit { permitId latestInspection { type result } }
    """
    assert cost(text) == 1 + 2 + (1 + 2)


def test_all_types_of_an_interface_count() -> None:
    text = """{ node(id: "1") {
        id ... on Permit { id status addresses { zipcode } } ... on PermitEvent { eventId permit { status } }
    } }"""
    of = made(text)
    assert of.estimate({}).total == 1 + 2 + 3 * 2 + 1 + 2
    assert of.actual({"node": {"id": "x", "status": None, "addresses": [{"zipcode": "1"}]}}) == 1 + 2 + 2
    assert of.actual({"node": {"id": "x", "eventId": "y", "permit": None}}) == 1 + 3


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [({"yes": True, "no": False}, 2), ({"yes": False, "no": True}, 3), ({"yes": True}, 2), ({"no": True}, 3), ({}, 3)],
)
def test_what_is_left_out_does_not_count(conditions: dict[str, bool], expected: int) -> None:
    text = """query ($yes: Boolean!, $no: Boolean! = false) {
        me @skip(if: false) {
            subject
            scopes @skip(if: $yes) @include(if: true)
            ... @include(if: false) { kind }
            ...F @skip(if: true)
        }
        a: me @include(if: false) { subject }
        b: me @include(if: $no) @skip(if: true) { subject }
    }
    fragment F on Actor { kind }"""
    assert made(text, **conditions).estimate({}).total == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{ permit(permitId: "1") { permitId } me { subject scopes } }', "me"),
        (f"{{ permits {{ nodes {{ {COLUMNS} latestInspection {{ result }} }} }} }}", "permits.nodes"),
        ("{ all: permits { nodes { permitId events { nodes { eventId source } } } } }", "all.nodes.events.nodes"),
        ("{ permits(first: 5) { totalCount nodes { permitId } } }", "permits.totalCount"),
        ("{ permits(first: 0) { nodes { permitId } } }", "permits"),
        ("{ __typename }", "__typename"),
        ("{ me { subject } __schema { types { name } } }", "__schema"),
    ],
)
def test_the_costliest_path(text: str, path: str) -> None:
    assert made(text).estimate({}).path == path


def test_the_cost_of_each_field() -> None:
    found = made("query ($n: Int) { me { subject } permits(first: $n) { nodes { permitId } } }").estimate({"n": 5})
    assert [tuple(field) for field in found.fields()] == [("me", 1, 1, 2), ("permits", 1, 1, 11)]
    assert [(field.path, field.times) for field in found.fields(9)] == [
        ("me", 1),
        ("me.subject", 1),
        ("permits", 1),
        ("permits.nodes", 5),
        ("permits.nodes.permitId", 5),
    ]
    assert sum(field.total for field in found.fields()) == found.total


def test_the_actual_cost_is_that_of_what_stands_there() -> None:
    of = made("""{
        permits(first: 100) { totalCount nodes { permitId latestInspection { result } addresses { zipcode } } }
        me { scopes }
    }""")
    row = {"permitId": "1", "latestInspection": {"result": None}, "addresses": [{"zipcode": "1"}] * 40}
    page = {"totalCount": 2, "nodes": [row, {"permitId": "2", "latestInspection": None, "addresses": []}]}
    data = {"permits": page, "me": {"scopes": ["a", "b"]}}
    assert of.actual(data) == 1 + COUNT + (1 + 1 + 2 + 80) + (1 + 1 + 1) + 2
    assert of.actual({"permits": None, "me": None}) == 2
    assert of.actual(None) == 0


def test_huge_products_are_exact() -> None:
    inner = "permitId"
    for _ in range(4):
        inner = f"events(first: 1000) {{ nodes {{ permit {{ {inner} }} }} }}"
    assert cost(f"{{ permits(first: 1000) {{ nodes {{ {inner} }} }} }}") > 1000**5


def test_what_is_too_dear_is_refused_with_its_numbers_and_its_path() -> None:
    with pytest.raises(OperationRefused) as refused:
        check_cost(made(f"{{ permits(first: 1000) {{ nodes {{ {COLUMNS} }} }} }}").estimate({}), within(9000))
    assert "costs up to 9,001, more than the 9,000 allowed; most of it at 'permits.nodes'" in refused.value.message
    told = {"field": "permits.nodes", "message": "costs most", "cost": 9001, "limit": 9000}
    assert refused.value.details == [told]
    check_cost(made(f"{{ permits(first: 1000) {{ nodes {{ {COLUMNS} }} }} }}").estimate({}), within(9001))


@pytest.mark.parametrize(
    "text",
    [
        f"{{ permits(first: 1000) {{ nodes {{ {COLUMNS} }} }} }}",
        f"{{ permits(first: 100) {{ totalCount nodes {{ {COLUMNS} events(last: 5) {{ nodes {{ eventId }} }} }} }} }}",
        f"""{{ permits(first: 1000) {{ nodes {{ {COLUMNS}
            addresses {{ streetName zipcode location {{ latitude longitude }} }} latestInspection {{ result type }}
            events(last: 5) {{ nodes {{ eventId eventType occurredAt }} }} }} }} }}""",
    ],
)
def test_what_people_ask_for_is_within_the_limit(text: str) -> None:
    check_cost(made(text).estimate({}), settings())


def test_an_estimate_takes_microseconds() -> None:
    text = f"""query ($n: Int, $m: Int) {{ permits(first: $n) {{ totalCount
        nodes {{ {COLUMNS} events(last: $m) {{ nodes {{ eventId }} }} addresses {{ zipcode }} }} }} }}"""
    of, variables = made(text), {"n": 100, "m": 5}
    best = min(elapsed(of, variables) for _ in range(20))
    assert best < 0.05, f"a thousand took {best} s"


def elapsed(of: Formula, variables: dict[str, Any]) -> float:
    start = time.process_time()
    for _ in range(1000):
        of.estimate(variables)
    return time.process_time() - start


def test_many_fragments_cost_no_more_than_their_fields() -> None:
    """2^20 ways lead to one field; as it is one object, each fragment is walked once."""
    chain = "".join(f"fragment F{n} on Actor {{ ...F{n + 1} ... {{ ...F{n + 1} }} }}\n" for n in range(20))
    assert cost(f"{{ me {{ ...F0 }} }} {chain} fragment F20 on Actor {{ subject }}") == 2


def test_a_fragment_within_itself_does_not_go_on_for_ever() -> None:
    document = parse(
        "{ permits { nodes { ...F } } } fragment F on Permit { permitId events { nodes { permit { ...F } } } }"
    )
    of = formula(CORE, document, operation_of(document), conditions={})
    assert of.estimate({}).total == 1 + 20 * (2 + 1 + 20 * 2)


@strawberry.type
class Thing:
    name: str
    tags: list[str]

    @field("Said to be five.", size=5)
    def parts(self) -> list["Thing"]:
        return []

    @field("Says nothing.")
    def others(self) -> list["Thing"]:
        return []

    @field("A grid.", size=4)
    def grid(self) -> list[list["Thing"]]:
        return []

    @field("Sliced by a number with a default.")
    def some(self, first: int = 3) -> list["Thing"]:
        return []

    @field("Pages.")
    def pages(self, first: int | None = None, last: int | None = None) -> Connection["Thing"]:
        raise NotImplementedError

    @field("Dear.", weight=50)
    def dear(self) -> int:
        return 1


@strawberry.type
class Query:
    @field("A thing.")
    def thing(self) -> Thing:
        raise NotImplementedError


@strawberry.type
class Mutation:
    @mutation("Makes as many as it is given.", requires="x", sized_by="names")
    def make(self, names: list[str]) -> list[Thing]:
        return []


SMALL = strawberry.Schema(Query, Mutation)._schema


def test_declared_weights_and_sizes_hold() -> None:
    assert made("{ thing { dear } }", SMALL).estimate({}).total == 51
    assert made("{ thing { parts { name } others { name } } }", SMALL).estimate({}).total == 1 + 10 + 20
    assert made("{ thing { grid { name } } }", SMALL).estimate({}).total == 1 + 16 * 2
    assert made("{ thing { some { name } a: some(first: 5) { name } } }", SMALL).estimate({}).total == 1 + 6 + 10
    assert made("query ($n: Int! = 7) { thing { some(first: $n) { name } } }", SMALL).estimate({}).total == 1 + 14
    assert made('mutation { make(names: ["a", "b"]) { name } }', SMALL).estimate({}).total == 2 * (MUTATION + 2)


@pytest.mark.parametrize("wrong", [{"weight": -1}, {"size": 0}, {"size": 1, "sized_by": "ids"}])
def test_what_cannot_be_declared(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="size"):
        directives(**wrong)
