"""The REST doors of integrations and cities say what GraphQL says; no answer or log holds a credential (C7, C15)."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakefront.settings import Settings
from tests.domain.integrations.keepers import OTHER, SECRET, with_providers
from tests.server.wired import Wired, wired

PARCELS = {"provider": "parcels", "city": "bos", "credentials": {"api_key": SECRET}}
PLACE = {"provider": "parcels", "city": "bos"}
BOSTON = {"slug": "bos", "name": "Boston", "latitude": 42.36, "longitude": -71.06, "time_zone": "America/New_York"}


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with with_providers():
        yield


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    """A server that serves Boston."""
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn, rate_limits="off")) as made:
        assert (await put(made, "/cities", BOSTON)).status_code == 200
        yield made


async def send(served: Wired, method: str, path: str, body: Any = None, role: str = "admin", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await served.client.request(method, path, json=body, headers={**served.bearer(role), **sent})
    assert "hush" not in response.text
    return response


async def put(served: Wired, path: str, body: Any, **more: str) -> httpx.Response:
    response: httpx.Response = await send(served, "PUT", path, body, **more)
    return response


async def graphql(served: Wired, query: str, **variables: Any) -> Any:
    response = await send(served, "POST", "/graphql", {"query": query, "variables": variables})
    assert "errors" not in response.json(), response.text
    return response.json()["data"]


def snake(value: Any) -> Any:
    """GraphQL's answer in REST's words."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if isinstance(value, dict):
        words = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): item for name, item in value.items()}
        return {name: snake(item) for name, item in words.items()}
    return value.replace("+00:00", "Z") if isinstance(value, str) else value


FIELDS = """provider title city baseUrl apiVersion credentials { name description required setAt } quotaDaily enabled
version createdAt updatedAt updatedBy"""


def untimed(value: Any) -> Any:
    """Without trailing zeros of fractions of seconds, which the two doors write each in its way."""
    if isinstance(value, list):
        return [untimed(item) for item in value]
    if isinstance(value, dict):
        return {name: untimed(item) for name, item in value.items()}
    if isinstance(value, str) and value.endswith("Z") and "." in value:
        return value[:-1].rstrip("0")
    return value


async def test_rest_and_graphql_say_the_same(served: Wired) -> None:
    made = await put(served, "/integrations", PARCELS)
    assert made.status_code == 201
    await put(served, "/integrations", {"provider": "skies", "quota_daily": None})
    said = (await send(served, "GET", "/integrations")).json()["integrations"]
    assert said[0] == made.json()["integration"]
    assert untimed(said) == untimed(
        snake((await graphql(served, f"{{ integrations {{ {FIELDS} }} }}"))["integrations"])
    )
    said = (await send(served, "GET", "/integrations/providers")).json()["providers"]
    asked = """{ integrationProviders { provider title cityBound defaultBaseUrl apiVersions quotaDaily
      credentials { name description required setAt } } }"""
    assert said == snake((await graphql(served, asked))["integrationProviders"])
    said = (await send(served, "GET", "/cities")).json()["cities"]
    asked = "{ cities { slug name latitude longitude timeZone createdAt updatedAt } }"
    assert untimed(said) == untimed(snake((await graphql(served, asked))["cities"]))


async def test_what_one_door_does_the_other_shows(served: Wired) -> None:
    upsert = "mutation ($input: IntegrationInput!) { upsertIntegration(input: $input) { changed } }"
    given = {**PLACE, "credentials": [{"name": "api_key", "value": SECRET}]}
    await graphql(served, upsert, input=given)
    renewed = await send(
        served, "POST", "/integrations/rotate-key", {**PLACE, "credentials": {"api_key": OTHER, "second_key": "2"}}
    )
    assert renewed.status_code == 200
    assert renewed.json()["changed"] == ["credentials.api_key", "credentials.second_key"]
    endpoint = await served.parts.doors.services.endpoints.require("city", "parcels", "bos")
    assert endpoint.credentials == {"api_key": OTHER, "second_key": "2"}
    off = await put(served, "/integrations", {**PLACE, "enabled": False, "credentials": {"second_key": None}})
    assert (off.status_code, off.json()["created"]) == (200, False)
    assert off.json()["changed"] == ["enabled", "credentials.second_key"]
    [seen] = (await graphql(served, "{ integrations { enabled version credentials { name setAt } } }"))["integrations"]
    assert (seen["enabled"], seen["version"]) == (False, 3)
    assert [bool(one["setAt"]) for one in seen["credentials"]] == [True, False]


