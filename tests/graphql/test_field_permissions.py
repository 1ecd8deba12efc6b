"""Permissions of single fields: whoever lacks one neither sees the value nor learns anything of it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry

from lakefront.actor import METRICS_READ, PERMITS_INSPECTOR, PERMITS_READ, SERVICE_REQUESTS_READ
from lakefront.db.query import Source
from lakefront.domain import lake
from lakefront.domain.services import Services
from lakefront.errors import Forbidden
from lakefront.graphql import permits
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import Record, column, embedded, permission, record, relation
from lakefront.graphql.declare.cursors import node_id
from lakefront.graphql.declare.permission import permissions
from lakefront.graphql.fields import attribute, field
from lakefront.graphql.node import Node
from lakefront.graphql.operations import Operations
from lakefront.graphql.permits import PERMITS
from lakefront.graphql.schema import build_schema
from tests.actors import of_role
from tests.graphql.conftest import Ask, RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

CITIZEN, STAFF = of_role("citizen"), of_role("staff")

SHOWN = [
    '{ permit(permitId: "P010") { inspector } }',
    '{ permit(permitId: "P010") { who: inspector } }',
    '{ permit(permitId: "P010") { ... { inspector } } }',
    '{ permit(permitId: "P010") { ... on Permit @include(if: true) { inspector } } }',
    '{ permit(permitId: "P010") { ...f } } fragment f on Permit { ...g } fragment g on Permit { inspector }',
    '{ permit(permitId: "P010") { permitId inspector @skip(if: true) } }',
    "{ permits(first: 1) { nodes { events { nodes { permit { inspector } } } } } }",
    "{ permits(first: 1) { edges { node { inspector } } } }",
    f'{{ node(id: "{node_id("Permit", ("P010",))}") {{ ... on Permit {{ inspector }} }} }}',
    "{ nodes(ids: []) { ... on Node { ... on Permit { inspector } } } }",
    "{ permitStats(groupBy: [STATUS]) { groups { key { inspector } } } }",
    "{ permitEvents(first: 1) { nodes { eventData } } }",
    '{ lakeObjects(stream: "sf-permit-events") { nodes { downloadUrl } } }',
    "subscription { permitEvents { permit { inspector } } }",
    "subscription { permitEvents { event { eventData } } }",
]

USED = [
    'permits(filter: {inspector: {eq: "Ada"}}) { totalCount }',
    "permits(filter: {inspector: {isNull: true}}) { nodes { permitId } }",
    'permits(filter: {not: {or: [{status: {eq: "x"}}, {and: [{inspector: {ne: "x"}}]}]}}) { nodes { permitId } }',
    "permits(orderBy: [{status: ASC}, {inspector: DESC}]) { nodes { permitId } }",
    "permits(orderBy: {inspector: DESC}) { totalCount }",
    'permitEvents(filter: {permit: {inspector: {startsWith: "A"}}}) { totalCount }',
    'permits(filter: {events: {some: {permit: {inspector: {startsWith: "A"}}}}}) { nodes { permitId } }',
    'permit(permitId: "P010") { events(filter: {permit: {inspector: {eq: "Ada"}}}) { nodes { eventId } } }',
    'permit(permitId: "P010") { events(filter: {permit: {inspector: {eq: "Ada"}}}) { totalCount } }',
    "permitStats(groupBy: [INSPECTOR]) { groups { count } }",
    "permitStats(groupBy: [INSPECTOR]) { totalGroups }",
    "permitStats(groupBy: [INSPECTOR], orderBy: [{key: {inspector: ASC}}]) { groups { count } }",
    'permitStats(filter: {inspector: {eq: "Ada"}}) { groups { count } }',
]

GIVEN: list[tuple[str, str, dict[str, Any]]] = [
    ("$f: PermitFilter", "permits(filter: $f) { totalCount }", {"f": {"inspector": {"eq": "Ada"}}}),
    ('$f: PermitFilter = {inspector: {eq: "Ada"}}', "permits(filter: $f) { totalCount }", {}),
    ("$who: String", "permits(filter: {inspector: {eq: $who}}) { totalCount }", {"who": "Ada"}),
    ("$f: [PermitFilter!]", "permits(filter: {or: $f}) { totalCount }", {"f": [{"not": {"inspector": {"ne": "Ada"}}}]}),
    ("$f: [PermitFilter!]", "permits(filter: {or: $f}) { totalCount }", {"f": {"inspector": {"ne": "Ada"}}}),
    ("$o: [PermitOrder!]", "permits(orderBy: $o) { totalCount }", {"o": [{"status": "ASC"}, {"inspector": "ASC"}]}),
    ("$by: [PermitGroupBy!]", "permitStats(groupBy: $by) { totalGroups }", {"by": ["STATUS", "INSPECTOR"]}),
    ("$by: PermitGroupBy!", "permitStats(groupBy: [STATUS, $by]) { totalGroups }", {"by": "INSPECTOR"}),
]


@pytest.mark.parametrize("document", SHOWN)
async def test_an_operation_that_shows_it_is_refused_before_it_runs(
    ask: Ask, city: None, recorder: RecordingDatabase, document: str
) -> None:
    answer = await ask(document, asking=CITIZEN)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert PERMITS_INSPECTOR in error["message"]
    assert "data" not in answer
    assert recorder.statements == []


@pytest.mark.parametrize("document", [document for document in SHOWN if document.startswith("{")])
async def test_whoever_has_the_scope_sees_it(ask: Ask, city: None, document: str) -> None:
    answer = await ask(document, asking=STAFF)
    assert "errors" not in answer, answer


async def test_the_value_is_there(ask: Ask, city: None) -> None:
    assert (await ask(SHOWN[0], asking=STAFF))["data"] == {"permit": {"inspector": "Ada"}}
    assert (await ask('{ permit(permitId: "P010") { permitId } }', asking=CITIZEN))["data"]["permit"]


@pytest.mark.parametrize("selection", USED)
@pytest.mark.parametrize("setting", ["refuse", "null"])
async def test_nothing_may_depend_on_it(services: Services, city: None, selection: str, setting: str) -> None:
    operations = asking(services, setting)
    answer = await operations(f"{{ {selection} }}", CITIZEN)
    refused(answer)
    assert "errors" not in await operations(f"{{ {selection} }}", STAFF)


def refused(answer: dict[str, Any]) -> None:
    """Assert that nothing ran, and that the field is named."""
    assert "data" not in answer
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN", error
    assert PERMITS_INSPECTOR in error["message"]
    assert "inspector" in error["message"].replace(PERMITS_INSPECTOR, "").lower()


@pytest.mark.parametrize(("definitions", "selection", "variables"), GIVEN)
async def test_nothing_may_depend_on_it_by_a_variable(
    ask: Ask, city: None, recorder: RecordingDatabase, definitions: str, selection: str, variables: dict[str, Any]
) -> None:
    document = f"query({definitions}) {{ {selection} }}"
    refused(await ask(document, asking=CITIZEN, **variables))
    assert recorder.statements == []
    assert "errors" not in await ask(document, asking=STAFF, **variables)


async def test_variables_that_do_not_fit_are_told_as_such(ask: Ask, city: None) -> None:
    document = "query($f: PermitFilter, $o: [PermitOrder!]) { permits(filter: $f, orderBy: $o) { totalCount } }"
    for variables in ({"f": "inspector"}, {"f": {"no": 1}}, {"f": {"or": {"and": [[7]]}}}, {"o": [["inspector"]]}):
        (error,) = (await ask(document, asking=CITIZEN, **variables))["errors"]
        assert error["extensions"]["code"] == "VALIDATION_ERROR", error
    assert (await ask(document, asking=CITIZEN, f=None))["data"]["permits"]["totalCount"]


def asking(services: Services, setting: str) -> Any:
    """Ask under a setting of ``forbidden_fields``."""
    settings = services.settings.model_copy(update={"forbidden_fields": setting})
    schema = build_schema()
    operations = Operations(schema, replace(services, settings=settings), Context.for_operation, permission)

    async def run(document: str, actor: Any) -> dict[str, Any]:
        return (await operations.execute(OperationRequest(document), actor, "trace")).payload()

    return run


async def test_it_may_be_null_with_an_error_at_its_path(services: Services, city: None) -> None:
    document = (
        '{ permit(permitId: "P010") { permitId who: inspector } permits(first: 2) { nodes { permitId inspector } } }'
    )
    answer = await asking(services, "null")(document, CITIZEN)
    assert answer["data"] == {
        "permit": {"permitId": "P010", "who": None},
        "permits": {"nodes": [{"permitId": f"P00{number}", "inspector": None} for number in range(2)]},
    }
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
    paths = sorted((error["path"] for error in answer["errors"]), key=str)  # root fields run side by side
    assert paths == [["permit", "who"], ["permits", "nodes", 0, "inspector"], ["permits", "nodes", 1, "inspector"]]
    assert (await asking(services, "null")(document, STAFF))["data"]["permit"]["who"] == "Ada"


async def test_what_may_not_be_null_is_refused_all_the_same(services: Services, city: None) -> None:
    answer = await asking(services, "null")("{ permitEvents { nodes { eventData } } }", CITIZEN)
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    both = '{ permit(permitId: "P010") { permitId } apiKeys { keyId } }'
    assert "data" not in await asking(services, "null")(both, CITIZEN)


async def test_introspection_is_the_same_for_everybody(ask: Ask) -> None:
    document = '{ __type(name: "Permit") { fields { name } } __typename }'
    assert await ask(document, asking=CITIZEN) == await ask(document, asking=STAFF)
    assert "inspector" in str(await ask(document, asking=CITIZEN))


async def test_objects_of_the_lake_hold_it(services: Services) -> None:
    with pytest.raises(Forbidden, match=PERMITS_INSPECTOR):
        await lake.find(services, CITIZEN, "key")


def guarded_by_hand(source: Source) -> strawberry.Schema:
    """A schema over ``source`` with a protected field of every kind."""

    @record()
    class Costs(Record):
        """Costs."""

        estimated: int | None = column("One.", name="estimated_cost")
        revised: int | None = column("Another.", name="revised_cost", requires=METRICS_READ)

    @record()
    class Inspection(Record):
        """An inspection."""

        type: str | None = column("What.", name="inspection_type")

    @strawberry.type(description="Written by hand.")
    class Plain:
        shown: int | None = attribute("Open.")
        hidden: int | None = attribute("Closed.", requires=METRICS_READ)

    @record(source)
    class Guarded(Record):
        """Guarded."""

        permit_id: str = column("Its number.")
        costs: Costs | None = embedded("Costs.")
        inspection: Inspection | None = embedded("The latest.", requires=METRICS_READ)
        events: list[permits.PermitEvent] = relation(
            "Events.", on={"permit_id": "partition_key"}, requires=METRICS_READ
        )

        @field("By hand.", requires=METRICS_READ)
        async def written(self) -> int | None:
            """A number."""
            return 1

    @strawberry.type
    class Query:
        """Questions."""

        @field("One.", requires=PERMITS_READ)
        async def guarded(self) -> Guarded | None:
            """Any."""
            return Guarded(row={"permit_id": "P001", "estimated_cost": 1, "revised_cost": 2, "inspection_type": "x"})

        @field("One.", requires=PERMITS_READ)
        async def plain(self) -> Plain:
            """Any."""
            return Plain(shown=1, hidden=2)

    return build_schema((SimpleNamespace(Query=Query),))


async def test_every_kind_of_declaration_takes_it(services: Services, city: None) -> None:
    source = replace(PERMITS, name="Guarded", protected={})
    schema = guarded_by_hand(source)
    assert source.protected == {"inspection_type": METRICS_READ, "revised_cost": METRICS_READ}
    operations = Operations(schema, services, Context.for_operation, permission)
    for selection in (
        "guarded { costs { revised } }",
        "guarded { inspection { __typename } }",
        "guarded { events { eventId } }",
        "guarded { written }",
        "plain { shown hidden }",
    ):
        answer = await operations.execute(OperationRequest(f"{{ {selection} }}"), CITIZEN, "trace")
        assert answer.refusal is not None, selection
        assert METRICS_READ in answer.refusal.message
        admin = await operations.execute(OperationRequest(f"{{ {selection} }}"), of_role("admin"), "trace")
        assert admin.errors is None


def test_a_column_that_shows_twice_is_protected_twice() -> None:
    with pytest.raises(TypeError, match="Leaky: openInspector shows inspector, which requires permits:inspector"):

        @record(replace(PERMITS, name="Leaky", protected={}))
        class Leaky(Record):
            """Wrong."""

            inspector: str | None = column("Closed.", requires=PERMITS_INSPECTOR)
            open_inspector: str | None = column("Open.", name="inspector")


def test_a_relation_by_a_protected_column_is_protected() -> None:
    with pytest.raises(TypeError, match="colleagues shows inspector"):

        @record(replace(PERMITS, name="Telling", protected={}))
        class Telling(Record):
            """Wrong."""

            inspector: str | None = column("Closed.", requires=PERMITS_INSPECTOR)
            colleagues: "list[Telling]" = relation("Same inspector.", on={"inspector": "inspector"})


def test_a_protected_key_is_refused() -> None:
    with pytest.raises(TypeError, match="its order shows permit_id"):

        @record(replace(PERMITS, name="Keyed", protected={}))
        class Keyed(Record):
            """Wrong."""

            permit_id: str = column("Closed.", requires=PERMITS_INSPECTOR)


@pytest.mark.parametrize(
    ("source", "fine"),
    [
        (replace(PERMITS, name="Owned"), False),
        (replace(PERMITS, name="Owned", owner="inspector"), False),
        (replace(PERMITS, name="Owned", scope=SERVICE_REQUESTS_READ), False),
        (replace(PERMITS, name="Owned", scope=SERVICE_REQUESTS_READ, owner="inspector"), True),
    ],
    ids=["no owner", "another scope's owner", "the scope without an owner", "its owner"],
)
@pytest.mark.parametrize("where", ["column", "embedded", "by hand", "relation"])
def test_a_scope_for_own_rows_opens_own_rows_alone(
    monkeypatch: pytest.MonkeyPatch, source: Source, fine: bool, where: str
) -> None:
    source, scopes = replace(source, protected={}), {where: SERVICE_REQUESTS_READ}

    @record()
    class Part(Record):
        """A part."""

        status: str | None = column("Closed.", requires=scopes.get("embedded"))

    @record(source)
    class Owned(Record):
        """Owned."""

        about: str | None = column("Closed.", name="description", requires=scopes.get("column"))
        part: Part | None = embedded("A part.")
        others: "list[Owned]" = relation("Others.", on={"permit_id": "permit_id"}, requires=scopes.get("relation"))

        @field("By hand.", requires=scopes.get("by hand"))
        async def written(self) -> int | None:
            """A number."""
            return 1

    @strawberry.type
    class Query:
        """Questions."""

        @field("One.", requires=PERMITS_READ)
        async def owned(self) -> Owned | None:
            """None."""
            return None

    # Strawberry finds forward references by the module's names.
    monkeypatch.setitem(globals(), "Owned", Owned)
    if fine:
        assert SERVICE_REQUESTS_READ in permissions(strawberry.Schema(Query)).values()
        return
    with pytest.raises(TypeError, match=r"requires service_requests:read, which may be granted for own rows"):
        permissions(strawberry.Schema(Query))


def test_an_interface_lets_nobody_past() -> None:
    @record(replace(PERMITS, name="Hidden", protected={}))
    class Hidden(Node):
        """Wrong."""

        id: strawberry.ID = attribute("Closed.", requires=PERMITS_INSPECTOR)

    @strawberry.type
    class Query:
        """Questions."""

        @field("One.", requires=PERMITS_READ)
        async def hidden(self) -> Hidden | None:
            """None."""
            return None

    with pytest.raises(TypeError, match=r"Hidden.id requires permits:inspector, Node.id does not"):
        permissions(strawberry.Schema(Query))
