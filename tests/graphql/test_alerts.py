"""Alerts by GraphQL: seen, acknowledged, their rules changed, and followed without a gap (C13, X1)."""

from typing import Any

import pytest

from lakefront.actor import CITY
from lakefront.domain import alerts as domain
from lakefront.domain.alerts import Metric
from lakefront.domain.alerts.alert import fire, resolve
from lakefront.domain.alerts.readings import Reading
from lakefront.domain.alerts.rules import BUILT_IN
from lakefront.domain.services import Services
from tests.actors import of_role
from tests.graphql.conftest import Ask
from tests.graphql.test_live import operations_of
from tests.graphql.test_sharing import Subscriber, prepared

ALERT = "alertId ruleId metric provider city level summary state value threshold acknowledgedBy resolvedBy version"
LIST = f"""
query ($filter: AlertFilter) {{
  alerts(filter: $filter) {{ totalCount nodes {{ {ALERT} history {{ nodes {{ version state changedBy }} }} }} }}
}}"""
ACKNOWLEDGE = f"""
mutation ($id: ID!, $key: String, $dry: Boolean) {{
  acknowledgeAlert(alertId: $id, idempotencyKey: $key, dryRun: $dry) {{
    alert {{ {ALERT} }} changed report {{ changes }}
  }}
}}"""
RULES = "{ alertRules { ruleId metric comparison threshold unit forSeconds level provider enabled builtIn version } }"
UPSERT = """
mutation ($input: AlertRuleInput!, $key: String, $dry: Boolean) {
  upsertAlertRule(input: $input, idempotencyKey: $key, dryRun: $dry) {
    rule { ruleId threshold forSeconds level provider enabled builtIn version } changed report { changes }
  }
}"""
FOLLOW = """
subscription ($filter: AlertSubscriptionFilter, $after: String) {
  alertRaised(filter: $filter, after: $after) {
    cursor event { eventType alertId } alert { alertId state level history { nodes { version } } }
  }
}"""


async def fired(services: Services, provider: str = "geoclient", *, over: bool = False) -> str:
    """The id of an alert that fires, or that did."""
    rule, reading = BUILT_IN["breaker-open"], Reading(Metric.BREAKER_OPEN_SECONDS, provider, "nyc", 400.0)
    async with services.database.transaction(CITY) as transaction:
        alert = await fire(transaction, CITY, rule, reading, ())
        assert alert is not None
        if over:
            await resolve(transaction, CITY, alert, 0.0, ())
    await domain.publish(services, CITY)
    return alert.alert_id


async def code(ask: Ask, document: str, **variables: Any) -> str:
    answer = await ask(document, **variables)
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


async def test_an_alert_is_seen_and_acknowledged_once(ask: Ask, services: Services) -> None:
    over, alert = await fired(services, over=True), await fired(services, "mapbox")
    found = (await ask(LIST, filter={"state": {"ne": "RESOLVED"}}))["data"]["alerts"]
    assert found["totalCount"] == 1
    assert [found["nodes"][0][name] for name in ("alertId", "state", "level", "value", "threshold")] == [
        *(alert, "FIRING", 1, 400, 300)
    ]
    dry = (await ask(ACKNOWLEDGE, id=alert, dry=True))["data"]["acknowledgeAlert"]
    assert (dry["changed"], dry["report"], dry["alert"]["state"]) == (True, {"changes": 1}, "FIRING")
    first = await ask(ACKNOWLEDGE, id=alert, key="mine")
    assert first["data"]["acknowledgeAlert"]["alert"]["state"] == "ACKNOWLEDGED"
    assert await ask(ACKNOWLEDGE, id=alert, key="mine") == first
    assert not (await ask(ACKNOWLEDGE, id=alert))["data"]["acknowledgeAlert"]["changed"]
    assert await code(ask, ACKNOWLEDGE, id=over) == "CONFLICT"
    assert await code(ask, ACKNOWLEDGE, id="al-none") == "NOT_FOUND"
    assert await code(ask, ACKNOWLEDGE, id=over, key="mine") == "IDEMPOTENCY_CONFLICT"
    history = {each["alertId"]: each["history"]["nodes"] for each in (await ask(LIST))["data"]["alerts"]["nodes"]}
    assert [each["state"] for each in history[over]] == ["FIRING", "RESOLVED"]
    assert [each["changedBy"] for each in history[alert]] == ["lakefront", "lakefront"]


