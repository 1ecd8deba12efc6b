"""Open data by GraphQL: imported, followed and cancelled by those who may; what came of it is for all to ask (C5)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lakefront.actor import Actor, system_actor
from lakefront.domain.services import Services
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.simulator import Simulator
from tests.actors import of_role
from tests.domain.calling import calling
from tests.domain.open_data.publishing import INSPECTIONS, published, running
from tests.graphql.conftest import Ask, asking
from tests.graphql.test_sharing import Subscriber, prepared

FIELDS = "importId dataset city state since rowsTotal rowsRead accepted duplicates rejected requestedBy errorCode"
IMPORT = f"""
mutation ($dataset: ID!, $city: ID, $since: DateTime, $key: String, $dry: Boolean) {{
  made: importOpenData(dataset: $dataset, city: $city, since: $since, idempotencyKey: $key, dryRun: $dry) {{
    import {{ {FIELDS} problems {{ row field message }} }} rows report {{ changes quota outsideCalls }}
  }}
}}"""
CANCEL = f"""
mutation ($id: ID!, $dry: Boolean) {{
  made: cancelOpenDataImport(importId: $id, dryRun: $dry) {{ import {{ {FIELDS} }} report {{ changes }} }}
}}"""
READ = f"query ($id: ID!) {{ openDataImport(importId: $id) {{ {FIELDS} problems {{ row field message }} }} }}"
FOLLOW = """
subscription ($id: ID, $after: String) {
  importProgress(importId: $id, after: $after) { cursor event { eventId state rowsRead } import { importId dataset } }
}"""


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=datetime(2026, 5, 28, 14, tzinfo=UTC), rows=60) as made:
        yield made


@pytest.fixture
async def importing(services: Services, actor: Actor, simulator: Simulator) -> AsyncIterator[Services]:
    async with calling(services, actor, simulator, "socrata") as made:
        yield made


@pytest.fixture
def ask(importing: Services, actor: Actor) -> Ask:
    return asking(importing, actor, compiled=True)


async def made(ask: Ask, document: str, **variables: Any) -> Any:
    answer = await ask(document, **variables)
    assert "errors" not in answer, answer
    return answer["data"]["made"]


async def code(ask: Ask, document: str, *who: Actor, **variables: Any) -> str:
    found: str = (await ask(document, *who, **variables))["errors"][0]["extensions"]["code"]
    return found


async def done(ask: Ask, importing: Services, **variables: Any) -> dict[str, Any]:
    """An import, from asking for it to its end."""
    asked = (await made(ask, IMPORT, dataset=INSPECTIONS, **variables))["import"]
    assert (asked["state"], asked["requestedBy"], asked["rowsTotal"]) == ("QUEUED", "lakefront", None)
    async with running(importing):
        for _ in range(400):
            found: dict[str, Any] = (await ask(READ, id=asked["importId"]))["data"]["openDataImport"]
            if found["state"] == "DONE":
                return found
            await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_inspections_are_imported_and_asked_for(ask: Ask, importing: Services, simulator: Simulator) -> None:
    published(simulator, INSPECTIONS).rows[3]["score"] = "many"
    dry = await made(ask, IMPORT, dataset=INSPECTIONS, dry=True)
    assert dry == {"import": None, "rows": "60", "report": {"changes": 1, "quota": 60, "outsideCalls": 2}}
    found = await done(ask, importing, key="once")
    assert (found["rowsRead"], found["accepted"], found["rejected"]) == ("60", "59", "1")
    assert found["problems"] == [
        {
            "row": published(simulator, INSPECTIONS).rows[3][":id"],
            "field": "score",
            "message": "It is no integer.",
        }
    ]
    again = await made(ask, IMPORT, dataset=INSPECTIONS, key="once")
    assert again["import"]["importId"] == found["importId"]
    answer = await ask(
        """{
        foodInspections(first: 2, filter: {critical: {eq: true}}, orderBy: [{score: DESC_NULLS_LAST}]) {
          totalCount nodes { id inspectionId restaurantId restaurantName inspectedOn violationCode score grade
            location { latitude longitude } }
        }
        foodInspectionStats(groupBy: [BOROUGH]) { groups { key { borough } count } }
        openDataSets { dataset title kind stream naturalKey latestImport { importId state } }
        openDataImports(filter: {dataset: {eq: "43nn-pn8j"}}) { totalCount }
        }"""
    )
    assert "errors" not in answer, answer
    data = answer["data"]
    assert 0 < data["foodInspections"]["totalCount"] < 59
    first, second = data["foodInspections"]["nodes"]
    assert first["score"] >= second["score"]
    assert first["inspectionId"].startswith(first["restaurantId"])
    assert sum(group["count"] for group in data["foodInspectionStats"]["groups"]) == 59
    latest = {each["dataset"]: each["latestImport"] for each in data["openDataSets"]}
    assert latest == {
        "erm2-nwe9": None,
        "76ig-c548": None,
        INSPECTIONS: {"importId": found["importId"], "state": "DONE"},
    }
    assert data["openDataImports"]["totalCount"] == 1


async def test_one_import_of_a_data_set_is_under_way(ask: Ask) -> None:
    first = (await made(ask, IMPORT, dataset=INSPECTIONS))["import"]
    assert await code(ask, IMPORT, dataset=INSPECTIONS) == "CONFLICT"
    assert await code(ask, IMPORT, dataset=INSPECTIONS, dry=True) == "CONFLICT"
    dry = await made(ask, CANCEL, id=first["importId"], dry=True)
    assert (dry["import"]["state"], dry["report"]) == ("CANCELLED", {"changes": 1})
    cancelled = await made(ask, CANCEL, id=first["importId"])
    assert (cancelled["import"]["state"], cancelled["report"]) == ("CANCELLED", None)
    assert (await made(ask, CANCEL, id=first["importId"], dry=True))["report"] == {"changes": 0}
    since = "2026-05-28T00:00:00+00:00"
    assert (await made(ask, IMPORT, dataset=INSPECTIONS, since=since))["import"]["since"] == since


async def test_what_cannot_be_imported_is_told_at_once(ask: Ask) -> None:
    assert await code(ask, IMPORT, dataset="inspections") == "VALIDATION_ERROR"
    assert await code(ask, IMPORT, dataset="aaaa-bbbb") == "NOT_FOUND"
    assert await code(ask, IMPORT, dataset=INSPECTIONS, city="bos") == "NOT_CONFIGURED"
    assert await code(ask, IMPORT, dataset=INSPECTIONS, since="2999-01-01T00:00:00Z") == "VALIDATION_ERROR"
    assert await code(ask, CANCEL, id="imp-none") == "NOT_FOUND"


async def test_rights(ask: Ask, importing: Services) -> None:
    import_id = (await done(ask, importing))["importId"]
    for role in ("staff", "citizen", "service", "monitor"):
        for document in (IMPORT, CANCEL, READ):
            assert await code(ask, document, of_role(role), dataset=INSPECTIONS, id=import_id) == "FORBIDDEN"
    inspections = "{ foodInspections { totalCount } openDataSets { dataset } }"
    assert (await ask(inspections, of_role("citizen")))["data"]["foodInspections"]["totalCount"] == 60
    assert await code(ask, inspections, of_role("monitor")) == "FORBIDDEN"
    assert await code(ask, "{ openDataSets { latestImport { state } } }", of_role("citizen")) == "FORBIDDEN"
    others = await ask("{ foodInspections { totalCount } openDataImports { totalCount } }", system_actor("acme"))
    assert others["data"] == {"foodInspections": {"totalCount": 0}, "openDataImports": {"totalCount": 0}}


async def test_progress_is_followed_and_gone_on_with(ask: Ask, importing: Services, actor: Actor) -> None:
    operations = Operations(build_schema(), importing, Context.for_operation, permission)
    import_id = (await done(ask, importing))["importId"]
    subscriber = Subscriber(operations, prepared(operations, actor, FOLLOW, id=import_id, after="earliest"))
    async with running(importing):
        while True:
            await subscriber.told(len(subscriber.answers) + 1)
            last = subscriber.answers[-1].payload()["data"]["importProgress"]
            if last["event"]["state"] == "DONE":
                break
    await subscriber.leave()
    assert last["event"]["rowsRead"] == "60"
    assert last["import"] == {"importId": import_id, "dataset": INSPECTIONS}
    told = [answer.payload()["data"]["importProgress"] for answer in subscriber.answers]
    first, *rest = told
    again = Subscriber(operations, prepared(operations, actor, FOLLOW, id=import_id, after=first["cursor"]))
    await again.told(len(rest))
    await again.leave()
    assert [answer.payload()["data"]["importProgress"]["event"] for answer in again.answers] == [
        it["event"] for it in rest
    ]
    denied = operations.prepare(OperationRequest(FOLLOW), replace(actor, scopes=frozenset()), "trace")
    assert isinstance(denied, Answer)
    assert denied.payload()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