async def test_a_trial_tells_how_it_went(served: Wired) -> None:
    assert (await send(served, "POST", "/integrations/test", PLACE)).status_code == 404
    await put(served, "/integrations", PARCELS)
    trial = (await send(served, "POST", "/integrations/test", PLACE)).json()
    assert (trial["ok"], trial["error_code"], trial["message"]) == (True, None, "Parcels answers.")
    await put(served, "/integrations", {"provider": "skies"})
    failed = await send(served, "POST", "/integrations/test", {"provider": "skies"})
    assert failed.status_code == 200
    assert (failed.json()["ok"], failed.json()["error_code"]) == (False, "upstream_denied")
    dry = await send(served, "POST", "/integrations/test?dry_run=true", {"provider": "skies"})
    assert dry.json()["ok"] is None


async def test_a_dry_run_changes_nothing(served: Wired) -> None:
    tried = await put(served, "/integrations?dry_run=true", PARCELS)
    assert (tried.status_code, tried.json()["dry_run"], tried.json()["created"]) == (200, True, True)
    assert (await put(served, "/cities?dry_run=true", {"slug": "nyc", "name": "New York"})).status_code == 200
    assert (await send(served, "GET", "/integrations")).json() == {"integrations": []}
    assert len((await send(served, "GET", "/cities")).json()["cities"]) == 1


async def test_an_idempotency_key_changes_nothing_more(served: Wired) -> None:
    first = await put(served, "/integrations", PARCELS, idempotency_key="k")
    assert (await put(served, "/integrations", PARCELS, idempotency_key="k")).json() == first.json()
    other = await put(served, "/integrations", {**PARCELS, "enabled": False}, idempotency_key="k")
    assert (other.status_code, other.json()["error_code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize("role", ["staff", "citizen", "reader", "service"])
async def test_they_are_for_admins(served: Wired, role: str) -> None:
    for method, path in (
        *(("GET", "/integrations"), ("GET", "/integrations/providers"), ("PUT", "/integrations")),
        *(("POST", "/integrations/rotate-key"), ("POST", "/integrations/test"), ("PUT", "/cities")),
    ):
        assert (await send(served, method, path, {}, role)).status_code == 403, path
    assert (await send(served, "GET", "/cities", None, role)).status_code == 200
    assert (await served.client.get("/cities")).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "provider", id="empty"),
        pytest.param({**PARCELS, "quota_daily": -1}, "quota_daily", id="quota"),
        pytest.param({**PARCELS, "quota_daily": "1"}, "quota_daily", id="text"),
        pytest.param({**PARCELS, "enabled": None}, "enabled", id="null"),
        pytest.param({**PARCELS, "password": SECRET}, "password", id="unknown"),
        pytest.param({**PLACE, "credentials": {"api_key": {"value": SECRET}}}, "credentials[...]", id="nested"),
        pytest.param({**PLACE, "credentials": [SECRET]}, "credentials", id="list"),
        pytest.param({**PLACE, "credentials": {"api_key": SECRET * 1000}}, "credentials[...]", id="long"),
    ],
)
async def test_what_is_wrong_is_told_without_a_secret(served: Wired, body: Any, field: str) -> None:
    refused = await put(served, "/integrations", body)
    assert refused.status_code == 400, refused.text
    assert field in [one["field"] for one in refused.json()["details"]]


async def test_no_log_or_metric_holds_a_secret(served: Wired, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await put(served, "/integrations", PARCELS)
    await send(served, "POST", "/integrations/rotate-key", {**PLACE, "credentials": {"api_key": OTHER}})
    await send(served, "POST", "/integrations/test", PLACE)
    await put(served, "/integrations", {**PARCELS, "api_version": "v9"})
    await send(served, "GET", "/metrics")
    assert "what=credentials.api_key" in caplog.text
    assert "hush" not in caplog.text
