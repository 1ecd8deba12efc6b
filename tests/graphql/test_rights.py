"""Who one is, and the rules of the policy: seen and changed by whoever manages policies."""

from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import KEYS_MANAGE, PERMITS_READ, Actor, Kind
from lakefront.domain.rights import DEFAULT
from lakefront.domain.services import Services
from tests.actors import of_role
from tests.graphql.conftest import Ask

ADD = """mutation ($rule: PolicyRuleInput!, $key: String, $dry: Boolean) {
  addPolicyRule(rule: $rule, idempotencyKey: $key, dryRun: $dry) {
    rule { ruleId role domain object action rows } report { changes } } }"""
REMOVE = """mutation ($id: ID!, $key: String, $dry: Boolean) {
  removePolicyRule(ruleId: $id, idempotencyKey: $key, dryRun: $dry) { rule { ruleId role } report { changes } } }"""
LIST = "{ policyRules { ruleId role domain object action rows } }"
SURVEYOR = {"role": "surveyor", "domain": "city", "object": "permits", "action": "read", "rows": "ANY"}


async def added(ask: Ask, **changes: Any) -> dict[str, Any]:
    answer = await ask(ADD, rule=SURVEYOR | changes)
    rule: dict[str, Any] = answer["data"]["addPolicyRule"]["rule"]
    return rule


async def test_everybody_who_is_signed_in_may_ask_who_they_are(ask: Ask) -> None:
    document = "{ me { subject tenantId kind roles scopes ownScopes expiresAt onBehalfOf } }"
    citizen = replace(of_role("citizen", "acme"), kind=Kind.KEY, expires_at=1.5, on_behalf_of="ada")
    assert (await ask(document, asking=citizen))["data"]["me"] == {
        "subject": "somebody",
        "tenantId": "acme",
        "kind": "KEY",
        "roles": ["citizen"],
        "scopes": ["benefits:screen", "open_data:read", "permits:read", "places:read"],
        "ownScopes": ["service_requests:create", "service_requests:read"],
        "expiresAt": "1970-01-01T00:00:01.5+00:00",
        "onBehalfOf": "ada",
    }
    nobody = (await ask(document, asking=Actor("eve", "city", frozenset())))["data"]["me"]
    assert (nobody["kind"], nobody["roles"], nobody["scopes"], nobody["expiresAt"]) == ("USER", [], [], None)


async def test_a_rule_holds_when_it_was_added_and_no_more_when_it_was_removed(ask: Ask, services: Services) -> None:
    rule = await added(ask)
    assert rule == SURVEYOR | {"ruleId": rule["ruleId"]}
    assert (await services.rights.of(["surveyor"], "city")).scopes == {PERMITS_READ}
    listed = (await ask(LIST))["data"]["policyRules"]
    assert listed[0] == rule
    assert len(listed) == 1 + len([one for one in listed if one["ruleId"] is None])
    narrower = await added(ask, rows="NONE")
    assert narrower == rule | {"rows": "NONE"}
    assert not (await services.rights.of(["surveyor"], "city")).scopes
    removed = (await ask(REMOVE, id=rule["ruleId"]))["data"]["removePolicyRule"]
    assert removed == {"rule": {"ruleId": rule["ruleId"], "role": "surveyor"}, "report": None}
    assert "surveyor" not in (await services.rights.policy()).roles
    (error,) = (await ask(REMOVE, id=rule["ruleId"]))["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_a_dry_run_changes_nothing(ask: Ask, services: Services) -> None:
    dry = (await ask(ADD, rule=SURVEYOR, dry=True))["data"]["addPolicyRule"]
    assert (dry["rule"]["ruleId"], dry["report"]) == (None, {"changes": 1})
    rule = await added(ask)
    assert (await ask(REMOVE, id=rule["ruleId"], dry=True))["data"]["removePolicyRule"]["report"] == {"changes": 1}
    assert "surveyor" in (await services.rights.policy()).roles


async def test_a_key_gives_the_first_answer_again(ask: Ask) -> None:
    first = await ask(ADD, rule=SURVEYOR, key="k")
    assert await ask(ADD, rule=SURVEYOR, key="k") == first
    (error,) = (await ask(ADD, rule=SURVEYOR | {"rows": "NONE"}, key="k"))["errors"]
    assert error["extensions"]["code"] == "IDEMPOTENCY_CONFLICT"
    id_ = first["data"]["addPolicyRule"]["rule"]["ruleId"]
    removed = await ask(REMOVE, id=id_, key="k")
    assert removed["data"]
    assert await ask(REMOVE, id=id_, key="k") == removed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"role": "Surveyor"}, "role"),
        ({"role": ""}, "role"),
        ({"domain": "nowhere"}, "domain"),
        ({"domain": "*", "object": "tenants", "action": "*"}, "domain"),
        ({"object": "permit"}, "object"),
        ({"action": "manage"}, "object"),
        ({"rows": "OWN"}, "rows"),
        ({"role": "admin", "object": "policies", "action": "manage", "rows": "NONE"}, "role"),
        ({"role": "admin", "object": "*", "action": "*", "rows": "NONE"}, "role"),
    ],
)
async def test_a_rule_that_cannot_be_meant_is_refused(ask: Ask, changes: dict[str, str], field: str) -> None:
    (error,) = (await ask(ADD, rule=SURVEYOR | changes))["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert [detail["field"] for detail in error["extensions"]["details"]] == [field]


async def test_somebody_must_be_left_who_manages_policies(ask: Ask) -> None:
    await added(ask, role="boss", object="policies", action="manage")
    boss = (await ask(LIST))["data"]["policyRules"][0]["ruleId"]
    await added(ask, role="admin", object="policies", action="*", rows="NONE")
    (error,) = (await ask(REMOVE, id=boss))["errors"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(("role", "tenant"), [(role, "city") for role in sorted(DEFAULT.roles - {"admin"})])
async def test_others_neither_see_nor_change_the_policy(ask: Ask, role: str, tenant: str) -> None:
    for document in (LIST, 'mutation { removePolicyRule(ruleId: "x") { rule { role } } }'):
        (error,) = (await ask(document, asking=of_role(role, tenant)))["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"


async def test_an_admin_of_another_tenant_does_not_either(ask: Ask, services: Services) -> None:
    admin = of_role("admin", "acme")
    assert KEYS_MANAGE in admin.scopes
    (error,) = (await ask(ADD, asking=admin, rule=SURVEYOR))["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
