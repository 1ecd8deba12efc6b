"""``tenantUsage`` and ``changeTenantPlan``: one's own, anybody's for the city's administrator (T5, X4)."""

from dataclasses import replace
from datetime import UTC, datetime

from lakefront.actor import Actor
from lakefront.domain import permits
from lakefront.domain.services import Services
from tests.domain.tenants.subscribed import batch, subscribe
from tests.graphql.conftest import Ask

USAGE = """query ($id: ID) { tenantUsage(tenantId: $id) { tenantId plan date resetsAt pipelines { used limit remaining }
  events { used limit remaining } requests { used limit remaining } storageBytes { used limit remaining } } }"""

CHANGE = """mutation ($plan: SubscriptionPlan!, $dryRun: Boolean, $key: String) {
  changeTenantPlan(tenantId: "acme", plan: $plan, dryRun: $dryRun, idempotencyKey: $key) {
    tenant { tenantId subscriptionPlan quotas { dailyPipelines dailyEvents } } report { changes outsideCalls } } }"""


async def test_usage_is_told(ask: Ask, services: Services) -> None:
    acme = await subscribe(services.provisioner, events=100, storage=2**40)
    await permits.ingest(services, acme, batch(0, 3))
    answer = await ask(USAGE, asking=acme)
    day = datetime.now(UTC).date()
    found = answer["data"]["tenantUsage"]
    assert datetime.fromisoformat(found.pop("resetsAt")).date() > day
    assert found == {
        "tenantId": "acme",
        "plan": "FREE",
        "date": day.isoformat(),
        "pipelines": {"used": "0", "limit": "3", "remaining": "3"},
        "events": {"used": "3", "limit": "100", "remaining": "97"},
        "requests": {"used": None, "limit": None, "remaining": None},
        "storageBytes": {"used": "0", "limit": str(2**40), "remaining": str(2**40)},
    }
    assert (await ask(USAGE, id="acme"))["data"]["tenantUsage"]["events"] == found["events"]
    assert (await ask(USAGE))["data"]["tenantUsage"]["tenantId"] == "city"


async def test_anothers_usage_is_for_whoever_manages_tenants(ask: Ask, services: Services, actor: Actor) -> None:
    acme = await subscribe(services.provisioner)
    for asking, name, code in [
        (acme, "city", "FORBIDDEN"),
        (acme, "nobody", "FORBIDDEN"),
        (replace(actor, scopes=frozenset({"tenant:read"})), "acme", "FORBIDDEN"),
        (replace(actor, scopes=frozenset({"permits:read"})), None, "FORBIDDEN"),
        (actor, "nobody", "NOT_FOUND"),
        (actor, "a\0b", "NOT_FOUND"),
    ]:
        [error] = (await ask(USAGE, asking=asking, id=name))["errors"]
        assert error["extensions"]["code"] == code


async def test_a_plan_is_changed(ask: Ask, services: Services) -> None:
    acme = await subscribe(services.provisioner)
    basic = {"subscriptionPlan": "BASIC", "quotas": {"dailyPipelines": 10, "dailyEvents": "1000000"}}
    dry = (await ask(CHANGE, plan="BASIC", dryRun=True))["data"]["changeTenantPlan"]
    assert dry == {"tenant": {"tenantId": "acme", **basic}, "report": {"changes": 1, "outsideCalls": 0}}
    assert (await ask(USAGE, asking=acme))["data"]["tenantUsage"]["plan"] == "FREE"
    done = (await ask(CHANGE, plan="BASIC", key="k"))["data"]["changeTenantPlan"]
    assert done == {"tenant": {"tenantId": "acme", **basic}, "report": None}
    assert (await ask(USAGE, asking=acme))["data"]["tenantUsage"]["pipelines"]["limit"] == "10"
    [error] = (await ask(CHANGE, plan="FREE", key="k"))["errors"]
    assert error["extensions"]["code"] == "IDEMPOTENCY_CONFLICT"
    [error] = (await ask(CHANGE, asking=acme, plan="FREE"))["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
