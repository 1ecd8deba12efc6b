"""Integrations and cities by GraphQL: what is set up, by whom, and that no credential is ever in an answer (C7)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.domain.services import Services
from tests.actors import of_role
from tests.domain.integrations.keepers import OTHER, SECRET, with_providers
from tests.graphql.conftest import Ask

FIELDS = """
  provider title city baseUrl apiVersion credentials { name description required setAt } quotaDaily enabled version
  createdAt updatedAt updatedBy
"""
LIST = f"{{ integrations {{ {FIELDS} }} }}"
UPSERT = f"""
mutation ($input: IntegrationInput!, $key: String, $dry: Boolean) {{
  made: upsertIntegration(input: $input, idempotencyKey: $key, dryRun: $dry) {{
    integration {{ {FIELDS} }} created changed report {{ changes quota outsideCalls }}
  }}
}}"""
ROTATE = f"""
mutation ($provider: ID!, $city: ID, $credentials: [CredentialInput!]!, $key: String, $dry: Boolean) {{
  made: rotateIntegrationKey(
    provider: $provider, city: $city, credentials: $credentials, idempotencyKey: $key, dryRun: $dry
  ) {{ integration {{ {FIELDS} }} created changed report {{ changes }} }}
}}"""
TEST = """
mutation ($provider: ID!, $city: ID, $dry: Boolean) {
  made: testIntegration(provider: $provider, city: $city, dryRun: $dry) {
    ok errorCode message seconds report { changes outsideCalls }
  }
}"""
CITY = """
mutation ($city: CityInput!, $dry: Boolean) {
  made: upsertCity(city: $city, dryRun: $dry) {
    city { slug name latitude longitude timeZone } report { changes }
  }
}"""
PARCELS = {"provider": "parcels", "city": "bos", "credentials": [{"name": "api_key", "value": SECRET}]}
BOSTON = {"slug": "bos", "name": "Boston", "latitude": 42.36, "longitude": -71.06, "timeZone": "America/New_York"}


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with with_providers():
        yield


@pytest.fixture(autouse=True)
async def _boston(ask: Ask) -> None:
    await made(ask, CITY, city=BOSTON)


async def made(ask: Ask, document: str, **variables: Any) -> Any:
    answer = await ask(document, **variables)
    assert "errors" not in answer, answer
    assert "hush" not in str(answer)
    return answer["data"]["made"]


async def code(ask: Ask, document: str, **variables: Any) -> str:
    answer = await ask(document, **variables)
    assert "hush" not in str(answer)
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


async def test_an_integration_is_set_up_changed_and_renewed(ask: Ask) -> None:
    first = await made(ask, UPSERT, input=PARCELS)
    it = first["integration"]
    assert (it["city"], it["baseUrl"], it["quotaDaily"], it["version"]) == (
        "bos",
        "https://parcels.example/api",
        1000,
        1,
    )
    assert first["created"]
    key, second = it["credentials"]
    assert key["setAt"]
    assert second == {
        "name": "second_key",
        "description": "a key for when the first is used up",
        "required": False,
        "setAt": None,
    }
    off = {"provider": "parcels", "city": "bos", "quotaDaily": None, "enabled": False}
    changed = await made(ask, UPSERT, input=off)
    assert (changed["changed"], changed["created"], changed["report"]) == (["quotaDaily", "enabled"], False, None)
    renewed = await made(ask, ROTATE, provider="parcels", city="bos", credentials=[{"name": "api_key", "value": OTHER}])
    assert renewed["changed"] == ["credentials.api_key"]
    skies = await made(ask, UPSERT, input={"provider": "skies"})
    assert skies["integration"]["city"] == ""
    listed = (await ask(LIST))["data"]["integrations"]
    assert listed == [renewed["integration"], skies["integration"]]


async def test_a_dry_run_reports_and_changes_nothing(ask: Ask) -> None:
    tried = await made(ask, UPSERT, input=PARCELS, dry=True)
    assert tried["report"] == {"changes": 1, "quota": 0, "outsideCalls": 0}
    assert tried["integration"]["version"] == 1
    assert (await ask(LIST))["data"]["integrations"] == []
    await made(ask, UPSERT, input=PARCELS)
    again = await made(ask, UPSERT, input={"provider": "parcels", "city": "bos"}, dry=True)
    assert again["report"]["changes"] == 0
    trial = await made(ask, TEST, provider="parcels", city="bos", dry=True)
    assert trial["report"] == {"changes": 0, "outsideCalls": 1}
    assert trial["ok"] is None
    city = await made(ask, CITY, city={"slug": "nyc", "name": "New York"}, dry=True)
    assert city["report"] == {"changes": 1}
    assert len((await ask("{ cities { slug } }"))["data"]["cities"]) == 1


async def test_a_trial_is_an_answer_whatever_comes_of_it(ask: Ask) -> None:
    assert await code(ask, TEST, provider="parcels", city="bos") == "NOT_FOUND"
    await made(ask, UPSERT, input=PARCELS)
    trial = await made(ask, TEST, provider="parcels", city="bos")
    assert (trial["ok"], trial["errorCode"], trial["message"]) == (True, None, "Parcels answers.")
    await made(ask, UPSERT, input={"provider": "skies"})
    trial = await made(ask, TEST, provider="skies")
    assert (trial["ok"], trial["errorCode"]) == (False, "upstream_denied")
    assert "app_id" in trial["message"]


async def test_a_secret_within_a_document_is_refused(ask: Ask) -> None:
    document = f"""mutation {{ rotateIntegrationKey(
      provider: "parcels", city: "bos", credentials: [{{name: "api_key", value: "{SECRET}"}}]) {{ changed }} }}"""
    answer = await ask(document)
    [error] = answer["errors"]
    assert "by a variable" in error["message"]
    assert "hush" not in str(answer)
    nested = """mutation ($value: Secret) { upsertIntegration(
      input: {provider: "parcels", city: "bos", credentials: [{name: "api_key", value: $value}]}) { changed } }"""
    assert "errors" not in await ask(nested, value=SECRET)


async def test_what_is_wrong_is_told_without_a_secret(ask: Ask) -> None:
    twice = [{"name": "api_key", "value": SECRET}, {"name": "api_key", "value": OTHER}]
    assert await code(ask, UPSERT, input={**PARCELS, "credentials": twice}) == "VALIDATION_ERROR"
    null = [{"name": "api_key", "value": None}]
    assert await code(ask, ROTATE, provider="parcels", city="bos", credentials=null) == "VALIDATION_ERROR"
    for wrong in ({"quotaDaily": -1}, {"apiVersion": "v9"}, {"baseUrl": "http://x"}, {"city": "nyc"}):
        assert await code(ask, UPSERT, input={**PARCELS, **wrong}) == "VALIDATION_ERROR"
    for place in ({"latitude": 91.0}, {"longitude": None}, {"timeZone": "Mars/Olympus"}, {"slug": "B"}, {"name": " "}):
        assert await code(ask, CITY, city={**BOSTON, **place}) == "VALIDATION_ERROR"


async def test_an_idempotency_key_changes_nothing_more(ask: Ask) -> None:
    first = await made(ask, UPSERT, input=PARCELS, key="k")
    assert await made(ask, UPSERT, input=PARCELS, key="k") == first
    assert await code(ask, UPSERT, input={**PARCELS, "enabled": False}, key="k") == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize("role", ["staff", "citizen", "reader", "service", "monitor"])
async def test_they_are_for_admins(ask: Ask, role: str) -> None:
    somebody = of_role(role)
    for document, variables in (
        (LIST, {}),
        ("{ integrationProviders { provider } }", {}),
        (UPSERT, {"input": PARCELS}),
        (ROTATE, {"provider": "parcels", "city": "bos", "credentials": [{"name": "api_key", "value": SECRET}]}),
        (TEST, {"provider": "parcels", "city": "bos"}),
        (CITY, {"city": BOSTON}),
    ):
        assert await code(ask, document, asking=somebody, **variables) == "FORBIDDEN"
    assert (await ask("{ cities { slug name timeZone } }", asking=somebody))["data"]["cities"] == [
        {"slug": "bos", "name": "Boston", "timeZone": "America/New_York"}
    ]


async def test_the_scope_alone_opens_them(ask: Ask) -> None:
    keeper = replace(of_role("monitor"), scopes=frozenset({INTEGRATIONS_MANAGE}))
    assert (await ask(LIST, asking=keeper))["data"] == {"integrations": []}
    asked = "{ integrationProviders { provider cityBound apiVersions credentials { name required } } }"
    parcels, skies = (await ask(asked, asking=keeper))["data"]["integrationProviders"]
    assert parcels["credentials"] == [{"name": "api_key", "required": True}, {"name": "second_key", "required": False}]
    assert (skies["provider"], skies["cityBound"], skies["apiVersions"]) == ("skies", False, ["1"])


async def test_an_integration_whose_adapter_is_gone_is_listed(ask: Ask, services: Services) -> None:
    await made(ask, UPSERT, input=PARCELS)
    async with services.database.transaction("city") as transaction:
        await transaction.execute("UPDATE lakefront.integrations SET provider = 'gone'")
    [found] = (await ask(LIST))["data"]["integrations"]
    assert (found["title"], [one["name"] for one in found["credentials"]]) == ("gone", ["api_key"])


async def test_who_changed_what_is_told_without_values(ask: Ask, ask_resolvers: Ask) -> None:
    await made(ask, UPSERT, input=PARCELS)
    await made(ask, ROTATE, provider="parcels", city="bos", credentials=[{"name": "api_key", "value": OTHER}])
    await made(ask, UPSERT, input={"provider": "skies", "enabled": False})
    asked = """{ integrationChanges(
      filter: {what: {like: "%credentials.api_key%"}}, orderBy: [{version: DESC}]
    ) { totalCount nodes { provider city version changedBy onBehalfOf what } } }"""
    answer = await ask(asked)
    assert answer == await ask_resolvers(asked)
    assert answer["data"]["integrationChanges"]["totalCount"] == 2
    renewed, first = answer["data"]["integrationChanges"]["nodes"]
    assert renewed == {
        "provider": "parcels",
        "city": "bos",
        "version": 2,
        "changedBy": "lakefront",
        "onBehalfOf": None,
        "what": "credentials.api_key",
    }
    assert first["what"] == "base_url, api_version, quota_daily, enabled, credentials.api_key"
    assert await code(ask, asked, asking=of_role("reader")) == "FORBIDDEN"
