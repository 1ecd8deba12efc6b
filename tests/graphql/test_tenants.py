"""Tenants in GraphQL: onboarding as the document has it, suspending, one's own tenant, pages of all of them."""

from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import TENANT_READ, Actor
from lakefront.domain import api_keys
from lakefront.domain.services import Services
from lakefront.domain.tenants.plans import PLANS
from lakefront.graphql.tenants.types import SubscriptionPlan
from tests.domain.tenants.companies import ACME, company, settled
from tests.domain.tenants.traces import traces
from tests.graphql.conftest import Ask

DRY_RUN = """mutation ($input: TenantInput!, $dryRun: Boolean, $key: String) {
  dryRunTenant(input: $input, dryRun: $dryRun, idempotencyKey: $key) {
    tenantId subscriptionPlan ok message checks { check ok message } report { changes } } }"""

ONBOARD = """mutation ($input: TenantInput!, $dryRun: Boolean, $key: String) {
  onboardTenant(input: $input, dryRun: $dryRun, idempotencyKey: $key) {
    tenantId apiKey subscriptionPlan datasetCreated message report { changes outsideCalls } } }"""

SUSPEND = """mutation ($id: ID!, $reason: String!, $dryRun: Boolean) {
  suspendTenant(tenantId: $id, reason: $reason, dryRun: $dryRun) {
    tenant { status suspendedAt suspensionReason } report { changes } } }"""

RESUME = "mutation ($id: ID!) { resumeTenant(tenantId: $id) { tenant { status suspendedAt suspensionReason } } }"

TENANT = """query ($id: ID!) { tenant(tenantId: $id) { tenantId companyName adminEmail status subscriptionPlan
  quotas { dailyPipelines dailyEvents dailyRequests storageBytes } createdAt } }"""

