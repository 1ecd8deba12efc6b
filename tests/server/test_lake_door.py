"""Through the doors of a whole server: events sealed, trimmed from the hot log, followed, downloaded, verified."""

import asyncio
import gzip
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import asyncpg
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.actor import system_actor
from lakefront.adapters.objects import LocalStore
from lakefront.domain.permits import STREAM
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.server.socket_messages import SUBPROTOCOL
from lakefront.settings import Settings
from tests.adapters.s3_server import BUCKET, CREDENTIALS, s3_server
from tests.domain.permits.events import event
from tests.server.forked import lakefront
from tests.server.sockets import Client
from tests.server.test_cli import fails_plainly
from tests.server.wired import Wired, wired

OBJECTS = """
{ lakeObjects(stream: "sf-permit-events") { nodes {
  key sha256 storedBytes rawBytes eventCount shard fromOffset untilOffset downloadUrl } } }
"""
FOLLOW = "subscription ($after: String) { permitEvents(after: $after) { cursor event { eventId shard offset } } }"
ACTOR = system_actor()


@pytest.fixture
async def served(tmp_path: Path, dsn: str, redis_url: str) -> AsyncIterator[Wired]:
    """A server that seals at once what came in."""
    settings = Settings(
        port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, seal_interval=0.1, rate_limits="off"
    )
    async with wired(settings) as made:
        yield made


def many(prefix: str, count: int) -> list[dict[str, Any]]:
    return [event(eventId=f"{prefix}-{number}", permitId=f"P{number}") for number in range(count)]


async def sealed(served: Wired, count: int) -> list[Any]:
    """The lake's objects, once they hold ``count`` events."""
    async with asyncio.timeout(20):
        while True:
            nodes: list[Any] = (await served.ask(OBJECTS))["lakeObjects"]["nodes"]
            if sum(node["eventCount"] for node in nodes) >= count:
                return nodes
            await asyncio.sleep(0.05)


@pytest.fixture
async def objects(served: Wired) -> list[Any]:
    """What the lake has after 120 events."""
    assert (await served.ingest(many("e", 120))).status_code == 200
    return await sealed(served, 120)


async def get(served: Wired, path: str, role: str = "reader", **headers: str) -> httpx.Response:
    return await served.client.get(path, headers={**served.bearer(role), **headers})


async def test_an_object_is_downloaded_as_it_was_sealed(served: Wired, objects: list[Any]) -> None:
    found = []
    for node in objects:
        assert node["downloadUrl"] == f"/lake/{node['key']}"
        response = await get(served, node["downloadUrl"])
        assert response.status_code == 200
        assert hashlib.sha256(response.content).hexdigest() == node["sha256"]
        headers = response.headers
        assert headers["etag"] == f'"{node["sha256"]}"'
        assert headers["content-type"] == "application/gzip"
        assert headers["content-length"] == node["storedBytes"]
        assert headers["content-disposition"] == f'attachment; filename="{node["key"].rpartition("/")[2]}"'
        assert "content-encoding" not in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "no-cache" in headers["cache-control"]
        assert headers["x-trace-id"]
        lines = gzip.decompress(response.content)
        assert len(lines) == int(node["rawBytes"])
        found += [json.loads(line)["eventId"] for line in lines.splitlines()]
    assert sorted(found) == sorted(item["eventId"] for item in many("e", 120))


