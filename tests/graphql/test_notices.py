"""Notices by GraphQL: rules and webhooks are managed, what was sent is read, secrets are told once (C8)."""

from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import NOTICES_MANAGE, PERMITS_READ
from lakefront.domain import notices
from lakefront.domain.services import Services
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.events import NewEvent
from lakefront.eventlog.projections.runner import ProjectionRunner
from tests.actors import of_role
from tests.city import START
from tests.graphql.conftest import Ask

WEBHOOK = "webhookId name url hasPath oldSecretUntil enabled version createdAt updatedAt updatedBy"
REGISTER = f"""
mutation ($input: WebhookInput!, $key: String, $dry: Boolean) {{
  made: registerWebhook(input: $input, idempotencyKey: $key, dryRun: $dry) {{
    webhook {{ {WEBHOOK} }} secret report {{ changes }}
  }}
}}"""
ROTATE = f"""
mutation ($id: ID!, $hours: Int!) {{
  made: rotateWebhookSecret(webhookId: $id, overlapHours: $hours) {{ webhook {{ {WEBHOOK} }} secret }}
}}"""
UPDATE = f"""
mutation ($id: ID!, $input: WebhookChangesInput!) {{
  made: updateWebhook(webhookId: $id, input: $input) {{ webhook {{ {WEBHOOK} }} secret }}
}}"""
REMOVE = "mutation ($id: ID!) { made: removeWebhook(webhookId: $id) { webhook { webhookId } secret } }"
TEST = "mutation ($id: ID!, $dry: Boolean) { made: testWebhook(webhookId: $id, dryRun: $dry) { ok errorCode message } }"
RULE = """
  ruleId name stream eventTypes conditions { field operator values } channel recipientKind address webhookId subject
  text enabled version createdAt updatedAt updatedBy
"""
UPSERT = f"""
mutation ($input: NoticeRuleInput!, $key: String, $dry: Boolean) {{
  made: upsertNoticeRule(input: $input, idempotencyKey: $key, dryRun: $dry) {{
    rule {{ {RULE} }} created changed example {{ subject text event }} report {{ changes outsideCalls }}
  }}
}}"""
REMOVE_RULE = "mutation ($id: ID!) { made: removeNoticeRule(ruleId: $id) { rule { ruleId } } }"
NOTICES = """
query ($filter: NoticeFilter, $orderBy: [NoticeOrder!]) {
  notices(filter: $filter, orderBy: $orderBy, first: 10) {
    totalCount
    nodes {
      noticeId state reason errorCode channel recipient webhookId ruleId ruleName stream eventId eventType about
      externalId delivery traceId createdAt endedAt
    }
  }
}"""
MAIL = {
    "name": "Issued",
    "stream": "sf-permit-events",
    "eventTypes": ["status_change"],
    "channel": "MAIL",
    "recipientKind": "ADDRESS",
    "address": "jane.doe@example.com",
    "subject": "Permit ${permitId}",
    "text": "It is ${newStatus}.",
    "conditions": [{"field": "newStatus", "operator": "IN", "values": ["issued"]}],
}
OURS = {"name": "Ours", "url": "https://hooks.example/ours"}


async def made(ask: Ask, document: str, **variables: Any) -> Any:
    answer = await ask(document, **variables)
    assert "errors" not in answer, answer
    return answer["data"]["made"]


async def code(ask: Ask, document: str, **variables: Any) -> str:
    answer = await ask(document, **variables)
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


async def test_a_webhook_is_registered_changed_and_removed(ask: Ask) -> None:
    dry = await made(ask, REGISTER, input=OURS, dry=True)
    assert (dry["secret"], dry["report"]) == (None, {"changes": 1})
    first = await made(ask, REGISTER, input=OURS | {"path": "/s3cret"}, key="k")
    id_ = first["webhook"]["webhookId"]
    assert first["secret"].startswith("whsec_")
    assert first["webhook"]["hasPath"] is True
    assert (await made(ask, REGISTER, input=OURS | {"path": "/s3cret"}, key="k"))["secret"] is None
    rotated = await made(ask, ROTATE, id=id_, hours=48)
    assert rotated["secret"] != first["secret"]
    assert rotated["webhook"]["oldSecretUntil"] is not None
    changed = await made(ask, UPDATE, id=id_, input={"enabled": False, "path": None})
    assert (changed["webhook"]["enabled"], changed["webhook"]["hasPath"], changed["secret"]) == (False, False, None)
    assert (await made(ask, TEST, id=id_, dry=True))["ok"] is None
    listed = await ask(f"{{ webhooks {{ {WEBHOOK} }} }}")
    assert listed["data"]["webhooks"] == [changed["webhook"]]
    assert "s3cret" not in str(listed)
    assert (await made(ask, REMOVE, id=id_))["webhook"]["webhookId"] == id_
    assert await code(ask, REMOVE, id=id_) == "NOT_FOUND"


