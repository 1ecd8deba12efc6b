"""The REST door of API keys: a tenant's own people, whoever manages tenants, and nobody else (T2, T4)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lakefront.actor import CITY
from lakefront.domain.tenants.directory import CHANNEL as TENANTS_CHANNEL
from lakefront.server.keys import mint
from lakefront.settings import Settings
from tests.server.wired import Wired, wired

ACME = "acme_corp"


@pytest.fixture
async def served(dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Wired]:
    """A server with a second tenant."""
    settings = Settings(port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, rate_limits="off")
    async with wired(settings) as made:
        async with made.parts.doors.services.provisioner.transaction(ACME) as transaction:
            await transaction.execute(
                "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
                "VALUES ($1, 'Acme', 'ann@acme.example', 'active')",
                ACME,
            )
            await transaction.execute("SELECT pg_notify($1, '')", TENANTS_CHANNEL)
        yield made


def path(tenant: str = CITY, *more: str) -> str:
    return "/".join((f"/api/v1/tenants/{tenant}/api-keys", *more))


def signed_in(served: Wired, role: str, tenant: str) -> dict[str, str]:
    token = mint(served.parts.key, served.parts.settings, f"test:{role}", role, tenant, 600)
    return {"Authorization": f"Bearer {token}"}


async def post(served: Wired, where: str, body: Any = None, tenant: str = CITY, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await served.client.post(where, json=body, headers={**signed_in(served, "admin", tenant), **sent})


async def works(served: Wired, key: str) -> bool:
    response = await served.client.post("/graphql", json={"query": "{ __typename }"}, headers={"X-API-Key": key})
    assert response.status_code in (200, 401), response.text
    return response.status_code == 200


async def test_a_key_from_its_making_to_its_end(served: Wired) -> None:
    made = await post(served, path(), {"name": "Nightly load", "roles": ["service", "reader"], "ttl_days": 30})
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    first = made.json()
    assert first["roles"] == ["reader", "service"]
    assert (first["state"], first["created_by"], first["replaced_by"]) == ("active", "test:admin", None)
    assert await works(served, first["api_key"])
    rotated = await post(served, path(CITY, first["key_id"], "rotate"), {"overlap_hours": 1})
    assert rotated.status_code == 201
    second = rotated.json()
    assert await works(served, first["api_key"])
    assert await works(served, second["api_key"])
    regenerated = await post(served, path(CITY, second["key_id"], "regenerate"))
    assert regenerated.status_code == 201
    third = regenerated.json()
    listed = (await served.client.get(path(), headers=served.bearer("admin"))).json()
    assert [(key["key_id"], key["state"]) for key in listed["api_keys"]] == [
        (third["key_id"], "active"),
        (second["key_id"], "expired"),
        (first["key_id"], "rotated"),
    ]
    assert not any("api_key" in key for key in listed["api_keys"])
    revoked = await served.client.delete(path(CITY, third["key_id"]), headers=served.bearer("admin"))
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")


async def test_the_last_key_that_manages_keys_is_revoked_by_force_alone(served: Wired) -> None:
    made = (await post(served, path(ACME), {"name": "CI", "roles": ["admin"]}, ACME)).json()
    where, headers = path(ACME, made["key_id"]), {"X-API-Key": made["api_key"]}
    refused = await served.client.delete(where, headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (409, "conflict")
    assert "force" in refused.json()["message"]
    assert (await served.client.delete(f"{where}?force=yes", headers=headers)).status_code == 400
    assert (await served.client.delete(f"{where}?force=true", headers=headers)).status_code == 200


async def test_an_idempotency_key_makes_one_key_and_shows_it_once(served: Wired) -> None:
    body = {"name": "CI", "roles": ["reader"]}
    first = await post(served, path(), body, Idempotency_Key="a")
    again = await post(served, path(), body, Idempotency_Key="a")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["api_key"] is None
    assert again.json()["key_id"] == first.json()["key_id"]
    other = await post(served, path(), body | {"name": "other"}, Idempotency_Key="a")
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_conflict")


async def test_a_tenant_manages_its_own_keys_and_no_others(served: Wired) -> None:
    body = {"name": "CI", "roles": ["reader"]}
    ours = (await post(served, path(ACME), body, ACME)).json()
    assert ours["api_key"].startswith(f"{ACME}_api_")
    assert ours["created_by"] == "test:admin"
    citys = (await post(served, path(), body)).json()
    acme = signed_in(served, "admin", ACME)
    for method, where in (
        ("GET", path()),
        ("POST", path()),
        ("DELETE", path(CITY, citys["key_id"])),
        ("POST", path(CITY, citys["key_id"], "rotate")),
        ("GET", path("nobody")),
        ("GET", path("a%00b")),
    ):
        response = await served.client.request(method, where, headers=acme)
        assert (response.status_code, response.json()["error_code"]) == (403, "forbidden"), (method, where)
    theirs = await served.client.delete(path(ACME, citys["key_id"]), headers=acme)
    assert theirs.status_code == 404
    assert await works(served, citys["api_key"])


async def test_who_manages_tenants_acts_for_any(served: Wired) -> None:
    made = await post(served, path(ACME), {"name": "first", "roles": ["admin"]})
    assert made.status_code == 201, made.text
    assert made.json()["api_key"].startswith(f"{ACME}_api_")
    assert made.json()["created_by"] == f"{CITY}:test:admin"
    for nobody in ("nobody", "a%00b"):
        response = await post(served, path(nobody), {"name": "x", "roles": ["reader"]})
        assert (response.status_code, response.json()["error_code"]) == (404, "not_found")
    keys = await served.client.get(path(ACME), headers={"X-API-Key": made.json()["api_key"]})
    assert [key["name"] for key in keys.json()["api_keys"]] == ["first"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"name": "CI"}, "roles", id="no roles"),
        pytest.param({"name": "", "roles": ["reader"]}, "name", id="no name"),
        pytest.param({"name": "a\u0007", "roles": ["reader"]}, "name", id="a bell in the name"),
        pytest.param({"name": "CI", "roles": ["emperor"]}, "roles", id="no such role"),
        pytest.param({"name": "CI", "roles": ["reader"], "ttl_days": 366}, "ttl_days", id="more than a year"),
        pytest.param({"name": "CI", "roles": ["reader"], "days": 3}, "days", id="a member that is not known"),
        pytest.param({"name": "CI", "roles": ["reader", 1]}, "roles[1]", id="a role that is no text"),
        pytest.param([], "", id="no object"),
    ],
)
async def test_what_a_body_may_not_say(standing: Wired, body: Any, field: str) -> None:
    response = await post(standing, path(), body)
    assert (response.status_code, response.json()["error_code"]) == (400, "validation_error"), response.text
    assert response.json()["details"][0]["field"] == field


async def test_what_is_refused(served: Wired) -> None:
    admin = served.bearer("admin")
    plain = await served.client.post(path(), content=b"{}", headers={**admin, "Content-Type": "text/plain"})
    assert plain.status_code == 415
    large = await served.client.post(path(), json={"name": "x" * 20_000, "roles": []}, headers=admin)
    assert large.status_code == 413
    for broken in (b"{", b"\xff", b"[" * 10_000):
        response = await served.client.post(
            path(), content=broken, headers={**admin, "Content-Type": "application/json"}
        )
        assert response.status_code == 400, broken
    assert (await served.client.get(path(), headers=served.bearer("reader"))).status_code == 403
    for unknown in (str(uuid4()), "x"):
        assert (await served.client.delete(path(CITY, unknown), headers=admin)).status_code == 404
        assert (await post(served, path(CITY, unknown, "rotate"))).status_code == 404
    made = (await post(served, path(), {"name": "CI", "roles": ["reader"]})).json()
    assert (await post(served, path(CITY, made["key_id"], "rotate"), {"overlap_hours": 721})).status_code == 400
    assert (await post(served, path(CITY, made["key_id"], "rotate"))).status_code == 201
    again = await post(served, path(CITY, made["key_id"], "rotate"))
    assert (again.status_code, again.json()["error_code"]) == (409, "conflict")
