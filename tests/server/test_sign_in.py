"""Sign-in through every door, and how it ends: keys, tenants and rights on live sockets and streams (T4, L14, C10)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.actor import CITY, system_actor
from lakefront.db.database import Database
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.listener import DAMPED
from lakefront.domain import api_keys, ingest_tokens
from lakefront.domain.api_keys import NewKey
from lakefront.domain.permits import STREAM
from lakefront.domain.services import Services
from lakefront.domain.tenants.lifecycle import resume, suspend
from lakefront.server.keys import mint
from lakefront.server.socket_messages import SUBPROTOCOL
from lakefront.settings import Settings
from tests.db.test_listener import listening_backend, stopped
from tests.domain.permits.events import event
from tests.domain.tenants.companies import company, settled
from tests.server.events import following
from tests.server.sockets import Client
from tests.server.wired import INGEST, Wired, wired

ADMIN = system_actor()
FOLLOW = "subscription { permitEvents { cursor } }"
QUERY = {"query": "{ permits(first: 1) { totalCount } }"}
PROMISED = 1.0
"""Seconds within which whatever ends must end."""

SLACK = 3.0
"""Seconds more for a busy machine: far from the minute after which a socket looks for itself."""

TAKE_PERMITS = """
INSERT INTO lakefront.policy_rules (rule_id, role, domain, object, action, rows)
VALUES (gen_random_uuid(), 'reader', 'city', 'permits', 'read', 'none')
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sign-in")


@pytest.fixture
async def served(dsn: str, redis_url: str, folder: Path) -> AsyncIterator[Wired]:
    settings = Settings(port=0, data=folder, database_url=dsn, redis_url=redis_url, rate_limits="off")
    async with wired(settings) as made:
        yield made