async def test_a_path_is_never_in_a_document(ask: Ask) -> None:
    literal = 'mutation { registerWebhook(input: {name: "a", url: "https://a.example", path: "/s3cret"}) { secret } }'
    answer = await ask(literal)
    assert answer["errors"]
    assert "s3cret" not in str(answer)


async def test_a_rule_is_made_shown_and_removed(ask: Ask) -> None:
    dry = await made(ask, UPSERT, input=MAIL, dry=True)
    assert dry["example"] == {"subject": "Permit 202605281234", "text": "It is issued.", "event": None}
    assert dry["report"] == {"changes": 1, "outsideCalls": 0}
    first = await made(ask, UPSERT, input=MAIL, key="k")
    assert first == await made(ask, UPSERT, input=MAIL, key="k")
    assert (first["created"], first["report"]) == (True, None)
    assert (await ask(f"{{ noticeRules {{ {RULE} }} }}"))["data"]["noticeRules"] == [first["rule"]]
    assert {name: first["rule"][name] for name in MAIL} == MAIL
    hook = await made(ask, REGISTER, input=OURS)
    told = {"channel": "WEBHOOK", "recipientKind": "WEBHOOK", "webhookId": hook["webhook"]["webhookId"]}
    whole = {name: MAIL[name] for name in ("name", "stream", "eventTypes")} | told
    other = await made(ask, UPSERT, input=whole | {"ruleId": first["rule"]["ruleId"]})
    assert other["rule"]["version"] == 2
    assert other["example"]["event"]["permitId"] == "202605281234"
    assert await code(ask, REMOVE, id=hook["webhook"]["webhookId"]) == "CONFLICT"
    await made(ask, REMOVE_RULE, id=first["rule"]["ruleId"])
    assert await code(ask, UPSERT, input=MAIL | {"text": "${inspector}"}) == "VALIDATION_ERROR"


async def test_what_was_sent_is_a_connection(ask: Ask, ask_resolvers: Ask, services: Services, actor: Any) -> None:
    rule = await made(ask, UPSERT, input=MAIL)
    for number in range(3):
        event = NewEvent(f"E{number}", "status_change", f"P{number}", START, b'{"newStatus":"issued"}', "trace")
        await services.log.append(actor, "sf-permit-events", [event])
    runner = ProjectionRunner(
        services.database, notices.projection("sf-permit-events"), Backlog(services.provisioner), poll=1
    )
    await runner.step(actor.tenant)
    asked = {"filter": {"state": {"eq": "QUEUED"}, "about": {"in": ["P1", "P2"]}}, "orderBy": [{"about": "DESC"}]}
    found = await ask(NOTICES, **asked)
    assert found == await ask_resolvers(NOTICES, **asked)
    notices_ = found["data"]["notices"]
    assert notices_["totalCount"] == 2
    assert [node["about"] for node in notices_["nodes"]] == ["P2", "P1"]
    [first, _] = notices_["nodes"]
    assert (first["recipient"], first["ruleName"], first["ruleId"]) == ("j…@e….com", "Issued", rule["rule"]["ruleId"])


@pytest.mark.parametrize(
    "document", ["{ webhooks { name } }", "{ noticeRules { name } }", "{ noticeStreams { name } }", NOTICES, UPSERT]
)
async def test_they_need_their_scope(ask: Ask, document: str) -> None:
    variables = {"input": MAIL} if document == UPSERT else {}
    assert await code(ask, document, asking=of_role("staff"), **variables) == "FORBIDDEN"


async def test_what_rules_may_name_is_told(ask: Ask) -> None:
    keeper = replace(of_role("monitor"), scopes=frozenset({NOTICES_MANAGE}))
    answer = await ask("{ noticeStreams { name eventTypes fields { name kind example } } }", asking=keeper)
    [permits, requests, *_] = answer["data"]["noticeStreams"]
    assert permits["name"] == "sf-permit-events"
    assert {"name": "newStatus", "kind": "TEXT", "example": "issued"} in permits["fields"]
    assert requests["name"] == "service-request-events"
    assert await code(ask, UPSERT, input=MAIL, asking=keeper) == "FORBIDDEN"
    reader = replace(keeper, scopes=frozenset({NOTICES_MANAGE, PERMITS_READ}))
    assert (await made(ask, UPSERT, input=MAIL, asking=reader))["created"]
