"""API keys by GraphQL: the text in one answer alone, and by whom keys may be managed (T2, X2, X4)."""

from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import KEYS_MANAGE
from lakefront.domain import api_keys
from lakefront.domain.services import Services
from tests.actors import of_role
from tests.graphql.conftest import Ask

CREATE = """
mutation ($name: String!, $roles: [String!]!, $days: Int, $key: String, $dryRun: Boolean) {
  made: createApiKey(name: $name, roles: $roles, ttlDays: $days, idempotencyKey: $key, dryRun: $dryRun) {
    apiKey { keyId name prefix roles state createdAt createdBy expiresAt revokedAt lastUsedAt replacedBy }
    key replayed report { changes quota outsideCalls }
  }
}
"""
ROTATE = """
mutation ($id: ID!, $hours: Int! = 24, $key: String, $dryRun: Boolean) {
  made: rotateApiKey(keyId: $id, overlapHours: $hours, idempotencyKey: $key, dryRun: $dryRun) {
    apiKey { keyId name roles } key replayed report { changes }
  }
}
"""
REVOKE = """
mutation ($id: ID!, $force: Boolean, $dryRun: Boolean) {
  revoked: revokeApiKey(keyId: $id, force: $force, dryRun: $dryRun) { apiKey { keyId state } report { changes } }
}
"""
KEYS = "{ apiKeys { keyId name state replacedBy } }"


async def _made(ask: Ask, document: str = CREATE, **variables: Any) -> Any:
    answer = await ask(
        document, **({"name": "CI", "roles": ["reader"]} | variables if document == CREATE else variables)
    )
    assert "errors" not in answer, answer
    return answer["data"]["made"]


async def test_a_key_from_its_making_to_its_end(ask: Ask, services: Services) -> None:
    first = await _made(ask, days=30)
    key = first["apiKey"]
    assert first["key"].startswith(f"city_api_{key['prefix']}")
    assert (key["name"], key["roles"], key["state"], key["createdBy"]) == ("CI", ["reader"], "ACTIVE", "lakefront")
    assert key["revokedAt"] is key["lastUsedAt"] is key["replacedBy"] is first["report"] is None
    second = await _made(ask, ROTATE, id=key["keyId"])
    assert second["apiKey"]["keyId"] != key["keyId"]
    assert second["key"] != first["key"]
    for text in (first["key"], second["key"]):
        assert await api_keys.find(services.database, text), "both hold during the overlap"
    listed = (await ask(KEYS))["data"]["apiKeys"]
    assert [(one["state"], one["replacedBy"]) for one in listed] == [
        ("ACTIVE", None),
        ("ROTATED", second["apiKey"]["keyId"]),
    ]
    revoked = (await ask(REVOKE, id=key["keyId"]))["data"]["revoked"]
    assert revoked == {"apiKey": {"keyId": key["keyId"], "state": "REVOKED"}, "report": None}
    assert await api_keys.find(services.database, first["key"]) is None
    assert await api_keys.find(services.database, second["key"])


