"""The OpenAPI document: valid, and of every route, whatever is added."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.routing import Route

from lakefront.domain.permits.payloads import DATA_TYPES
from lakefront.server.openapi import described
from lakefront.server.pages.bundle import ASSETS_PATH
from lakefront.settings import Settings
from tests.databases import NewDatabase
from tests.domain.permits.events import BASE, event
from tests.server.wired import INGEST, Wired, wired

PAGES = {"/", "/docs", "/redoc", "/openapi.json", ASSETS_PATH}
"""What is for people, or tells of itself."""


@pytest.fixture(scope="module")
async def served(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wired]:
    """One server for all: who looks into the document changes nothing."""
    async with new_database() as dsn:
        settings = Settings(port=0, data=tmp_path_factory.mktemp("openapi"), database_url=dsn, rate_limits="off")
        async with wired(settings) as made:
            yield made


@pytest.fixture(scope="module")
async def document(served: Wired) -> Any:
    response = await served.client.get("/openapi.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return response.json()


async def test_it_is_valid(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)


async def test_every_route_is_in_it_with_its_methods(served: Wired, document: Any) -> None:
    for route in served.app.routes:
        if not isinstance(route, Route) or route.path in PAGES:
            continue
        operations = described(route)
        assert operations, f"{route.path} declares nothing: put `describe` beside its handler"
        if route.methods is not None:
            assert {method.upper() for method in operations} == route.methods - {"HEAD"}
        assert document["paths"][route.path_format].keys() == operations.keys()
    assert document["paths"].keys() == {
        route.path_format for route in served.app.routes if isinstance(route, Route) and route.path not in PAGES
    }


async def test_what_wants_a_token_says_so(served: Wired, document: Any) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            response = await served.client.request(method, path.format_map(defaultdict(lambda: "x")))
            assert bool(operation["security"]) == (response.status_code == 401), (method, path)
            assert str(response.status_code) in operation["responses"], (method, path)


async def test_the_ingest_door_tells_all_of_its_answers(document: Any) -> None:
    door = document["paths"][INGEST]["post"]
    assert door["responses"].keys() >= {"200", "400", "401", "403", "413", "415", "429", "500", "503"}
    assert "Retry-After" in door["responses"]["429"]["headers"]
    assert door["security"] == [{"bearer": ["permits:write"]}, {"key": ["permits:write"]}]


async def test_what_goes_with_answers_is_told_by_components(document: Any) -> None:
    limits = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers, where = operation["responses"], (method, path)
            assert ("421" in answers) == (path != "/health"), where
            if not operation["security"]:
                continue
            assert {"$ref": "#/components/parameters/UserId"} in operation["parameters"], where
            for status, names in (("401", {"WWW-Authenticate"}), ("403", {"WWW-Authenticate"})):
                assert answers[status]["headers"].keys() == names, where
            assert answers["429"]["headers"].keys() == {"Retry-After", *limits}, where
    assert document["components"]["headers"].keys() == {"WWW-Authenticate", "Retry-After", *limits}
    assert "misdirected_request" in str(document["components"]["responses"]["Misdirected"])


async def test_onboarding_may_be_open(document: Any) -> None:
    for action in ("dryrun", "onboard"):
        operation = document["paths"][f"/api/v1/tenants/{action}"]["post"]
        assert operation["security"] == [{"bearer": ["tenants:manage"]}, {"key": ["tenants:manage"]}, {}]
    assert sum({} in it["security"] for path in document["paths"].values() for it in path.values()) == 2


def validator(document: Any, schema: Any) -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


async def test_what_the_door_takes_and_answers_is_what_the_schemas_say(served: Wired, document: Any) -> None:
    door = document["paths"][INGEST]["post"]
    takes = validator(document, door["requestBody"]["content"]["application/json"]["schema"])
    takes.validate([BASE])
    takes.validate(door["requestBody"]["content"]["application/json"]["example"])
    assert not takes.is_valid([event(eventData={"reason": "no new status"})])
    assert not takes.is_valid([event(eventType="other")])
    assert not takes.is_valid(BASE)
    response = await served.ingest([BASE, event(eventId="bad", timestamp=...)])
    answers = validator(document, door["responses"]["200"]["content"]["application/json"]["schema"])
    answers.validate(response.json())
    refused = validator(document, door["responses"]["400"]["content"]["application/json"]["schema"])
    refused.validate((await served.ingest(b"{")).json())
    for path in ("/health", "/ready", "/.well-known/jwks.json"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator(document, schema).validate((await served.client.get(path)).json())


async def test_every_event_type_has_its_schema(document: Any) -> None:
    mapping = document["components"]["schemas"]["PermitEvent"]["discriminator"]["mapping"]
    assert mapping.keys() == DATA_TYPES.keys()
    for kind, reference in mapping.items():
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert kind in schema["properties"]["eventType"]["enum"]
