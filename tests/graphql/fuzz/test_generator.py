"""The generator itself: what it draws is valid, of a bounded size, and reaches every part of the schema."""

import json
from typing import Any

import pytest
from graphql import DocumentNode, FieldNode, TypeInfo, TypeInfoVisitor, Visitor, parse, validate, visit
from hypothesis import HealthCheck, Phase, given, seed, settings

from lakefront.graphql.plan.document import read_document
from lakefront.graphql.schema import build_schema
from lakefront.settings import Settings
from tests.graphql.fuzz.facts import Facts
from tests.graphql.fuzz.operations import Drawn, Queries
from tests.graphql.fuzz.values import Pools

COUNT = 600


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    """What the generator draws where the database is empty."""
    found: list[Drawn] = []

    @seed(0)
    @settings(max_examples=COUNT, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(Queries(Facts(build_schema()), Pools({"id": ["WyJQZXJtaXQiLCAiUDEiXQ"]})))
    def draw(one: Drawn) -> None:
        found.append(one)

    draw()
    return found


def test_documents_are_valid_by_graphql_core_and_by_us(drawn: list[Drawn]) -> None:
    schema, defaults = build_schema()._schema, Settings()
    for one in drawn[:150]:
        assert validate(schema, parse(one.document)) == [], one.document
        read_document(schema, one.document, defaults)


def test_documents_differ_and_are_small(drawn: list[Drawn]) -> None:
    assert len({repr(one) for one in drawn}) > 0.9 * COUNT
    assert max(len(one.document) for one in drawn) < 20_000


def test_everything_is_reached(drawn: list[Drawn]) -> None:
    schema: Any = build_schema()._schema
    asked: set[tuple[str, str]] = set()

    class Fields(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent = info.get_parent_type()
            if parent is not None:
                asked.add((parent.name, node.name.value))

    for one in drawn:
        info = TypeInfo(schema)
        document: DocumentNode = parse(one.document)
        visit(document, TypeInfoVisitor(info, Fields()))
    assert {name for kind, name in asked if kind == "Query"} >= set(schema.query_type.fields)
    for name in ("Permit", "PermitEvent", "PermitAddress", "PermitStats", "PermitGroup", "PageInfo", "GeoPoint"):
        members = set(schema.type_map[name].fields)
        assert len(members & {member for kind, member in asked if kind == name}) > 0.9 * len(members), name
    text = " ".join(f"{one.document} {json.dumps(one.variables)}".replace('"', "") for one in drawn)
    for part in ("@skip", "@include", "... on Node", "fragment F1", "some:", "every:", "none:", "near:", "having:"):
        assert part in text, part