async def test_a_replay_gives_the_key_without_its_text(ask: Ask, services: Services) -> None:
    first = await _made(ask, key="k1")
    again = await _made(ask, key="k1")
    assert not first["replayed"]
    assert again["replayed"]
    assert again["key"] is None
    assert again["apiKey"] == first["apiKey"]
    assert len((await ask(KEYS))["data"]["apiKeys"]) == 1
    rotated = await _made(ask, ROTATE, id=first["apiKey"]["keyId"], key="k1")
    again = await _made(ask, ROTATE, id=first["apiKey"]["keyId"], key="k1")
    assert (again["key"], again["apiKey"]) == (None, rotated["apiKey"])
    async with services.database.transaction("city") as transaction:
        for (result,) in await transaction.fetch("SELECT result::text FROM lakefront.idempotency_keys"):
            assert api_keys.MARK not in result
    other = await ask(CREATE, name="other", roles=["reader"], key="k1")
    assert other["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_CONFLICT"


async def test_the_last_key_that_manages_keys_is_revoked_by_force_alone(ask: Ask) -> None:
    key_id = (await _made(ask, roles=["admin"]))["apiKey"]["keyId"]
    key_id = (await _made(ask, ROTATE, id=key_id, hours=0))["apiKey"]["keyId"]
    refused = await ask(REVOKE, id=key_id)
    assert refused["errors"][0]["extensions"]["code"] == "CONFLICT"
    assert (await ask(REVOKE, id=key_id, force=True))["data"]["revoked"]["apiKey"]["state"] == "REVOKED"


async def test_a_dry_run_makes_nothing(ask: Ask) -> None:
    tried = await _made(ask, dryRun=True, key="k1")
    assert tried == {
        "apiKey": None,
        "key": None,
        "replayed": False,
        "report": {"changes": 1, "quota": 0, "outsideCalls": 0},
    }
    key_id = (await _made(ask, key="k1"))["apiKey"]["keyId"]
    assert (await _made(ask, ROTATE, id=key_id, dryRun=True))["report"] == {"changes": 2}
    revoked = (await ask(REVOKE, id=key_id, dryRun=True))["data"]["revoked"]
    assert revoked["report"] == {"changes": 1}
    [key] = (await ask(KEYS))["data"]["apiKeys"]
    assert (key["state"], key["replacedBy"]) == ("ACTIVE", None)


@pytest.mark.parametrize(
    ("document", "variables", "code"),
    [
        pytest.param(CREATE, {"roles": ["emperor"]}, "VALIDATION_ERROR", id="no such role"),
        pytest.param(CREATE, {"roles": []}, "VALIDATION_ERROR", id="no role"),
        pytest.param(CREATE, {"name": " "}, "VALIDATION_ERROR", id="no name"),
        pytest.param(CREATE, {"name": "a\nb"}, "VALIDATION_ERROR", id="two lines"),
        pytest.param(CREATE, {"days": 366}, "VALIDATION_ERROR", id="more than a year"),
        pytest.param(CREATE, {"days": 2**31 - 1}, "VALIDATION_ERROR", id="ages"),
        pytest.param(ROTATE, {"hours": 721}, "VALIDATION_ERROR", id="a long overlap"),
        pytest.param(ROTATE, {"hours": -1}, "VALIDATION_ERROR", id="an overlap before"),
        pytest.param(ROTATE, {}, "NOT_FOUND", id="rotate what is not there"),
        pytest.param(REVOKE, {"id": "x"}, "NOT_FOUND", id="revoke what is no id"),
    ],
)
async def test_what_is_refused(ask: Ask, document: str, variables: dict[str, Any], code: str) -> None:
    defaults: dict[str, Any] = (
        {"name": "CI", "roles": ["reader"]} if document == CREATE else {"id": "00000000-0000-4000-8000-000000000000"}
    )
    answer = await ask(document, **(defaults | variables))
    assert answer["errors"][0]["extensions"]["code"] == code


async def test_the_roles_that_there_are_are_named(ask: Ask) -> None:
    (error,) = (await ask(CREATE, name="CI", roles=["root"]))["errors"]
    assert "no role 'root'" in error["message"]
    assert "Choose from: admin, citizen, ingest, monitor, reader, service, staff." in error["message"]


async def test_who_may_manage_keys(ask: Ask) -> None:
    reader = of_role("reader")
    for document, variables in ((KEYS, {}), (CREATE, {"name": "CI", "roles": ["reader"]}), (REVOKE, {"id": "x"})):
        answer = await ask(document, reader, **variables)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    keeper = replace(reader, scopes=reader.scopes | {KEYS_MANAGE})
    answer = await ask(CREATE, keeper, name="CI", roles=["admin"])
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    answer = await ask(CREATE, keeper, name="CI", roles=["reader"])
    assert answer["data"]["made"]["key"]