@pytest.fixture
async def operator(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection of its own, on which nothing is announced that is not said."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def parts(served: Wired) -> Services:
    return served.parts.doors.services


async def made_key(served: Wired, role: str = "reader", tenant: str = CITY, ttl: timedelta | None = None) -> NewKey:
    return await api_keys.create(parts(served), system_actor(tenant), "test", [role], ttl)


def by_key(made: NewKey) -> dict[str, str]:
    return {"X-API-Key": made.text}


@asynccontextmanager
async def socket(served: Wired, payload: dict[str, str], **headers: str) -> AsyncIterator[Client]:
    async with connect(
        f"ws://127.0.0.1:{served.port}/graphql",
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers=headers,
        proxy=None,
    ) as opened:
        client = Client(opened)
        await client.send({"type": "connection_init", "payload": payload})
        yield client


@asynccontextmanager
async def signed_in(served: Wired, payload: dict[str, str]) -> AsyncIterator[Client]:
    """A socket that follows."""
    async with socket(served, payload) as client:
        assert await client.receive() == {"type": "connection_ack"}
        await client.subscribe(FOLLOW)
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        yield client


async def closed_in_time(client: Client) -> int:
    """The code with which the server closes the socket in time."""
    async with asyncio.timeout(PROMISED + SLACK):
        return await client.closed()


async def test_a_key_opens_every_door_that_its_roles_do(served: Wired) -> None:
    reader, writer = await made_key(served), await made_key(served, "service")
    headers = {**by_key(reader), "X-User-ID": "user_123"}
    answer = await served.client.post("/graphql", json=QUERY, headers=headers)
    assert answer.json() == {"data": {"permits": {"totalCount": 0}}}
    async with socket(served, {"X-API-Key": reader.text}) as client:
        assert await client.receive() == {"type": "connection_ack"}
    async with socket(served, {}, **by_key(reader)) as client:
        assert await client.receive() == {"type": "connection_ack"}
    refused = await served.client.post(INGEST, json=[event()], headers=by_key(reader))
    assert (refused.status_code, refused.json()["error_code"]) == (403, "forbidden")
    assert (await served.client.post(INGEST, json=[event()], headers=by_key(writer))).status_code == 200
    assert "x-api-key-expires" not in answer.headers


@pytest.mark.parametrize("path", ["/graphql", INGEST])
async def test_the_challenge_says_what_is_wrong(served: Wired, path: str) -> None:
    realm = 'Bearer realm="lakefront"'
    made, token = await made_key(served, "monitor"), served.bearer("monitor")
    for headers, status, challenge in (
        ({}, 401, realm),
        ({"Authorization": "Basic eDp5"}, 401, realm),
        ({"Authorization": "Bearer x.y.z"}, 401, f'{realm}, error="invalid_token"'),
        ({"X-API-Key": "city_api_" + "x" * 43}, 401, f'{realm}, error="invalid_token"'),
        ({**by_key(made), **token}, 401, f'{realm}, error="invalid_request"'),
        (token, 403, f'{realm}, error="insufficient_scope", scope='),
        (by_key(made), 403, f'{realm}, error="insufficient_scope", scope='),
    ):
        body: Any = QUERY if path == "/graphql" else [event()]
        answer = await served.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        scope = '"permits:read"' if path == "/graphql" else '"permits:write"'
        assert answer.headers["www-authenticate"] == challenge + (scope if status == 403 else "")


async def test_answers_warn_of_a_key_that_ends_soon(served: Wired) -> None:
    soon, later = [await made_key(served, ttl=timedelta(days=days)) for days in (9, 11)]
    for path, body in (("/graphql", QUERY), ("/graphql", {"query": "{ nothing }"}), (INGEST, [event()])):
        answer = await served.client.post(path, json=body, headers=by_key(soon))
        assert answer.headers["x-api-key-expires"] == f"{soon.key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        assert answer.headers["warning"].startswith('299 lakefront "This API key ends at ')
        answer = await served.client.post(path, json=body, headers=by_key(later))
        assert "x-api-key-expires" not in answer.headers


async def test_who_somebody_acts_for_is_never_authority(served: Wired, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    made = await made_key(served)
    for user_id, status in (("", 400), ("x" * 201, 400), ("x" * 200, 200), ("admin", 200), ("Zoë".encode(), 200)):
        headers: Any = {**by_key(made), "X-User-ID": user_id}
        assert (await served.client.post("/graphql", json=QUERY, headers=headers)).status_code == status
    headers = {"X-User-ID": "sesame-stranger"}
    assert (await served.client.post("/graphql", json=QUERY, headers=headers)).status_code == 401
    async with socket(served, {**by_key(made), "X-User-ID": "\n"}) as client:
        assert await client.closed() == 4400
    assert "sesame" not in caplog.text
    assert made.text not in caplog.text


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"X-API-Key": "city_api_x"}, 4403),
        ({"X-API-Key": "x", "Authorization": "Bearer x"}, 4403),
        ({"X-API-Key": 5}, 4400),
        ({"X-API-Key": "a", "x-api-key": "b"}, 4400),
    ],
)
async def test_a_socket_that_is_refused(served: Wired, payload: Any, code: int) -> None:
    async with socket(served, payload) as client:
        assert await client.closed() == code


async def test_a_revoked_key_ends_its_socket_and_its_stream(served: Wired) -> None:
    ends, stays = await made_key(served), await made_key(served)
    async with (
        signed_in(served, by_key(ends)) as socket,
        signed_in(served, by_key(stays)) as other,
        following(served.client, FOLLOW, headers={"Accept": "text/event-stream", **by_key(ends)}) as stream,
    ):
        await api_keys.revoke(parts(served), ADMIN, ends.key.key_id)
        assert await closed_in_time(socket) == 4403
        last, complete = await stream.rest()
        assert last.answer["errors"][0]["extensions"]["errorCode"] == "unauthenticated"
        assert complete.kind == "complete"
        await other.send({"type": "ping"})
        assert await other.receive() == {"type": "pong"}
    answer = await served.client.post("/graphql", json=QUERY, headers=by_key(ends))
    assert answer.status_code == 401


