"""`lakefront serve` as a process: it starts with nothing, says no plainly, outlives its parts, and leaves nothing."""

import asyncio
import csv
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lakefront.db.embedded import EmbeddedRedis
from lakefront.server.serve import host_in_url
from lakefront.server.socket_messages import SUBPROTOCOL
from tests.db.embedded.support import processes_of
from tests.domain.permits.events import event
from tests.process import ROOT, ServerProcess

PUBLISHED = ROOT.parent / "shared" / "data" / "sf_building_permits.csv"

OURS = re.compile(r"LAKEFRONT_|DATABASE_URL$|REDIS_URL$|OBJECT_STORE_URL$")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not OURS.match(name)} | {"COLUMNS": "200"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, as a unix socket's name must be short to stand in it."""
    made = Path(tempfile.mkdtemp(prefix="lf-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[ServerProcess]:
    """A server without quotas for the tests that break its parts."""
    async with ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as running:
        yield running


@dataclass
class Client:
    """A client of a server, with the token of an administrator."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def query(self, document: str, **variables: Any) -> httpx.Response:
        return await self.http.post("/graphql", json={"query": document, "variables": variables}, headers=self.headers)

    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of a query that must succeed."""
        body = (await self.query(document, **variables)).json()
        assert "errors" not in body, body
        return body["data"]

    async def ingest(self, *events: dict[str, Any]) -> httpx.Response:
        return await self.http.post("/sf-permit-events", json=list(events), headers=self.headers)

    async def ready(self) -> str:
        status: str = (await self.http.get("/ready")).json()["status"]
        return status


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        yield Client(http, {"Authorization": f"Bearer {server.token('admin')}"})


async def started(*arguments: str | Path, cwd: Path | None = None) -> Process:
    """A `lakefront …` under way, all that it prints on its one output."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lakefront", *map(str, arguments)),
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )


async def run(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and output of a `lakefront …`."""
    process = await started(*arguments)
    async with asyncio.timeout(100):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def until_printed(process: Process, pattern: str) -> str:
    """What the first group of `pattern` is in the first line that it matches."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(90):
        while line := (await process.stdout.readline()).decode():
            said += line
            if found := re.search(pattern, line):
                return found[1]
    raise AssertionError(f"the process ended with {await process.wait()}: {said}")


async def test_with_no_settings_it_serves_the_demos_data_and_ends_without_a_trace(folder: Path) -> None:
    process = await started("serve", "--port", "0", cwd=folder)
    try:
        url = await until_printed(process, r"(http://localhost:\d+)/")
        token = await until_printed(process, r"^(eyJ\S+)")
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
            client = Client(http, {"Authorization": f"Bearer {token}"})
            async with asyncio.timeout(60):
                while (await client.ask("{ permits { totalCount } }"))["permits"]["totalCount"] < 20:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            asked = "{ permits(first: 5) { nodes { permitId status events(first: 1) { nodes { eventId } } } } }"
            permits = (await client.ask(asked))["permits"]["nodes"]
            assert all(permit["status"] and permit["events"]["nodes"] for permit in permits)
            place = '{ geocode(address: "120 Broadway, New York", city: "nyc") { point { latitude } } }'
            async with asyncio.timeout(60):
                while not (await client.ask("{ integrations { provider } }"))["integrations"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            [match] = (await client.ask(place))["geocode"]
            assert 40 < match["point"]["latitude"] < 41, "the demo's city services work without keys"
            assert await client.ready() == "ready"
        assert len(processes_of(folder)) >= 2, "PostgreSQL and Redis run in the folder"
        since = time.monotonic()
        process.terminate()
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        assert time.monotonic() - since < 10
        assert b"Traceback" not in output
        assert processes_of(folder) == []
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def refuses_plainly(code: int, output: str, *words: str) -> None:
    """One line that says why and what to do, and no traceback."""
    assert code == 1, output
    assert "Traceback" not in output
    [line] = [line for line in output.splitlines() if line.startswith("lakefront: ")]
    for word in words:
        assert word in line


async def test_a_taken_port_is_refused_before_anything_is_started(server: ServerProcess, folder: Path) -> None:
    port = server.url.rpartition(":")[2]
    code, output = await run("serve", "--port", port, "--data", folder / "data", "--no-demo")
    refuses_plainly(code, output, port, "Address already in use", "--port")
    assert not (folder / "data").exists()


async def test_a_taken_data_folder_is_refused(server: ServerProcess, client: Client) -> None:
    code, output = await run("serve", "--port", "0", "--data", server.data, "--no-demo")
    refuses_plainly(code, output, str(server.data), "in use by another Lakefront server", "--data DIR")
    assert await client.ready() == "ready", "the one that was there first is not disturbed"


async def test_a_killed_postgresql_is_503_meanwhile_and_comes_back_by_itself(
    server: ServerProcess, client: Client
) -> None:
    """Whatever is asked meanwhile: an answer that says when to come again, and what was acknowledged is there."""
    assert (await client.ingest(event(eventId="pg-before"))).status_code == 200
    killed = server.postgres_pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    acknowledged, refused = ["pg-before"], 0
    count = "{ permitEvents(first: 1000) { nodes { eventId } } }"
    async with asyncio.timeout(60):
        while True:
            name = f"pg-{len(acknowledged)}-{refused}"
            answers = [await client.ingest(event(eventId=name)), await client.query(count)]
            acknowledged += [name] if answers[0].status_code == 200 else []
            for answer in answers:
                assert answer.status_code in {200, 503}, answer.text
                if answer.status_code == 503:
                    refused += 1
                    assert int(answer.headers["retry-after"]) >= 1
            if refused and all(answer.status_code == 200 for answer in answers):
                break
            await asyncio.sleep(0.02)
    assert server.postgres_pid not in {None, killed}
    found = (await client.ask(count))["permitEvents"]["nodes"]
    assert {item["eventId"] for item in found} >= set(acknowledged)
    async with asyncio.timeout(15):
        while await client.ready() != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    # The workers are back, too: what comes in now reaches the permit.
    await client.ingest(event(eventId="pg-after", permitId="pg-after", eventData={"newStatus": "back"}))
    async with asyncio.timeout(15):
        while (await client.ask('{ permit(permitId: "pg-after") { status } }'))["permit"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_killed_redis_disturbs_nobody(server: ServerProcess, client: Client) -> None:
    async with Redis.from_url(EmbeddedRedis(server.data / "redis").url) as redis:
        killed = (await redis.info("server"))["process_id"]
    os.kill(killed, signal.SIGKILL)
    for number in range(20):
        assert (await client.ingest(event(eventId=f"redis-{number}"))).status_code == 200
        assert await client.ready() in {"ready", "degraded"}
    async with asyncio.timeout(30):
        while await client.ready() != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with Redis.from_url(EmbeddedRedis(server.data / "redis").url) as redis:
        assert (await redis.info("server"))["process_id"] != killed


@pytest.mark.parametrize(
    ("bound", "host"),
    [("127.0.0.1", "localhost"), ("::", "localhost"), ("::1", "[::1]"), ("fd00::7", "[fd00::7]"), ("lake", "lake")],
)
def test_the_urls_that_it_prints_can_be_opened(bound: str, host: str) -> None:
    assert host_in_url(bound) == host


async def test_sigterm_ends_it_within_seconds_also_with_a_follower() -> None:
    async with ServerProcess() as server:
        subprotocols = [Subprotocol(SUBPROTOCOL)]
        async with connect(server.ws_url, subprotocols=subprotocols, proxy=None) as socket:
            token = {"Authorization": f"Bearer {server.token('reader')}"}
            await socket.send(orjson.dumps({"type": "connection_init", "payload": token}).decode())
            assert orjson.loads(await socket.recv()) == {"type": "connection_ack"}
            follow = {"query": "subscription { permitEvents { cursor } }"}
            await socket.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": follow}).decode())
            await asyncio.sleep(0.2)
            since = time.monotonic()
            assert await server.stop() == 0
            assert time.monotonic() - since < 10
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1012, "service restart: the client comes again"
        assert "Traceback" not in server.log_text()
        assert processes_of(server.data) == []


async def test_doctor_finds_all_well_beside_a_server(server: ServerProcess) -> None:
    code, output = await run("doctor", "--data", server.data)
    assert code in {0, 1}, "the default port may be taken by somebody else"
    assert re.search(r"PostgreSQL +│ embedded.*│ answers, version 18", output), output
    assert re.search(r"migrations +│.*│ up to date", output), output
    assert re.search(r"Redis +│ embedded.*│ answers", output), output


async def test_a_rotated_ingest_token_works_at_once_on_the_running_server(
    server: ServerProcess, client: Client
) -> None:
    rotate = ("ingest-token", "rotate", "--data", server.data)
    tokens = [(await run(*rotate))[1].splitlines()[-1] for _ in range(3)]
    statuses = []
    for token in tokens:
        client.headers["Authorization"] = f"Bearer {token}"
        statuses.append((await client.ingest(event(eventId="rotated"))).status_code)
    assert statuses == [401, 200, 200]
    assert (await client.query("{ permits { totalCount } }")).json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


PERMIT = """
permitId status type description estimatedCost revisedCost neighborhood supervisorDistrict zipcode
statusAt filedAt issuedAt completedAt existingUse proposedUse
addresses { addressId block lot streetNumber streetName primary location { latitude longitude } }
"""

PAGE = f"""
query ($after: String) {{ permits(first: 500, after: $after) {{ nodes {{ {PERMIT} }} pageInfo {{ endCursor }} }} }}
"""


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the city's published file is not at ../shared/data")
async def test_the_citys_5000_rows_come_out_as_they_were_published() -> None:
    async with (
        ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http,
    ):
        client = Client(http, {"Authorization": f"Bearer {server.token('reader')}"})
        load = ("load", "permits", PUBLISHED, "--url", server.url, "--data", server.data)
        first, again = [_counts(*await run(*load)) for _ in range(2)]
        assert (first["rows"], first["skipped"], first["rejected"]) == (5000, 0, 0)
        assert (again["accepted"], again["rejected"]) == (0, 0)
        assert again["duplicates"] == again["events sent"] == first["events sent"]
        permits, published = await _all_permits(client), _published()
        deadline = time.monotonic() + 60
        while permits != published and time.monotonic() < deadline:
            permits = await _all_permits(client)  # the projection follows the log
        assert permits == published
        assert len(permits) == 4791
        _as_known(permits["201709117646"])
        assert (await client.ask("{ permits { totalCount } }"))["permits"]["totalCount"] == 4791

        code, output = await run("rebuild", "permits", "--data", server.data)
        assert code == 0, output
        assert await _all_permits(client) == permits, "made anew from the log while serving, they are the same"
        server.kill()
        await server.wait()
        await server.start()
        assert await _all_permits(client) == permits


def _as_known(permit: dict[str, Any]) -> None:
    """One of them, looked up by hand."""
    assert permit["status"] == "complete"
    assert permit["estimatedCost"] == 5000
    assert permit["filedAt"] == "2017-09-11T21:47:11+00:00"
    assert permit["neighborhood"] == "Marina"
    [address] = permit["addresses"]
    assert (address["streetNumber"], address["streetName"], address["primary"]) == ("3621", "Scott", True)
    assert address["location"] == {"latitude": 37.803276, "longitude": -122.44213}


def _counts(code: int, output: str) -> dict[str, int]:
    assert code == 0, output
    return {name.strip(): int(count.replace(",", "")) for name, count in re.findall(r"^(.+?) +([\d,]+)$", output, re.M)}


async def _all_permits(client: Client) -> dict[str, dict[str, Any]]:
    """Every permit, page by page, its addresses by id."""
    found: dict[str, dict[str, Any]] = {}
    after = None
    while (page := (await client.ask(PAGE, after=after))["permits"])["nodes"]:
        for permit in page["nodes"]:
            permit["addresses"].sort(key=lambda address: address["addressId"])
            found[permit["permitId"]] = permit
        after = page["pageInfo"]["endCursor"]
    return found


def _published() -> dict[str, dict[str, Any]]:
    """The file's permits, read here by other means than the loader's; the rows of one permit are its addresses."""
    permits: dict[str, dict[str, Any]] = {}
    with PUBLISHED.open(encoding="utf-8-sig", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["Primary Address Flag"] != "Y")
    for row in rows:  # the primary address first: the permit lies where that does
        permits.setdefault(row["Permit Number"], _permit(row))["addresses"].append(_address(row))
    for permit in permits.values():
        permit["addresses"].sort(key=lambda address: address["addressId"])
    return permits


def _permit(row: dict[str, str]) -> dict[str, Any]:
    return {
        "permitId": row["Permit Number"],
        "status": row["Current Status"],
        "type": row["Permit Type Definition"],
        "description": row["Description"] or None,
        "estimatedCost": _whole(row["Estimated Cost"]),
        "revisedCost": _whole(row["Revised Cost"]),
        "neighborhood": row["Neighborhoods - Analysis Boundaries"] or None,
        "supervisorDistrict": _whole(row["Supervisor District"]),
        "zipcode": row["Zipcode"] or None,
        "statusAt": _moment(row["Current Status Date"]),
        "filedAt": _moment(row["Filed Date"]),
        "issuedAt": _moment(row["Issued Date"]),
        "completedAt": _moment(row["Completed Date"]),
        "existingUse": row["Existing Use"] or None,
        "proposedUse": row["Proposed Use"] or None,
        "addresses": [],
    }


def _address(row: dict[str, str]) -> dict[str, Any]:
    place = re.fullmatch(r"POINT \((\S+) (\S+)\)", row["Location"])
    return {
        "addressId": row["Record ID"],
        "block": row["Block"] or None,
        "lot": row["Lot"] or None,
        "streetNumber": row["Street Number"] or None,
        "streetName": row["Street Name"] or None,
        "primary": row["Primary Address Flag"] == "Y",
        "location": {"latitude": float(place[2]), "longitude": float(place[1])} if place else None,
    }


def _whole(text: str) -> int | None:
    return round(float(text)) if text else None


def _moment(text: str) -> str | None:
    if not text:
        return None
    local = datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=ZoneInfo("America/Los_Angeles"))
    return local.astimezone(UTC).isoformat()
