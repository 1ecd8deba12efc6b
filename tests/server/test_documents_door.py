"""Persisted documents through every door: HTTP, event streams and WebSocket; ETags of those that a GET names."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.db.database import Database
from lakefront.domain.documents import sha256_of
from lakefront.server.graphql_http import GRAPHQL_JSON
from lakefront.settings import Settings
from tests.server.wired import Wired, wired

TRUSTED = "query Permits($first: Int = 1) { permits(first: $first) { totalCount } }"
OTHER = "{ me { subject } }"
CHANGE = "mutation { ingestPermitEvents(events: []) { accepted } }"
ADD = "INSERT INTO lakefront.persisted_documents (sha256, name, document) VALUES ($1, '', $2)"
EMPTY = {"data": {"permits": {"totalCount": 0}}}


def named(text: str) -> str:
    return f"sha256:{sha256_of(text).hex()}"


def apollo(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256_of(text).hex()}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: a signing key takes a moment to make."""
    return tmp_path_factory.mktemp("documents")


@pytest.fixture
async def served(dsn: str, redis_url: str, folder: Path, provisioner: Database) -> AsyncIterator[Wired]:
    """The server: readers are held to trusted documents, staff to texts, admins to nothing."""
    settings = Settings(
        port=0,
        data=folder,
        database_url=dsn,
        redis_url=redis_url,
        rate_limits="off",
        persisted_documents_by_role={"reader": "trusted-only", "staff": "off"},
    )
    async with provisioner.transaction("-") as transaction:
        for text in (TRUSTED, CHANGE):
            await transaction.execute(ADD, sha256_of(text), text)
    async with wired(settings) as made:
        yield made


async def post(served: Wired, body: dict[str, Any], role: str = "admin", **headers: str) -> httpx.Response:
    return await served.client.post("/graphql", json=body, headers={**served.bearer(role), **headers})


async def get(
    served: Wired, role: str = "admin", headers: dict[str, str] | None = None, **params: str
) -> httpx.Response:
    return await served.client.get("/graphql", params=params, headers={**served.bearer(role), **(headers or {})})


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    found: str = error["extensions"]["code"]
    return found


async def test_both_protocols_by_both_methods(served: Wired) -> None:
    extensions = json.dumps(apollo(TRUSTED))
    for role in ("reader", "admin"):
        assert (await post(served, {"documentId": named(TRUSTED)}, role)).json() == EMPTY
        assert (await post(served, {"extensions": apollo(TRUSTED)}, role)).json() == EMPTY
        assert (await get(served, role, documentId=named(TRUSTED), variables='{"first": 2}')).json() == EMPTY
        assert (await get(served, role, extensions=extensions, operationName="Permits")).json() == EMPTY
        assert (await post(served, {"query": TRUSTED}, role)).json() == EMPTY


async def test_apollos_protocol_registers_what_is_not_known(served: Wired) -> None:
    asked = {"extensions": apollo(OTHER)}
    missed = await post(served, asked)
    assert missed.status_code == 200
    assert missed.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert code(missed) == "PERSISTED_QUERY_NOT_FOUND"
    assert missed.headers["cache-control"] == "no-store"
    strict = await post(served, asked, accept=GRAPHQL_JSON)
    assert (strict.status_code, code(strict)) == (400, "PERSISTED_QUERY_NOT_FOUND")
    assert "data" not in strict.json()
    assert (await post(served, {**asked, "query": OTHER})).json()["data"]["me"]
    for again in (asked, {"documentId": named(OTHER)}):
        assert (await post(served, again)).json()["data"]["me"]


async def test_what_does_not_fit_is_refused(served: Wired) -> None:
    bodies: list[dict[str, Any]] = [
        {"query": OTHER, "extensions": apollo(TRUSTED)},
        {"query": OTHER, "documentId": named(TRUSTED)},
        {"documentId": named(TRUSTED), "extensions": apollo(OTHER)},
        {"documentId": "md5:1"},
        {"documentId": 7},
        {"extensions": {"persistedQuery": {"version": 2}}},
        {"extensions": {"persistedQuery": []}},
    ]
    for body in bodies:
        response = await post(served, body, accept=GRAPHQL_JSON)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST"), body