PAGE = """query ($first: Int, $after: String, $last: Int, $before: String, $status: TenantStatus) {
  tenants(first: $first, after: $after, last: $last, before: $before, status: $status) {
    totalCount nodes { tenantId } edges { cursor node { tenantId } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""

INPUT = {
    "tenantId": "acme_corp",
    "companyName": "Acme Corporation",
    "adminEmail": "admin@acme.example",
    "subscriptionPlan": "PROFESSIONAL",
}


def tenant_admin(actor: Actor) -> Actor:
    return replace(actor, tenant="acme_corp", subject="ada", scopes=actor.scopes - {"tenants:manage"})


def code(answer: dict[str, Any]) -> str:
    [error] = answer["errors"]
    return str(error["extensions"]["code"])


def test_the_plans_are_the_domains() -> None:
    assert [plan.value for plan in SubscriptionPlan] == list(PLANS)


async def test_a_tenant_is_onboarded_after_its_dry_run(ask: Ask, services: Services) -> None:
    assert code(await ask(ONBOARD, input=INPUT)) == "DRY_RUN_REQUIRED"
    report = (await ask(DRY_RUN, input=INPUT))["data"]["dryRunTenant"]
    assert report["ok"]
    assert [check["check"] for check in report["checks"]] == [
        *("tenant_id", "reserved_words", "company_name", "admin_email", "subscription_plan", "quotas"),
        *("availability", "database", "object_store"),
    ]
    made = (await ask(ONBOARD, input=INPUT, key="k"))["data"]["onboardTenant"]
    assert made["datasetCreated"]
    found = await api_keys.find(services.database, made["apiKey"])
    assert found is not None
    assert found.tenant == "acme_corp"
    again = (await ask(ONBOARD, input=INPUT, key="k"))["data"]["onboardTenant"]
    assert again["apiKey"] is None
    assert code(await ask(ONBOARD, input=INPUT)) == "CONFLICT"


async def test_dry_runs_change_nothing(ask: Ask, services: Services) -> None:
    tried = (await ask(DRY_RUN, input=INPUT, dryRun=True, key="k"))["data"]["dryRunTenant"]
    assert (tried["ok"], tried["report"]) == (True, {"changes": 0})
    assert code(await ask(ONBOARD, input=INPUT, dryRun=True)) == "DRY_RUN_REQUIRED"
    await ask(DRY_RUN, input=INPUT)
    tried = (await ask(ONBOARD, input=INPUT, dryRun=True))["data"]["onboardTenant"]
    assert (tried["apiKey"], tried["datasetCreated"]) == (None, False)
    assert tried["report"] == {"changes": 1, "outsideCalls": 0}
    assert not await traces(services.provisioner, "acme_corp")


async def test_what_is_wrong_is_data(ask: Ask) -> None:
    report = (await ask(DRY_RUN, input=INPUT | {"tenantId": "No-Id", "adminEmail": "x"}))["data"]["dryRunTenant"]
    assert not report["ok"]
    failed = {check["check"] for check in report["checks"] if not check["ok"]}
    assert failed == {"tenant_id", "admin_email", "availability"}


async def test_suspending_and_resuming(ask: Ask, services: Services, actor: Actor) -> None:
    await settled(services, actor)
    tried = (await ask(SUSPEND, id="acme_corp", reason="unpaid", dryRun=True))["data"]["suspendTenant"]
    assert (tried["tenant"]["status"], tried["report"]) == ("SUSPENDED", {"changes": 1})
    assert (await ask(TENANT, id="acme_corp"))["data"]["tenant"]["status"] == "ACTIVE"
    done = (await ask(SUSPEND, id="acme_corp", reason="unpaid"))["data"]["suspendTenant"]["tenant"]
    assert (done["status"], done["suspensionReason"]) == ("SUSPENDED", "unpaid")
    assert done["suspendedAt"] is not None
    done = (await ask(RESUME, id="acme_corp"))["data"]["resumeTenant"]["tenant"]
    assert done == {"status": "ACTIVE", "suspendedAt": None, "suspensionReason": None}
    assert code(await ask(SUSPEND, id="city", reason="unpaid")) == "VALIDATION_ERROR"
    assert code(await ask(SUSPEND, id="nobody", reason="unpaid")) == "NOT_FOUND"


async def test_a_tenant_sees_itself_and_no_other(ask: Ask, services: Services, actor: Actor) -> None:
    await settled(services, actor)
    ada = tenant_admin(actor)
    own = (await ask(TENANT, ada, id="acme_corp"))["data"]["tenant"]
    assert own.pop("createdAt")
    assert own == INPUT | {
        "status": "ACTIVE",
        "quotas": {
            "dailyPipelines": 25,
            "dailyEvents": "10000000",
            "dailyRequests": "1000000",
            "storageBytes": str(100 * 2**30),
        },
    }
    for other in ("city", "nobody"):
        assert code(await ask(TENANT, ada, id=other)) == "FORBIDDEN"
    for asking in (ada, replace(ada, scopes=actor.scopes)):
        assert code(await ask(PAGE, asking)) == "FORBIDDEN"
        assert code(await ask(DRY_RUN, asking, input=INPUT)) == "FORBIDDEN"
        assert code(await ask(SUSPEND, asking, id="acme_corp", reason="unpaid")) == "FORBIDDEN"
    assert code(await ask(TENANT, replace(ada, scopes=actor.scopes - {TENANT_READ}), id="acme_corp")) == "FORBIDDEN"


@pytest.mark.parametrize("tenant", ["nobody", "", "\0", "a" * 100])
async def test_a_manager_sees_any_tenant_and_null_where_there_is_none(ask: Ask, tenant: str) -> None:
    assert (await ask(TENANT, id="city"))["data"]["tenant"]["quotas"]["dailyEvents"] is None
    assert await ask(TENANT, id=tenant) == {"data": {"tenant": None}}


async def test_pages_of_tenants(ask: Ask, services: Services, actor: Actor) -> None:
    ids = ["acme_corp", "bolt_inc", "city", "dune_ltd", "echo_gmbh"]
    for tenant in ids:
        if tenant != "city":
            await settled(services, actor, company(tenant))
    await ask(SUSPEND, id="dune_ltd", reason="unpaid")
    seen: list[str] = []
    after = None
    while True:
        page = (await ask(PAGE, first=2, after=after))["data"]["tenants"]
        assert page["totalCount"] == 5
        seen += [node["tenantId"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == ids
    back = (await ask(PAGE, last=2, before=after))["data"]["tenants"]
    assert [node["tenantId"] for node in back["nodes"]] == ["city", "dune_ltd"]
    assert back["pageInfo"]["hasPreviousPage"]
    only = (await ask(PAGE, status="SUSPENDED"))["data"]["tenants"]
    assert (only["totalCount"], [node["tenantId"] for node in only["nodes"]]) == (1, ["dune_ltd"])


@pytest.mark.parametrize(
    "arguments", [{"first": 1, "last": 1}, {"first": 1001}, {"after": "x"}, {"before": "WzEsMl0"}], ids=str
)
async def test_bad_pages_are_refused(ask: Ask, arguments: dict[str, Any]) -> None:
    assert code(await ask(PAGE, **arguments)) == "VALIDATION_ERROR"


async def test_no_error_tells_the_address(ask: Ask) -> None:
    answer = await ask(ONBOARD, input=INPUT)
    assert ACME.admin_email not in str(answer)