async def test_rules_are_there_and_can_be_changed(ask: Ask) -> None:
    built_in = {rule["ruleId"]: rule for rule in (await ask(RULES))["data"]["alertRules"]}
    assert built_in["quota-low"] == {
        "ruleId": "quota-low",
        "metric": "QUOTA_REMAINING_PERCENT",
        "comparison": "LTE",
        "threshold": 10.0,
        "unit": "%",
        "forSeconds": 0,
        "level": 2,
        "provider": None,
        "enabled": True,
        "builtIn": True,
        "version": 0,
    }
    quieter = {"ruleId": "quota-low", "threshold": 5, "forSeconds": 60}
    assert (await ask(UPSERT, input=quieter, dry=True))["data"]["upsertAlertRule"]["report"] == {"changes": 1}
    made = (await ask(UPSERT, input=quieter, key="k"))["data"]["upsertAlertRule"]
    assert (made["rule"]["threshold"], made["rule"]["level"], made["rule"]["version"]) == (5, 2, 1)
    assert (await ask(UPSERT, input=quieter, key="k"))["data"]["upsertAlertRule"] == made
    assert not (await ask(UPSERT, input=quieter))["data"]["upsertAlertRule"]["changed"]
    own = {
        "ruleId": "geoclient-half",
        "metric": "QUOTA_REMAINING_PERCENT",
        "comparison": "LT",
        "threshold": 50,
        "provider": "geoclient",
        "level": 3,
    }
    assert (await ask(UPSERT, input=own))["data"]["upsertAlertRule"]["rule"]["builtIn"] is False
    wider = (await ask(UPSERT, input={"ruleId": "geoclient-half", "provider": None}))["data"]["upsertAlertRule"]
    assert (wider["rule"]["provider"], wider["rule"]["level"]) == (None, 3)
    assert len((await ask(RULES))["data"]["alertRules"]) == len(built_in) + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ruleId": "new"},
        {"ruleId": "Wrong name", "metric": "DEAD_LETTERS", "comparison": "GT", "threshold": 1},
        {"ruleId": "quota-low", "metric": "DEAD_LETTERS"},
        {"ruleId": "quota-low", "level": 4},
        {"ruleId": "quota-low", "forSeconds": -1},
        {"ruleId": "quota-low", "threshold": 1e301},
        {"ruleId": "quota-low", "provider": "nobody"},
    ],
)
async def test_a_rule_that_means_nothing_is_refused(ask: Ask, wrong: dict[str, Any]) -> None:
    assert await code(ask, UPSERT, input=wrong) == "VALIDATION_ERROR"


async def test_who_may_only_look_changes_nothing(ask: Ask, services: Services) -> None:
    alert, monitor = await fired(services), of_role("monitor")
    assert (await ask(LIST, asking=monitor))["data"]["alerts"]["totalCount"] == 1
    assert await code(ask, ACKNOWLEDGE, id=alert, asking=monitor) == "FORBIDDEN"
    assert await code(ask, UPSERT, input={"ruleId": "quota-low", "level": 1}, asking=monitor) == "FORBIDDEN"
    assert await code(ask, LIST, asking=of_role("citizen")) == "FORBIDDEN"
    assert (await ask(LIST, asking=of_role("admin", tenant="other")))["data"]["alerts"]["totalCount"] == 0


async def test_alerts_are_followed_from_where_one_stood(services: Services) -> None:
    over = await fired(services, over=True)
    operations = operations_of(services)
    subscriber = Subscriber(operations, prepared(operations, of_role("monitor"), FOLLOW, after="earliest"))
    await subscriber.told(2)
    alert = await fired(services, "mapbox")
    await subscriber.told(3)
    await subscriber.leave()
    told = [answer.data["alertRaised"] for answer in subscriber.answers if answer.data]
    assert [(each["event"]["eventType"], each["alert"]["alertId"]) for each in told] == [
        *(("FIRED", over), ("RESOLVED", over), ("FIRED", alert))
    ]
    again = Subscriber(
        operations,
        prepared(operations, of_role("monitor"), FOLLOW, after=told[0]["cursor"], filter={"providers": ["mapbox"]}),
    )
    await again.told(1)
    await again.leave()
    assert [answer.data["alertRaised"]["event"]["alertId"] for answer in again.answers if answer.data] == [alert]
