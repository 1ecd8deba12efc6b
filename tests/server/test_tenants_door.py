"""``/api/v1/tenants`` as the source document has it (T1, T2): open or not, limited, and shut for who is suspended."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lakefront.settings import Settings
from tests.server.wired import Wired, wired

DRY_RUN = "/api/v1/tenants/dryrun"
ONBOARD = "/api/v1/tenants/onboard"

ACME = {
    "tenant_id": "acme_corp",
    "company_name": "Acme Corporation",
    "admin_email": "admin@acme.com",
    "subscription_plan": "PROFESSIONAL",
}
"""The document's own body."""


@pytest.fixture
def settings(dsn: str, redis_url: str, tmp_path: Path) -> dict[str, Any]:
    return {"port": 0, "data": tmp_path, "database_url": dsn, "redis_url": redis_url}


@pytest.fixture
async def opened(settings: dict[str, Any]) -> AsyncIterator[Wired]:
    """A server whose onboarding is open."""
    async with wired(Settings(**settings, onboarding="open")) as made:
        yield made


@pytest.fixture
async def guarded(settings: dict[str, Any]) -> AsyncIterator[Wired]:
    """A server as it is by default on an outside database."""
    async with wired(Settings(**settings)) as made:
        yield made


async def onboarded(server: Wired, **changes: str) -> dict[str, Any]:
    """The document's two calls; the answer of the second."""
    headers = server.bearer("admin")
    report = await server.client.post(DRY_RUN, json=ACME | changes, headers=headers)
    assert report.json()["ok"], report.text
    made = await server.client.post(ONBOARD, json=ACME | changes, headers=headers)
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


async def test_the_documents_two_calls_work_as_written(opened: Wired) -> None:
    report = await opened.client.post(DRY_RUN, json=ACME)
    assert report.status_code == 200
    assert report.json().keys() == {"tenant_id", "subscription_plan", "ok", "checks", "message"}
    assert all(check.keys() == {"check", "ok", "message"} and check["ok"] for check in report.json()["checks"])
    made = await opened.client.post(ONBOARD, json=ACME)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    answer = made.json()
    key = answer.pop("api_key")
    assert answer == {
        "tenant_id": "acme_corp",
        "subscription_plan": "PROFESSIONAL",
        "dataset_created": True,
        "message": "Tenant onboarded successfully",
    }
    found = await opened.client.get("/api/v1/tenants/acme_corp", headers={"X-API-Key": key})
    assert found.status_code == 200
    assert found.json().items() >= (ACME | {"status": "active", "daily_pipelines": 25}).items()
    again = await opened.client.post(ONBOARD, json=ACME)
    assert (again.status_code, again.json()["error_code"]) == (409, "conflict")


async def test_without_a_dry_run_it_is_400_that_says_so(opened: Wired) -> None:
    response = await opened.client.post(ONBOARD, json=ACME)
    assert (response.status_code, response.json()["error_code"]) == (400, "dry_run_required")
    assert DRY_RUN in response.json()["message"]


async def test_a_key_of_idempotency_shows_no_api_key_again(opened: Wired) -> None:
    await opened.client.post(DRY_RUN, json=ACME)
    once = {"Idempotency-Key": "4711"}
    assert (await opened.client.post(ONBOARD, json=ACME, headers=once)).status_code == 201
    again = await opened.client.post(ONBOARD, json=ACME, headers=once)
    assert (again.status_code, again.json()["api_key"]) == (200, None)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param({}, [*ACME], id="empty"),
        pytest.param(ACME | {"quota": 1, "q" * 200: 2}, ["quota", "q" * 100], id="more"),
        pytest.param(ACME | {"admin_email": 1, "tenant_id": None}, ["tenant_id", "admin_email"], id="wrong types"),
        pytest.param({"tenant_id": 1, "x": 1}, [*ACME, "x"], id="all of it"),
        pytest.param({f"{number}": 1 for number in range(1000)}, [*ACME, *map(str, range(16))], id="very much more"),
        pytest.param([], [""], id="list"),
    ],
)
async def test_another_shape_is_400_and_each_field_that_is_wrong_is_named(
    opened: Wired, body: Any, fields: list[str]
) -> None:
    response = await opened.client.post(DRY_RUN, json=body)
    assert (response.status_code, response.json()["error_code"]) == (400, "validation_error")
    assert [detail["field"] for detail in response.json()["details"]] == fields
    assert all(detail["message"] for detail in response.json()["details"])
    assert response.json()["message"].startswith(f"The body is not valid. {fields[0]}")


