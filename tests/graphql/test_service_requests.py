"""Service requests in GraphQL: found, counted by week, read with their history; a citizen's are their own (C10)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from tests.complaints import CITIZEN, NEIGHBOUR, STAFF, give, publish, published
from tests.graphql.conftest import RecordingDatabase

AskAs = Callable[..., Awaitable[Any]]


@pytest.fixture
async def ask_as(services: Services, recorder: RecordingDatabase, dsn: str) -> AskAs:
    """Ten days of requests, the first of them Ada's; the data, after errors were ruled out."""
    await publish(services, *(published(number) for number in range(10)))
    await publish(services, published(0, external_status="Closed"))
    await give(dsn, "ada", "nyc311-000")
    recorder.statements.clear()
    operations = Operations(build_schema(), replace(services, database=recorder), Context.for_operation, permission)

    async def run(actor: Actor, document: str, **variables: Any) -> Any:
        answer = await operations.execute(OperationRequest(document, variables=variables), actor, "trace")
        assert answer.errors is None, answer.errors
        return answer.data

    return run


async def test_open_rodent_complaints_by_borough_and_week_are_one_statement(
    ask_as: AskAs, recorder: RecordingDatabase
) -> None:
    document = """{ serviceRequestStats(
      filter: {complaintType: {eq: "Rodent"}, state: {in: [OPEN, IN_PROGRESS]}}
      groupBy: [BOROUGH, REPORTED_AT_WEEK] orderBy: [{key: {reportedAtWeek: ASC}}, {key: {borough: ASC}}]
    ) { totalGroups groups { key { borough reportedAtWeek } count } } }"""
    found = (await ask_as(STAFF, document))["serviceRequestStats"]
    assert [(*group["key"].values(), group["count"]) for group in found["groups"]] == [
        ("BROOKLYN", "2024-01-01", 1),
        ("QUEENS", "2024-01-01", 1),
    ]
    assert found["totalGroups"] == 2
    assert len(recorder.statements) == 1


@pytest.mark.parametrize(("actor", "ids"), [(CITIZEN, ["000"]), (NEIGHBOUR, []), (STAFF, ["000", "001", "002"])])
async def test_a_citizen_sees_their_own(ask_as: AskAs, actor: Actor, ids: list[str]) -> None:
    document = """{ serviceRequests(first: 3) { totalCount nodes { requestId history { totalCount } } }
      serviceRequest(requestId: "nyc311-001") { state }
      serviceRequestStats { groups { count } } }"""
    found = await ask_as(actor, document)
    assert [node["requestId"] for node in found["serviceRequests"]["nodes"]] == [f"nyc311-{id_}" for id_ in ids]
    assert (found["serviceRequest"] is None) == (actor is not STAFF)
    total = 10 if actor is STAFF else len(ids)
    assert found["serviceRequests"]["totalCount"] == found["serviceRequestStats"]["groups"][0]["count"] == total


async def test_a_request_with_its_history(ask_as: AskAs, recorder: RecordingDatabase) -> None:
    document = """query ($id: ID!) { serviceRequest(requestId: $id) { id source state externalId version
      location { latitude longitude } history { nodes { version eventType previousState state cause what } } } }"""
    found = (await ask_as(CITIZEN, document, id="nyc311-000"))["serviceRequest"]
    history = found.pop("history")["nodes"]
    assert (found["source"], found["state"], found["externalId"], found["version"]) == (
        "OPEN_DATA",
        "CLOSED",
        "000",
        "2",
    )
    assert found["location"] == {"latitude": 40.7, "longitude": -73.9}
    assert [(one["version"], one["previousState"], one["state"]) for one in history] == [
        ("1", None, "OPEN"),
        ("2", "OPEN", "CLOSED"),
    ]
    assert "state" in history[1]["what"].split(", ")
    assert len(recorder.statements) == 1
    again = await ask_as(
        STAFF, "query ($id: ID!) { node(id: $id) { ... on ServiceRequest { state } } }", id=found["id"]
    )
    assert again == {"node": {"state": "CLOSED"}}