async def test_roles_have_modes(served: Wired) -> None:
    refused = await post(served, {"query": OTHER}, "reader")
    assert (refused.status_code, code(refused)) == (403, "DOCUMENT_NOT_TRUSTED")
    assert "lakefront documents sync" in refused.json()["errors"][0]["message"]
    registered = await post(served, {"query": OTHER, "extensions": apollo(OTHER)}, "reader")
    assert (registered.status_code, code(registered)) == (403, "DOCUMENT_NOT_TRUSTED")
    assert code(await post(served, {"documentId": named(OTHER)}, "reader")) == "PERSISTED_QUERY_NOT_FOUND"
    assert code(await post(served, {"documentId": named(TRUSTED)}, "staff")) == "PERSISTED_QUERY_NOT_SUPPORTED"


async def test_a_get_changes_nothing_by_a_name_either(served: Wired) -> None:
    response = await get(served, documentId=named(CHANGE))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_removed_document_is_not_trusted_any_more(served: Wired, provisioner: Database) -> None:
    assert (await post(served, {"documentId": named(TRUSTED)}, "reader")).json() == EMPTY
    async with provisioner.transaction("-") as transaction:
        await transaction.execute("DELETE FROM lakefront.persisted_documents")
    loop = asyncio.get_running_loop()
    until = loop.time() + 2
    while "data" in (await post(served, {"documentId": named(TRUSTED)}, "reader")).json():
        assert loop.time() < until
    assert (await post(served, {"query": TRUSTED}, "reader")).status_code == 403


async def test_event_streams_and_sockets_know_them_too(served: Wired) -> None:
    events = {**served.bearer("reader"), "Accept": "text/event-stream"}
    told = await served.client.post("/graphql", json={"documentId": named(TRUSTED)}, headers=events)
    (data,) = [line.removeprefix("data: ") for line in told.text.splitlines() if line.startswith("data: {")]
    assert json.loads(data) == EMPTY
    url = f"ws://127.0.0.1:{served.port}/graphql"
    spoken, reader = Subprotocol("graphql-transport-ws"), served.bearer("reader")
    async with connect(url, subprotocols=[spoken], additional_headers=reader) as socket:
        await socket.send('{"type": "connection_init"}')
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        for name, payload in (("1", {"documentId": named(TRUSTED)}), ("2", {"query": OTHER})):
            await socket.send(json.dumps({"type": "subscribe", "id": name, "payload": payload}))
        found = [json.loads(await socket.recv()) for _ in range(3)]
    assert {"type": "next", "id": "1", "payload": EMPTY} in found
    (refused,) = [message for message in found if message["type"] == "error"]
    assert refused["payload"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"


async def test_a_get_of_a_named_document_is_kept_by_its_reader(served: Wired) -> None:
    first = await get(served, documentId=named(TRUSTED))
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    depends = {name.strip().lower() for name in first.headers["vary"].split(",")}
    assert depends >= {"accept", "accept-encoding", "authorization", "x-api-key"}
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await get(served, headers={"If-None-Match": known}, documentId=named(TRUSTED))
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "private, no-cache"
        assert again.headers["x-content-type-options"] == "nosniff"
    other = await get(served, headers={"If-None-Match": '"other"'}, documentId=named(TRUSTED))
    assert (other.status_code, other.json()) == (200, EMPTY)
    typed = await get(served, headers={"Accept": GRAPHQL_JSON}, documentId=named(TRUSTED))
    assert typed.headers["etag"] != tag


async def test_other_answers_are_not_kept(served: Wired) -> None:
    for response in (
        await get(served, query=TRUSTED),
        await post(served, {"documentId": named(TRUSTED)}),
        await get(served, documentId=named(OTHER)),
        await get(served, documentId=named(TRUSTED), variables='{"first": "x"}'),
        await get(served, documentId=named(TRUSTED), variables='{"first": -1}'),
    ):
        assert "etag" not in response.headers
        assert response.headers["cache-control"] == "no-store"


async def test_a_text_that_is_refused_is_not_kept(served: Wired) -> None:
    text = 'mutation { rotateIntegrationKey(input: {provider: "openweather", credentials: {key: "s3cret"}}) { city } }'
    for role in ("admin", "citizen"):
        refused = await post(served, {"query": text, "extensions": apollo(text)}, role)
        assert refused.status_code >= 400 or "errors" in refused.json()
        assert code(await post(served, {"extensions": apollo(text)}, role)) == "PERSISTED_QUERY_NOT_FOUND"
    valid = "{ __typename }"
    await post(served, {"query": valid, "extensions": apollo(valid)})
    assert (await post(served, {"extensions": apollo(valid)})).json() == {"data": {"__typename": "Query"}}
