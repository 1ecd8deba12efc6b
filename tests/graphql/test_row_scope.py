"""Row scope: whoever holds a scope for own rows alone sees those, whatever is asked, and however."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery

from lakefront.actor import METRICS_READ, PERMITS_READ, SERVICE_REQUESTS_READ, Actor
from lakefront.db.database import Database
from lakefront.db.query import PageRequest, page
from lakefront.domain.services import Services
from lakefront.errors import Forbidden
from lakefront.graphql import node
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.declare.cursors import node_id
from lakefront.graphql.operations import Operations
from lakefront.graphql.permits import PERMITS
from lakefront.graphql.schema import build_schema
from lakefront.loaders import Loaders
from tests import owned
from tests.graphql.conftest import RecordingDatabase

OWN = frozenset({SERVICE_REQUESTS_READ})
ADA, BOB, EVE = (Actor(name, "city", frozenset({METRICS_READ}), own=OWN) for name in ("ada", "bob", "eve"))
STAFF = Actor("staff", "city", OWN | {METRICS_READ}, own=OWN)
ELSEWHERE = Actor("ada", "other", frozenset({METRICS_READ}), own=OWN)

AskAs = Callable[[Actor, str], Awaitable[Any]]


@pytest.fixture
async def complaints(dsn: str) -> None:
    """The tables of ``tests.owned``."""
    await owned.make_tables(dsn)


@pytest.fixture
def ask_as(services: Services, recorder: RecordingDatabase, complaints: None) -> AskAs:
    """Ask as somebody; the data, after errors were ruled out."""
    schema = build_schema((node, SimpleNamespace(Query=owned.Query)))
    operations = Operations(schema, replace(services, database=recorder), Context.for_operation, permission)

    async def run(actor: Actor, document: str) -> Any:
        answer = await operations.execute(OperationRequest(document), actor, "trace")
        assert answer.errors is None, answer.errors
        return answer.data

    return run


def _ids(found: Any) -> list[str]:
    return [row["complaintId"] for row in found]


PAGE = "{ complaints { nodes { complaintId } totalCount pageInfo { hasNextPage } } }"


@pytest.mark.parametrize(
    ("actor", "ids"),
    [(ADA, ["c1", "c4"]), (BOB, ["c2", "c3"]), (EVE, []), (STAFF, ["c1", "c2", "c3", "c4", "c5"]), (ELSEWHERE, ["c6"])],
    ids=["ada", "bob", "eve", "staff", "elsewhere"],
)
async def test_pages_and_counts(ask_as: AskAs, actor: Actor, ids: list[str]) -> None:
    found = (await ask_as(actor, PAGE))["complaints"]
    assert (_ids(found["nodes"]), found["totalCount"]) == (ids, len(ids))


async def test_the_range_of_a_page_does_not_widen_it(ask_as: AskAs) -> None:
    first = (await ask_as(ADA, "{ complaints(first: 1) { pageInfo { endCursor hasNextPage } } }"))["complaints"]
    assert first["pageInfo"]["hasNextPage"]
    document = '{ complaints(%s: "%s", last: 5, orderBy: [{complaintId: ASC}]) { nodes { complaintId } } }'
    cursor = first["pageInfo"]["endCursor"]
    assert _ids((await ask_as(ADA, document % ("after", cursor)))["complaints"]["nodes"]) == ["c4"]
    assert _ids((await ask_as(BOB, document % ("after", cursor)))["complaints"]["nodes"]) == ["c2", "c3"]
    assert _ids((await ask_as(BOB, document % ("before", cursor)))["complaints"]["nodes"]) == []


async def test_by_key_and_by_id(ask_as: AskAs) -> None:
    ids = [node_id("Complaint", (f"c{number}",)) for number in range(1, 7)]
    document = '{ one: complaint(complaintId: "c1") { about } two: complaint(complaintId: "c2") { about } }'
    assert await ask_as(ADA, document) == {"one": {"about": "litter"}, "two": None}
    listed = ", ".join(f'"{id_}"' for id_ in ids)
    found = (await ask_as(ADA, f"{{ nodes(ids: [{listed}]) {{ ... on Complaint {{ complaintId }} }} }}"))["nodes"]
    assert found == [{"complaintId": "c1"}, None, None, {"complaintId": "c4"}, None, None]
    assert (await ask_as(BOB, f'{{ node(id: "{ids[0]}") {{ id }} }}'))["node"] is None


async def test_related_rows(ask_as: AskAs) -> None:
    document = """{ places { nodes { placeId
      complaints { nodes { complaintId } totalCount } everyComplaint { complaintId citizen } } } }"""

    def expected(park: list[str], pier: list[str], pool: list[str]) -> dict[str, list[str]]:
        return {"park": park, "pier": pier, "pool": pool}

    for actor, of_places in (
        (ADA, expected(["c1"], ["c4"], [])),
        (BOB, expected(["c2"], [], ["c3"])),
        (EVE, expected([], [], [])),
        (STAFF, expected(["c1", "c2"], ["c4", "c5"], ["c3"])),
    ):
        for place in (await ask_as(actor, document))["places"]["nodes"]:
            ids = of_places[place["placeId"]]
            assert _ids(place["complaints"]["nodes"]) == _ids(place["everyComplaint"]) == ids
            assert place["complaints"]["totalCount"] == len(ids)
    mine = (await ask_as(ADA, "{ complaints { nodes { siblings { complaintId } place { name } } } }"))["complaints"]
    assert [_ids(row["siblings"]) for row in mine["nodes"]] == [["c1"], ["c4"]]


@pytest.mark.parametrize(
    ("condition", "ada", "staff"),
    [
        ('{some: {about: {eq: "noise"}}}', ["pier"], ["park", "pier"]),
        ('{none: {about: {eq: "noise"}}}', ["park", "pool"], ["pool"]),
        ('{every: {about: {eq: "noise"}}}', ["pier", "pool"], []),
        ('{some: {citizen: {eq: "bob"}}}', [], ["park", "pool"]),
        ('{some: {siblings: {some: {citizen: {eq: "bob"}}}}}', [], ["park", "pool"]),
    ],
)  # fmt: skip
async def test_filters_through_relations(ask_as: AskAs, condition: str, ada: list[str], staff: list[str]) -> None:
    document = f"{{ places(filter: {{complaints: {condition}}}) {{ nodes {{ placeId }} totalCount }} }}"
    for actor, ids in ((ADA, ada), (STAFF, staff)):
        found = (await ask_as(actor, document))["places"]
        assert [row["placeId"] for row in found["nodes"]] == ids
        assert found["totalCount"] == len(ids)


async def test_groups_and_aggregates(ask_as: AskAs) -> None:
    document = "{ complaintStats(groupBy: [CITIZEN]) { groups { key { citizen } count sum { weight } } totalGroups } }"
    assert (await ask_as(ADA, document))["complaintStats"] == {
        "groups": [{"key": {"citizen": "ada"}, "count": 2, "sum": {"weight": "9"}}],
        "totalGroups": 1,
    }
    assert (await ask_as(STAFF, document))["complaintStats"]["totalGroups"] == 3
    assert (await ask_as(EVE, "{ complaintStats { groups { count } } }"))["complaintStats"]["groups"] == [{"count": 0}]


def _sets_the_subject(statement: LoggedQuery) -> bool:
    return "lakefront.subject" in statement.args


async def test_the_subject_is_set_where_rows_are_owned_and_nowhere_else(
    ask_as: AskAs, recorder: RecordingDatabase
) -> None:
    for document in ("{ complaints { nodes { place { name } } } }", "{ places { nodes { name } } }"):
        await ask_as(ADA, document)
    assert [_sets_the_subject(statement) for statement in recorder.statements] == [True, False]
    recorder.statements.clear()
    await ask_as(STAFF, PAGE)
    assert recorder.statements
    assert not any(_sets_the_subject(statement) for statement in recorder.statements)


async def test_row_security_stands_behind_a_forgotten_predicate(database: Database, complaints: None) -> None:
    everything = owned.COMPLAINTS.table.select().order_by("complaint_id")
    assert [row["complaint_id"] for row in await database.rows("city", everything, subject="ada")] == ["c1", "c4"]
    assert len(await database.rows("city", everything)) == 5
    assert await database.rows("city", everything, subject="eve") == []
    # Nor does the setting let past what the predicate holds back.
    mine = page(owned.COMPLAINTS, ADA, PageRequest(owned.COMPLAINTS.complete(), 10))
    assert await database.rows("city", mine, subject="bob") == []
    assert len(await database.rows("city", mine)) == 2


async def test_nobody_writes_for_somebody_else(database: Database, complaints: None) -> None:
    row = "INSERT INTO lakefront.complaints VALUES ('city', $1, 'park', $2, '', 0)"
    async with database.transaction("city", subject="ada") as transaction:
        await transaction.execute(row, "c7", "ada")
        await transaction.execute("UPDATE lakefront.complaints SET about = 'mine'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction("city", subject="ada") as transaction:
            await transaction.execute(row, "c8", "bob")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction("city", subject="ada") as transaction:
            await transaction.execute("UPDATE lakefront.complaints SET citizen = 'bob' WHERE complaint_id = 'c1'")
    table = owned.COMPLAINTS.table
    changed = await database.rows("city", table.select().where(table.c.about == "mine"))
    assert sorted(row["complaint_id"] for row in changed) == ["c1", "c4", "c7"]


async def test_nothing_sticks_to_a_connection(dsn: str, complaints: None) -> None:
    one = Database(dsn, pool_size=1)
    await one.open()
    everything = owned.COMPLAINTS.table.select()
    assert len(await one.rows("city", everything, subject="ada")) == 2
    assert len(await one.rows("city", everything)) == 5
    async with one.transaction("city", subject="bob") as transaction:
        assert len(await transaction.fetch(everything)) == 2
    assert len(await one.rows("city", everything)) == 5
    await one.close()


async def test_own_rows_of_what_has_no_owner_are_refused(services: Services) -> None:
    loaders = Loaders(services, Actor("ada", "city", frozenset(), own=frozenset({PERMITS_READ})))
    for read in (
        loaders.row(PERMITS, ("P001",)),
        loaders.page(PERMITS, PageRequest(PERMITS.complete(), 1)),
        loaders.count(PERMITS, None),
    ):
        with pytest.raises(Forbidden, match="have no owner"):
            await read


async def test_an_actor_without_a_name_owns_nothing(services: Services) -> None:
    nameless = Actor("", "city", frozenset(), own=OWN)
    with pytest.raises(Forbidden):
        await Loaders(services, nameless).count(owned.COMPLAINTS, None)