async def test_near_a_point(ask_as: AskAs, recorder: RecordingDatabase) -> None:
    document = """{ serviceRequests(filter: {location: {near: {latitude: 40.7, longitude: -73.9, meters: 250}}}) {
      nodes { requestId } } }"""
    found = (await ask_as(STAFF, document))["serviceRequests"]["nodes"]
    assert [node["requestId"] for node in found] == ["nyc311-000", "nyc311-001", "nyc311-002"]
    assert len(recorder.statements) == 1


@pytest.mark.parametrize(("actor", "ids"), [(CITIZEN, ["000"]), (NEIGHBOUR, []), (STAFF, ["000", "001", "002"])])
async def test_nearby_is_that_filter_by_a_shorter_name(ask_as: AskAs, actor: Actor, ids: list[str]) -> None:
    document = """{ nearby(point: {latitude: 40.7, longitude: -73.9}, meters: 250) {
      totalCount pageInfo { hasNextPage } nodes { requestId } } }"""
    found = (await ask_as(actor, document))["nearby"]
    assert [node["requestId"] for node in found["nodes"]] == [f"nyc311-{id_}" for id_ in ids]
    assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (len(ids), False)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("point: {latitude: 91, longitude: 0}", "point.latitude"),
        ("point: {latitude: 0, longitude: 0}, meters: 0", "meters"),
    ],
)
async def test_nearby_says_what_is_wrong(services: Services, given: str, field: str) -> None:
    operations = Operations(build_schema(), services, Context.for_operation, permission)
    answer = await operations.execute(OperationRequest(f"{{ nearby({given}) {{ totalCount }} }}"), STAFF, "trace")
    assert [error["extensions"]["details"][0]["field"] for error in answer.errors or ()] == [field]


async def test_who_changed_it_is_for_staff(services: Services, ask_as: AskAs) -> None:
    document = "{ serviceRequests { nodes { history { nodes { changedBy } } } } }"
    await ask_as(STAFF, document)
    operations = Operations(build_schema(), services, Context.for_operation, permission)
    answer = await operations.execute(OperationRequest(document), CITIZEN, "trace")
    assert [error["extensions"]["code"] for error in answer.errors or ()] == ["FORBIDDEN"]


NEAR = """{ serviceRequest(requestId: "nyc311-000") {
  near: permits(meters: 300) { totalCount nodes { permitId serviceRequests(meters: 300) { totalCount } } }
  far: permits(meters: 5000, first: 1, orderBy: [{permitId: DESC}]) { totalCount nodes { permitId } }
  nearby(meters: 120) { nodes { requestId } } } }"""


async def test_permits_near_a_request_and_requests_near_a_permit(
    ask_as: AskAs, recorder: RecordingDatabase, services: Services, city: None
) -> None:
    """The addresses of P009 are at 37.709, the next ones 111 m to the north each."""
    await publish(services, published(0, latitude=37.709, longitude=-122.4, external_status="Closed"))
    await publish(services, published(1, latitude=37.710, longitude=-122.4, external_status="Closed"))
    recorder.statements.clear()
    found = (await ask_as(STAFF, NEAR))["serviceRequest"]
    assert len(recorder.statements) == 1
    assert [node["permitId"] for node in found["near"]["nodes"]] == ["P007", "P010", "P011"]
    assert [node["serviceRequests"]["totalCount"] for node in found["near"]["nodes"]] == [1, 2, 2]
    assert found["near"]["totalCount"] == 3
    assert found["far"]["nodes"] == [{"permitId": "P053"}]
    assert [node["requestId"] for node in found["nearby"]["nodes"]] == ["nyc311-000", "nyc311-001"]
    plain = Operations(build_schema(), services, Context.for_operation, permission, compiled=False)
    answer = await plain.execute(OperationRequest(NEAR), STAFF, "trace")
    assert answer.data == {"serviceRequest": found}
    mine = await ask_as(CITIZEN, '{ permit(permitId: "P010") { serviceRequests(meters: 300) { totalCount } } }')
    assert mine["permit"]["serviceRequests"]["totalCount"] == 1