async def test_a_rotated_key_ends_with_its_overlap(served: Wired) -> None:
    old = await made_key(served)
    async with signed_in(served, by_key(old)) as socket:
        new = await api_keys.rotate(parts(served), ADMIN, old.key.key_id, timedelta(seconds=3))  # long enough for both
        for made in (old, new):
            assert (await served.client.post("/graphql", json=QUERY, headers=by_key(made))).status_code == 200
        assert await socket.closed() == 4403
    assert (await served.client.post("/graphql", json=QUERY, headers=by_key(old))).status_code == 401
    assert (await served.client.post("/graphql", json=QUERY, headers=by_key(new))).status_code == 200


async def test_a_suspended_tenant_is_out_and_comes_back(served: Wired) -> None:
    await settled(parts(served), ADMIN, company("acme_corp"))
    made = await made_key(served, tenant="acme_corp")
    token = mint(served.parts.key, served.parts.settings, "ann", "reader", "acme_corp", 60)
    bearer = {"Authorization": f"Bearer {token}"}
    async with (
        signed_in(served, by_key(made)) as by_its_key,
        signed_in(served, bearer) as by_its_token,
        following(served.client, FOLLOW, headers={"Accept": "text/event-stream", **bearer}) as stream,
    ):
        await suspend(parts(served), ADMIN, "acme_corp", "unpaid")
        for socket in (by_its_key, by_its_token):
            assert await closed_in_time(socket) == 4403
        last, _ = await stream.rest()
        assert last.answer["errors"][0]["extensions"]["errorCode"] == "forbidden"
    for headers in (by_key(made), bearer):
        answer = await served.client.post("/graphql", json=QUERY, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    await resume(parts(served), ADMIN, "acme_corp")
    async with asyncio.timeout(PROMISED + SLACK):
        while (await served.client.post("/graphql", json=QUERY, headers=bearer)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_policy_that_takes_a_scope_ends_what_needs_it(
    served: Wired, operator: "asyncpg.Connection[Any]"
) -> None:
    reader = served.bearer("reader")
    async with (
        signed_in(served, reader) as socket,
        signed_in(served, served.bearer("admin")) as other,
        following(served.client, FOLLOW, headers={"Accept": "text/event-stream", **reader}) as stream,
    ):
        await operator.execute(TAKE_PERMITS)
        async with asyncio.timeout(PROMISED + SLACK):
            ended = await socket.receive()
        assert (ended["id"], ended["type"]) == ("1", "error")
        assert ended["payload"][0]["extensions"]["code"] == "FORBIDDEN"
        last, _ = await stream.rest()
        assert last.answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        await socket.subscribe("{ __typename }", "2")  # the socket stays: other things may be allowed
        assert (await socket.receive())["type"] == "next"
        await other.send({"type": "ping"})
        assert await other.receive() == {"type": "pong"}


async def test_an_ingest_token_opens_its_own_stream_alone(served: Wired) -> None:
    await settled(parts(served), ADMIN, company("bakery"))
    database = parts(served).database
    for tenant in (CITY, "bakery"):
        own, foreign = [await ingest_tokens.rotate(database, system_actor(tenant), name) for name in (STREAM, "other")]
        assert (await served.ingest([event()], authorization=f"Bearer {own}")).status_code == 200
        refused = await served.ingest([event()], authorization=f"Bearer {foreign}")
        assert (refused.status_code, refused.json()["error_code"]) == (403, "forbidden")
    assert len(await served.stored()) == 1, "the other tenant's event is in the other tenant's log"


async def test_everything_ends_in_time_without_the_listener(
    served: Wired, operator: "asyncpg.Connection[Any]", postgres: EmbeddedPostgres, dsn: str
) -> None:
    """The listener's connection is killed, and cannot come back: whoever is in is looked at again all the time."""
    await settled(parts(served), ADMIN, company("laundry"))
    revoked, kept, suspended = (
        await made_key(served),
        await made_key(served),
        await made_key(served, tenant="laundry"),
    )
    pools = (parts(served).database, parts(served).provisioner, parts(served).signing_in)
    await asyncio.gather(*(_connected(pool) for pool in pools * 10))
    async with (
        signed_in(served, by_key(revoked)) as first,
        signed_in(served, by_key(kept)) as stays,
        signed_in(served, by_key(suspended)) as second,
        _deaf(postgres.dsn("postgres"), dsn),
    ):
        await operator.execute(
            "UPDATE tenants.tenant_api_keys SET revoked_at = now() WHERE key_id = $1", revoked.key.key_id
        )
        assert await closed_in_time(first) == 4403
        await operator.execute("UPDATE tenants.tenant_profiles SET status = 'suspended' WHERE tenant_id = 'laundry'")
        assert await closed_in_time(second) == 4403
        await operator.execute(f"SET session_replication_role = replica; {TAKE_PERMITS}")  # no trigger: no notice
        ended = await stays.receive()
        assert ended["payload"][0]["extensions"]["code"] == "FORBIDDEN"
        answer = await served.client.post("/graphql", json={"query": "{ __typename }"}, headers=by_key(revoked))
        assert answer.status_code == 401


async def test_everything_ends_in_time_while_the_listener_hangs(
    served: Wired, operator: "asyncpg.Connection[Any]"
) -> None:
    """Its connection neither breaks nor answers: what was announced over it comes too late."""
    revoked, kept = await made_key(served), await made_key(served)
    async with signed_in(served, by_key(revoked)) as ends, signed_in(served, by_key(kept)) as stays:
        with stopped(await listening_backend(operator)):
            await api_keys.revoke(parts(served), ADMIN, revoked.key.key_id)
            assert await closed_in_time(ends) == 4403
            answer = await served.client.post("/graphql", json=QUERY, headers=by_key(revoked))
            assert answer.status_code == 401
            assert (await served.client.post("/graphql", json=QUERY, headers=by_key(kept))).status_code == 200
        await stays.send({"type": "ping"})
        assert await stays.receive() == {"type": "pong"}


@pytest.mark.parametrize("channel", ["lakefront_tokens", "lakefront_tenants", "lakefront_policies"])
async def test_forged_notices_make_nobody_read_all_the_time_and_hide_nothing(
    served: Wired, operator: "asyncpg.Connection[Any]", channel: str
) -> None:
    """Whoever may connect may NOTIFY, a BI login for one."""
    looks: list[float] = []
    served.parts.doors.authenticator.on_revocation(lambda: looks.append(time.monotonic()))
    revoked = await made_key(served)
    async with signed_in(served, by_key(revoked)) as ends:
        looks.clear()
        began = time.monotonic()
        for number in range(1000):
            await operator.execute(f"SELECT pg_notify('{channel}', '{number}')")
        # Some more are of a listener that was late on a busy machine.
        assert 1 <= len(looks) <= 10 + (time.monotonic() - began) / DAMPED
        await api_keys.revoke(parts(served), ADMIN, revoked.key.key_id)
        assert await closed_in_time(ends) == 4403


async def _connected(database: Database) -> None:
    """One of several at once: each has a connection, which the pool keeps."""
    async with database.transaction(CITY) as transaction:
        await transaction.execute("SELECT pg_sleep(0.3)")


@asynccontextmanager
async def _deaf(elsewhere: str, dsn: str) -> AsyncIterator[None]:
    """The database of ``dsn`` takes no new connections, and the one that listened is killed."""
    operator = await asyncpg.connect(elsewhere)
    name = urlsplit(dsn).path.removeprefix("/")
    await operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        killed = await operator.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = $1 AND query ~ '^LISTEN|^SELECT pg_listening_channels'",
            name,
        )
        assert len(killed) == 1
        await asyncio.sleep(0.1)
        yield
    finally:
        await operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await operator.close()


async def test_a_token_that_expires_ends_its_socket(served: Wired) -> None:
    token = mint(served.parts.key, served.parts.settings, "ann", "reader", CITY, 4)  # long enough to sign in
    minted_at = time.time()
    async with signed_in(served, {"Authorization": f"Bearer {token}"}) as client:
        assert await client.closed() == 4403
        assert 2 < time.time() - minted_at < 4 + PROMISED + SLACK