async def test_head_and_conditions(served: Wired, objects: list[Any]) -> None:
    node = objects[0]
    path, tag = node["downloadUrl"], f'"{node["sha256"]}"'
    head = await served.client.head(path, headers=served.bearer("reader"))
    whole = await get(served, path)
    assert head.status_code == 200
    assert head.content == b""
    ours = {"etag", "content-type", "content-length", "content-disposition", "cache-control"}
    assert {name: head.headers[name] for name in ours} == {name: whole.headers[name] for name in ours}
    for condition in (tag, f'"other", W/{tag}', "*"):
        response = await get(served, path, **{"If-None-Match": condition})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert (await get(served, path, **{"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "key",
    [
        "",
        "nothing.json.gz",
        "../keys/signing.pem",
        "%2e%2e/keys/signing.pem",
        "..%2fkeys%2fsigning.pem",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "a%00b",
        "sf-permit-events",
        "sf-permit-events/",
        "a" * 3000,
        "%ff",
    ],
)
async def test_only_what_the_manifest_has_is_handed_out(standing: Wired, key: str) -> None:
    response = await standing.client.get(f"/lake/{key}", headers=standing.bearer("reader"))
    assert response.status_code == 404, response.text
    assert response.json()["error_code"] == "not_found"


async def test_stray_files_of_the_store_are_not_handed_out(served: Wired, objects: list[Any]) -> None:
    store = served.parts.doors.services.objects
    await store.put("sf-permit-events/stray.json.gz", b"x")
    assert (await get(served, "/lake/sf-permit-events/stray.json.gz")).status_code == 404


async def test_who_may_download(served: Wired, objects: list[Any]) -> None:
    path = objects[0]["downloadUrl"]
    assert (await served.client.get(path)).status_code == 401
    assert (await get(served, path, role="ingest")).status_code == 403
    assert (await get(served, path, role="admin")).status_code == 200
    assert (await served.client.post(path, headers=served.bearer("admin"))).status_code == 405


async def test_an_object_that_was_lost_is_our_failure(
    served: Wired, objects: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    store = served.parts.doors.services.objects
    assert isinstance(store, LocalStore)
    (store.folder / objects[0]["key"]).unlink()
    response = await get(served, objects[0]["downloadUrl"])
    assert response.status_code == 500
    assert response.json()["error_code"] == "internal_error"
    assert "missing from the store" in caplog.text


async def test_a_store_that_is_away_is_a_503(served: Wired, objects: list[Any]) -> None:
    store = served.parts.doors.services.objects
    assert isinstance(store, LocalStore)
    moved = store.folder.rename(store.folder.with_name("moved"))
    store.folder.touch()
    try:
        response = await get(served, objects[0]["downloadUrl"])
    finally:
        store.folder.unlink()
        moved.rename(store.folder)
    assert response.status_code == 503
    assert response.headers["retry-after"]


async def test_a_subscriber_reads_on_from_the_lake_while_writers_write(served: Wired, objects: list[Any]) -> None:
    """X1: the log is trimmed to its very end, and an old cursor still gets every event once."""
    log = served.parts.doors.services.log
    assert isinstance(log, PostgresLog)
    async with subscribed(served, "earliest") as client:
        cursor = (await take(client, 40))[-1]["cursor"]
    services = served.parts.doors.services
    assert await services.progress.reach(ACTOR.tenant, PERMITS, await log.head(ACTOR, STREAM))
    assert await log.trim(ACTOR, STREAM, await log.head(ACTOR, STREAM)) == 120
    assert await served.stored() == []

    async def write() -> None:
        for number in range(10):
            assert (await served.ingest(many(f"n{number}", 20))).status_code == 200

    writing = asyncio.create_task(write())
    async with subscribed(served, cursor) as late, subscribed(served, "earliest") as early:
        rest, whole = await asyncio.gather(take(late, 280), take(early, 320))
    await writing
    for found, expected in ((rest, 280), (whole, 320)):
        assert len({item["event"]["eventId"] for item in found}) == expected
    places = [(item["event"]["shard"], int(item["event"]["offset"])) for item in whole]
    for shard in (0, 1):
        offsets = [offset for its, offset in places if its == shard]
        assert offsets == list(range(len(offsets)))
    assert [item["event"] for item in rest[:80]] == [item["event"] for item in whole[40:120]]


async def test_a_lake_in_s3(tmp_path: Path, dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as endpoint:
        url = f"s3://{BUCKET}?endpoint={endpoint}&region=us-east-1"
        settings = Settings(
            port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, object_store_url=url, seal_interval=0.1
        )
        async with wired(settings) as served:
            await served.ingest(many("e", 50))
            [node, *_] = await sealed(served, 50)
            assert node["downloadUrl"].startswith(f"{endpoint}/{BUCKET}/{STREAM}/year")
            signed = await served.client.get(node["downloadUrl"])
            ours = await get(served, f"/lake/{node['key']}")
            assert signed.content == ours.content
            assert hashlib.sha256(ours.content).hexdigest() == node["sha256"]
            log, progress = served.parts.doors.services.log, served.parts.doors.services.progress
            assert isinstance(log, PostgresLog)
            head = await log.head(ACTOR, STREAM)
            assert await progress.reach(ACTOR.tenant, PERMITS, head)
            assert await log.trim(ACTOR, STREAM, head) == 50
            async with subscribed(served, "earliest") as client:
                assert len({item["event"]["eventId"] for item in await take(client, 50)}) == 50


async def test_a_reader_who_leaves_is_no_failure(
    served: Wired, objects: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The object is larger than what a socket takes at once, and the client is gone after its first bytes."""
    data = os.urandom(30 * 1024 * 1024)
    store = served.parts.doors.services.objects
    assert isinstance(store, LocalStore)
    (store.folder / objects[0]["key"]).write_bytes(data)
    connection = await asyncpg.connect(served.parts.settings.database_url)
    await connection.execute("UPDATE lakefront.lake_objects SET stored_bytes = $1", len(data))
    await connection.close()
    path = objects[0]["downloadUrl"]
    for _ in range(3):
        async with served.client.stream("GET", path, headers=served.bearer("reader")) as response:
            assert response.status_code == 200
            assert await anext(response.aiter_raw())
    assert len((await get(served, path)).content) == len(data)
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR", "CRITICAL"}] == []


async def test_the_command_that_verifies(served: Wired, objects: list[Any]) -> None:
    settings = served.parts.settings

    async def verify(*more: str) -> CompletedProcess[str]:
        command = ("verify", "lake", "--data", str(settings.data), *more)
        return await asyncio.to_thread(lakefront, *command, DATABASE_URL=str(settings.database_url))

    done = await verify()
    assert (done.returncode, done.stdout) == (0, f"The lake is whole: {len(objects)} objects.\n"), done.stderr
    store = served.parts.doors.services.objects
    assert isinstance(store, LocalStore)
    path = store.folder / objects[0]["key"]
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    await store.put(f"{STREAM}/stray.json.gz", b"x")
    done = await verify("--stream", STREAM)
    assert f"{objects[0]['key']}: its SHA-256 is not the one that was sealed\n" in done.stdout
    assert f"{STREAM}/stray.json.gz: it is in the store, and no intent knows it\n" in done.stdout
    fails_plainly(done, "2 differences in")
    fails_plainly(await verify("--stream", "permits"), "There is no stream 'permits'")


@asynccontextmanager
async def subscribed(served: Wired, after: str) -> AsyncIterator[Client]:
    """A socket that follows permit events from ``after`` on."""
    async with connect(
        f"ws://127.0.0.1:{served.port}/graphql", subprotocols=[Subprotocol(SUBPROTOCOL)], proxy=None
    ) as socket:
        client = Client(socket)
        await client.send({"type": "connection_init", "payload": served.bearer("reader")})
        assert await client.receive() == {"type": "connection_ack"}
        await client.subscribe(FOLLOW, variables={"after": after})
        yield client


async def take(client: Client, count: int) -> list[Any]:
    """The next ``count`` deliveries."""
    found: list[Any] = []
    while len(found) < count:
        message = await client.receive()
        assert message["type"] == "next", message
        found.append(message["payload"]["data"]["permitEvents"])
    return found
