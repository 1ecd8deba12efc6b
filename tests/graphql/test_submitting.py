"""Reporting to a city by GraphQL: as REST does; what is personal comes by a variable and is told to nobody (C10)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from tests.complaints import CITIZEN, NEIGHBOUR, STAFF
from tests.domain.calling import calling
from tests.graphql.conftest import Ask, asking

SUBMIT = """mutation ($input: SubmitServiceRequestInput!, $key: String, $dryRun: Boolean) {
  submitServiceRequest(input: $input, idempotencyKey: $key, dryRun: $dryRun) {
    report { changes outsideCalls }
    serviceRequest {
      requestId state owner source version location { latitude } attributes history { totalCount }
    } } }"""
POTHOLE: dict[str, Any] = {
    "city": "bos",
    "description": "Pothole on the road",
    "serviceCode": "001",
    "point": {"latitude": 42.35, "longitude": -71.06},
    "attributes": [{"code": "SIZE", "values": ["M"]}],
    "caller": {"firstName": "Jane", "phone": "2125551234"},
}
UPDATE = """mutation ($input: UpdateServiceRequestInput!) {
  updateServiceRequest(input: $input) { serviceRequest { state version history { nodes { what changedBy } } } } }"""


@pytest.fixture
async def ask(services: Services, actor: Actor) -> AsyncIterator[Ask]:
    async with Simulator(seed=1) as simulator, calling(services, actor, simulator, "open311") as made:
        yield asking(made, actor, compiled=True)


def code(answer: dict[str, Any]) -> Any:
    return answer["errors"][0]["extensions"]["code"]


async def test_a_request_is_stored_once_and_is_its_reporters(ask: Ask) -> None:
    tried = await ask(SUBMIT, CITIZEN, input=POTHOLE, dryRun=True)
    told = tried["data"]["submitServiceRequest"]
    assert told["report"] == {"changes": 1, "outsideCalls": 1}
    assert told["serviceRequest"]["history"] == {"totalCount": 0}
    made = [await ask(SUBMIT, CITIZEN, input=POTHOLE, key="once") for _ in range(2)]
    first, again = (each["data"]["submitServiceRequest"]["serviceRequest"] for each in made)
    assert first == again
    request_id = first.pop("requestId")
    assert request_id.startswith("sr-")
    assert first == {
        "state": "PENDING_EXTERNAL",
        "owner": "ada",
        "source": "LAKEFRONT",
        "version": "1",
        "location": {"latitude": 42.35},
        "attributes": {"SIZE": ["M"]},
        "history": {"totalCount": 1},
    }
    one = "query ($id: ID!) { serviceRequest(requestId: $id) { state } }"
    found = [(await ask(one, actor, id=request_id))["data"]["serviceRequest"] for actor in (CITIZEN, NEIGHBOUR, STAFF)]
    assert found == [{"state": "PENDING_EXTERNAL"}, None, {"state": "PENDING_EXTERNAL"}]


async def test_staff_changes_it_and_a_citizen_does_not(ask: Ask) -> None:
    made = await ask(SUBMIT, CITIZEN, input=POTHOLE)
    request_id = made["data"]["submitServiceRequest"]["serviceRequest"]["requestId"]
    change = {"requestId": request_id, "resolution": "It is being looked at."}
    assert code(await ask(UPDATE, CITIZEN, input=change)) == "FORBIDDEN"
    done = (await ask(UPDATE, STAFF, input=change))["data"]["updateServiceRequest"]["serviceRequest"]
    assert (done["version"], done["history"]["nodes"][1]["changedBy"]) == ("2", STAFF.subject)
    assert "resolution" in done["history"]["nodes"][1]["what"].split(", ")
    assert code(await ask(UPDATE, STAFF, input={**change, "version": "1"})) == "CONFLICT"
    assert code(await ask(UPDATE, STAFF, input={**change, "state": None})) == "VALIDATION_ERROR"
    assert code(await ask(UPDATE, STAFF, input={**change, "requestId": "none"})) == "NOT_FOUND"


async def test_what_is_personal_is_in_no_document(ask: Ask) -> None:
    for document, variables in (
        ('mutation { submitServiceRequest(input: {city: "bos", description: "x"}) { report { changes } } }', {}),
        (SUBMIT.replace("$input: SubmitServiceRequestInput!", '$input: SubmitServiceRequestInput! = {city: "bos", '
         'description: "x"}'), {"input": POTHOLE}),
    ):  # fmt: skip
        assert code(await ask(document, CITIZEN, **variables)) == "VALIDATION_ERROR"
    assert code(await ask(SUBMIT, STAFF, input=POTHOLE)) == "FORBIDDEN"
    twice = {**POTHOLE, "attributes": POTHOLE["attributes"] * 2}
    assert code(await ask(SUBMIT, CITIZEN, input=twice)) == "VALIDATION_ERROR"


async def test_who_wants_to_be_told_says_so_and_how(ask: Ask, services: Services) -> None:
    asked = {**POTHOLE, "notify": True}
    for wrong in (asked, {**asked, "caller": {"firstName": "Jane"}}):
        assert code(await ask(SUBMIT, CITIZEN, input=wrong)) == "VALIDATION_ERROR"
    for given in ({**asked, "caller": {"email": "jane@example.org"}}, {**POTHOLE, "notify": None}):
        assert "errors" not in await ask(SUBMIT, CITIZEN, input=given)
    async with services.database.transaction(CITIZEN.tenant) as transaction:
        kept = await transaction.fetch(
            "SELECT notify, email FROM lakefront.service_request_callers ORDER BY created_at"
        )
    assert [tuple(row) for row in kept] == [(True, "jane@example.org"), (False, None)]