async def test_one_large_object_is_told_to_be_small_not_to_be_split(opened: Wired) -> None:
    response = await opened.client.post(DRY_RUN, json=ACME | {"company_name": "x" * 20_000})
    assert (response.status_code, response.json()["error_code"]) == (413, "payload_too_large")
    assert response.json()["message"].endswith("Send the one small object that is asked for.")


async def test_the_rate_is_limited_by_address(opened: Wired) -> None:
    answers = [await opened.client.post(DRY_RUN, json=ACME | {"tenant_id": "x"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    codes = [(await opened.client.post(ONBOARD, json=ACME)).status_code for _ in range(6)]
    assert codes == [400] * 5 + [429]


async def test_the_rate_can_be_lifted(settings: dict[str, Any]) -> None:
    async with wired(Settings(**settings, onboarding="open", rate_limits="off")) as server:
        codes = {(await server.client.post(ONBOARD, json=ACME)).status_code for _ in range(7)}
    assert codes == {400}


async def test_elsewhere_it_needs_who_manages_tenants(guarded: Wired) -> None:
    for path in (DRY_RUN, ONBOARD):
        assert (await guarded.client.post(path, json=ACME)).status_code == 401
        response = await guarded.client.post(path, json=ACME, headers=guarded.bearer("reader"))
        assert response.status_code == 403
    key = {"X-API-Key": (await onboarded(guarded))["api_key"]}
    for path in (DRY_RUN, ONBOARD, "/api/v1/tenants/acme_corp/suspend", "/api/v1/tenants/acme_corp/resume"):
        assert (await guarded.client.post(path, json=ACME, headers=key)).status_code == 403
    assert (await guarded.client.get("/api/v1/tenants/city", headers=key)).status_code == 403
    assert (await guarded.client.get("/api/v1/tenants/nobody", headers=key)).status_code == 403


async def test_a_suspended_tenant_gets_in_by_no_door_until_it_is_resumed(guarded: Wired) -> None:
    key = {"X-API-Key": (await onboarded(guarded))["api_key"]}
    admin = guarded.bearer("admin")

    async def seen() -> list[int]:
        asked = {"query": "{ __typename }"}
        return [
            (await guarded.client.get("/api/v1/tenants/acme_corp", headers=key)).status_code,
            (await guarded.client.post("/graphql", json=asked, headers=key)).status_code,
        ]

    assert await seen() == [200, 200]
    path = "/api/v1/tenants/acme_corp"
    done = await guarded.client.post(f"{path}/suspend", json={"reason": "unpaid"}, headers=admin)
    assert done.status_code == 200
    assert done.json().items() >= {"status": "suspended", "suspension_reason": "unpaid"}.items()
    await _within(1.0, seen, [403, 403])
    refused = await guarded.client.get(path, headers=key)
    assert refused.json()["message"].startswith("This tenant is suspended: unpaid. ")
    done = await guarded.client.post(f"{path}/resume", headers=admin)
    assert done.json().items() >= {"status": "active", "suspension_reason": None}.items()
    await _within(1.0, seen, [200, 200])


async def _within(seconds: float, seen: Callable[[], Awaitable[list[int]]], wanted: list[int]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (found := await seen()) != wanted:
        assert loop.time() < deadline, found
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("tenant", "body", "code"),
    [
        ("city", {"reason": "unpaid"}, "validation_error"),
        ("nobody", {"reason": "unpaid"}, "not_found"),
        ("nobody", {"reason": ""}, "validation_error"),
        ("nobody", {}, "validation_error"),
        ("%00", {"reason": "unpaid"}, "not_found"),
    ],
    ids=["city", "unknown", "blank", "missing", "nul"],
)
async def test_suspending_refuses(guarded: Wired, tenant: str, body: dict[str, str], code: str) -> None:
    path = f"/api/v1/tenants/{tenant}/suspend"
    response = await guarded.client.post(path, json=body, headers=guarded.bearer("admin"))
    assert response.json()["error_code"] == code


async def test_the_address_is_in_no_log(guarded: Wired, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await onboarded(guarded)
    refused = await guarded.client.post(ONBOARD, json=ACME, headers=guarded.bearer("admin"))
    assert refused.status_code == 409
    bad = ACME | {"admin_email": "not an address"}
    report = await guarded.client.post(DRY_RUN, json=bad, headers=guarded.bearer("admin"))
    assert not report.json()["ok"]
    for text in (caplog.text, refused.text, report.text):
        assert "admin@acme.com" not in text
        assert "not an address" not in text
