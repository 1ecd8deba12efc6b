"""What clients learn of costs and plans: estimateCost, extensions.cost, extensions.plan (X5)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from lakefront.actor import PERMITS_READ, POLICIES_MANAGE, Actor
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.declare.cursors import node_id
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.explain import FELL_BACK
from lakefront.graphql.schema import build_schema
from tests.domain.permits.events import text
from tests.graphql.conftest import Ask, RecordingDatabase

READER = Actor("ada", "city", frozenset({PERMITS_READ}))
ADMIN = Actor("root", "city", frozenset({PERMITS_READ, POLICIES_MANAGE}))

ESTIMATE = """query ($text: String!, $variables: JSON, $name: String) {
    estimateCost(document: $text, variables: $variables, operationName: $name) {
        estimated limit withinLimit path formula tier fields { name cost reason }
    }
}"""

PAGE = """query ($n: Int) { mine: permits(first: $n) { nodes { permitId addresses { zipcode } } } me { subject } }"""


@pytest.fixture
def operations(services: Services, recorder: RecordingDatabase) -> Operations:
    return Operations(build_schema(), replace(services, database=recorder), Context.for_operation, permission)


async def told(
    operations: Operations, document: str, actor: Actor = READER, variables: Any = None, **extensions: Any
) -> dict[str, Any]:
    """The whole answer to a document whose request has those extensions."""
    request = OperationRequest(document, variables=variables or {}, extensions=extensions)
    answer = await operations.execute(request, actor, "trace")
    return answer.payload()


async def test_an_estimate_is_planned_and_not_run(ask: Ask, recorder: RecordingDatabase) -> None:
    answer = await ask(ESTIMATE, READER, text=PAGE, variables={"n": 50})
    assert answer == {
        "data": {
            "estimateCost": {
                "estimated": "403",
                "limit": 200_000,
                "withinLimit": True,
                "path": "mine.nodes.addresses",
                "formula": "3 + 8 × $n",  # noqa: RUF001 - the sign of a product
                "tier": 2,
                "fields": [
                    {"name": "mine", "cost": "401", "reason": None},
                    {"name": "me", "cost": "2", "reason": "it is resolved in Python"},
                ],
            }
        }
    }
    assert not recorder.statements


async def test_an_estimate_past_the_limit_is_told_all_the_same(ask: Ask) -> None:
    inner = "permitId"
    for _ in range(3):
        inner = f"events(first: 1000) {{ nodes {{ permit {{ {inner} }} }} }}"
    answer = await ask(ESTIMATE, READER, text=f"{{ permits(first: 1000) {{ nodes {{ {inner} }} }} }}")
    estimate = answer["data"]["estimateCost"]
    assert int(estimate["estimated"]) > 1000**4
    assert not estimate["withinLimit"]
    assert estimate["path"].startswith("permits.nodes.events.nodes")


async def test_one_of_several_operations_is_named(ask: Ask) -> None:
    document = "query A { me { subject } } query B { a: me { subject } b: me { subject } }"
    answer = await ask(ESTIMATE, READER, text=document, name="B")
    assert answer["data"]["estimateCost"]["estimated"] == "4"
    assert "operationName" in (await ask(ESTIMATE, READER, text=document))["errors"][0]["message"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"text": "{ nothing }"}, "VALIDATION_ERROR", "Cannot query field 'nothing'"),
        ({"text": "{"}, "VALIDATION_ERROR", "Syntax Error"),
        ({"text": "query ($n: Int!) { permits(first: $n) { nodes { permitId } } }"}, "VALIDATION_ERROR", "$n"),
        ({"text": "{ me { subject } }", "variables": [1]}, "VALIDATION_ERROR", "An object is needed"),
        ({"text": "{ apiKeys { name } }"}, "FORBIDDEN", "keys:manage"),
        ({"text": "{ me { subject } }" + " " * 100_000}, "OPERATION_REFUSED", "longer than"),
    ],
)
async def test_what_cannot_be_planned_is_told(ask: Ask, arguments: dict[str, Any], code: str, said: str) -> None:
    answer = await ask(ESTIMATE, READER, **arguments)
    [error] = answer["errors"]
    assert error["path"] == ["estimateCost"]
    assert error["extensions"]["code"] == code
    assert said in f"{error['message']} {error['extensions']['details']}"


async def test_many_estimates_leave_room_for_others(ask: Ask) -> None:
    fields = " ".join(f'e{n}: estimateCost(document: "{{ me {{ s{n}: subject }} }}") {{ tier }}' for n in range(18))
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    watching = asyncio.create_task(watch())
    answer = await ask(f"{{ {fields} }}", READER)
    watching.cancel()
    assert "errors" not in answer
    assert turns >= 18, "one after another, others in between"


async def test_cost_is_told_to_whoever_asks(operations: Operations, city: None) -> None:
    for document in (
        PAGE,
        PAGE.replace("me { subject }", ""),
        PAGE.replace("mine:", "mine: permits(first: 0) { nodes { permitId } } m:"),
    ):
        answer = await told(operations, document, variables={"n": 50}, cost=True)
        assert "errors" not in answer
        cost = answer["extensions"]["cost"]
        assert cost.keys() == {"estimated", "actual", "limit"}
        assert cost["limit"] == 200_000
        assert 100 < cost["actual"] <= cost["estimated"]
        assert cost["estimated"] == 1 + 50 * 8 + 2 * ("subject" in document) + ("m:" in document)
        assert "extensions" not in await told(operations, document, variables={"n": 50})
    answer = await told(operations, PAGE, variables={"n": 50}, cost="yes", other=1)
    assert "extensions" not in answer


async def test_a_plan_is_told_to_admins_alone(operations: Operations, city: None) -> None:
    answer = await told(operations, PAGE, ADMIN, {"n": 50}, plan=True, cost=True)
    plan = answer["extensions"]["plan"]
    assert plan["tier"] == 2
    assert plan["cost"] == {"estimated": 403, "path": "mine.nodes.addresses", "formula": "3 + 8 × $n"}  # noqa: RUF001
    assert plan["permissions"] == [PERMITS_READ, "signed-in"]
    assert plan["sql"].startswith("SELECT CASE WHEN (set_config(")
    assert plan["fields"] == [
        {"name": "mine", "cost": 401, "compiled": True, "reason": None, "path": None},
        {"name": "me", "cost": 2, "compiled": False, "reason": "it is resolved in Python", "path": "me"},
    ]
    assert answer["extensions"]["cost"]["estimated"] == 403

    refused = await told(operations, PAGE, READER, plan=True)
    [error] = refused["errors"]
    assert "data" not in refused
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert POLICIES_MANAGE in error["message"]


async def test_a_plan_whose_values_are_refused_says_why(operations: Operations) -> None:
    two = "query ($n: Int) { a: permits { totalCount } b: permits { nodes { events(first: $n) { totalCount } } } }"
    answer = await told(operations, two, ADMIN, {"n": 5000}, plan=True)
    plan = answer["extensions"]["plan"]
    assert (plan["kind"], plan["tier"], plan["sql"]) == ("query", 3, None)
    a, b = plan["fields"]
    assert (a["compiled"], a["reason"], a["path"]) == (False, None, None)
    assert (b["compiled"], b["path"]) == (False, "b.nodes.events")
    assert "1000 rows" in b["reason"]
    assert plan["mistake"].startswith("The argument is not valid at first: Ask for 0 to 1000 rows")


async def test_what_cannot_be_written_is_told_of_its_field_alone(operations: Operations, city: None) -> None:
    long = "its_response_name_is_longer_than_the_sixty_three_characters_of_a_name"
    two = (
        "query ($id: ID!) { a: permits { totalCount } b: node(id: $id) "
        f"{{ ... on Permit {{ status }} ... on PermitEvent {{ {long}: eventId }} }} }}"
    )
    event = (await told(operations, "{ permitEvents(last: 1) { nodes { id } } }"))["data"]["permitEvents"]["nodes"][0]
    for given, reason in (
        (node_id("Permit", ("P001", 1)), "there can be no row with this id"),
        (event["id"], "its response name is longer than 63"),
    ):
        plan = (await told(operations, two, ADMIN, {"id": given}, plan=True))["extensions"]["plan"]
        a, b = plan["fields"]
        assert (plan["tier"], a["reason"], b["path"]) == (3, None, "b")
        assert b["reason"].startswith(reason), b


async def test_the_tier_that_answered_is_told(operations: Operations, services: Services, city: None) -> None:
    document = "{ permits(first: 1) { nodes { permitId status } } }"
    plan = (await told(operations, document, ADMIN, plan=True))["extensions"]["plan"]
    assert (plan["tier"], plan["fields"][0]["compiled"]) == (1, True)
    connection = await asyncpg.connect(services.database.dsn)
    await connection.execute("ALTER TABLE lakefront.permits RENAME COLUMN status TO secret_status")
    plan = (await told(operations, document, ADMIN, plan=True))["extensions"]["plan"]
    assert plan["tier"] == 3
    [field] = plan["fields"]
    assert field | {"cost": 0} == {
        "name": "permits",
        "cost": 0,
        "compiled": False,
        "reason": FELL_BACK,
        "path": "permits",
    }
    await connection.execute("ALTER TABLE lakefront.permits RENAME COLUMN secret_status TO status")
    await connection.close()


async def test_each_event_tells_its_cost(operations: Operations, services: Services, actor: Actor) -> None:
    await permits.ingest(services, actor, [text()])
    document = (
        'subscription { permitEvents(after: "earliest") { cursor event { eventId permitId } permit { status } } }'
    )
    request = OperationRequest(document, extensions={"cost": True})
    answers: AsyncIterator[Any] = operations.subscribe(request, actor, "trace")
    answer = await asyncio.wait_for(anext(answers), 10)
    assert answer.extensions == {"cost": {"estimated": 7, "actual": 7, "limit": 200_000}}
    await answers.aclose()  # type: ignore[attr-defined]


async def test_what_is_too_dear_is_not_run(ask: Ask, recorder: RecordingDatabase) -> None:
    dear = "{ permits(first: 1000) { nodes { events(first: 1000) { nodes { eventId } } } } }"
    [error] = (await ask(dear, READER))["errors"]
    assert error["extensions"]["code"] == "OPERATION_REFUSED"
    assert error["extensions"]["details"] == [
        {"field": "permits.nodes.events.nodes", "message": "costs most", "cost": 2_002_001, "limit": 200_000}
    ]
    assert not recorder.statements
