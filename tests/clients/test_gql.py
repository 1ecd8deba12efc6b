"""gql, the Python client: queries, mutations and subscriptions over HTTP and WebSocket, resumed by cursor (X1)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.clients.producer import Producer, numbered
from tests.process import ServerProcess

INGEST = """
mutation ($events: [PermitEventInput!]!) {
  ingestPermitEvents(events: $events) { accepted duplicates rejected verdicts { index eventId field } }
}
"""

FOLLOW = """
subscription ($permit: ID!, $after: String) {
  permitEvents(filter: {permitIds: [$permit]}, after: $after) { cursor event { eventId } permit { status } }
}
"""


@asynccontextmanager
async def over_http(server: ServerProcess, role: str = "service") -> AsyncIterator[AsyncClientSession]:
    """A session that knows the schema by introspection, so that it checks documents itself."""
    headers = {"Authorization": f"Bearer {server.token(role)}"}
    transport = HTTPXAsyncTransport(f"{server.url}/graphql", headers=headers, timeout=30, trust_env=False)
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        yield session


@asynccontextmanager
async def over_socket(
    server: ServerProcess, role: str = "service", *, by_header: bool = False
) -> AsyncIterator[AsyncClientSession]:
    """A session on a socket of `graphql-transport-ws`."""
    token = {"Authorization": f"Bearer {server.token(role)}"}
    transport = WebsocketsTransport(
        server.ws_url,
        headers=token if by_header else None,
        init_payload={} if by_header else token,
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        connect_args={"proxy": None},
    )
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        yield session


def request(document: str, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=variables)


async def take(session: AsyncClientSession, number: int, **variables: Any) -> list[dict[str, Any]]:
    """The next messages of a subscription that is left afterwards."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        async for data in session.subscribe(request(FOLLOW, **variables)):
            found.append(data["permitEvents"])
            if len(found) == number:
                break
    return found


def ids(messages: list[dict[str, Any]]) -> list[str]:
    return [message["event"]["eventId"] for message in messages]


@pytest.mark.parametrize("connect", [over_http, over_socket])
async def test_a_mutation_and_a_query(server: ServerProcess, connect: Any) -> None:
    permit = f"gql-{connect.__name__}"
    events = [{**event, "eventType": "STATUS_CHANGE"} for event in numbered(permit, range(2))]
    async with connect(server) as session:
        report = await session.execute(request(INGEST, events=events))
        assert report["ingestPermitEvents"] == {"accepted": 2, "duplicates": 0, "rejected": 0, "verdicts": []}
        again = await session.execute(request(INGEST, events=events))
        assert again["ingestPermitEvents"]["duplicates"] == 2
        query = request("query ($id: ID!) { permit(permitId: $id) { status } }", id=permit)
        async with asyncio.timeout(10):
            while (found := (await session.execute(query))["permit"]) != {"status": "status 1"}:
                assert found in (None, {"status": "status 0"})
                await asyncio.sleep(0.02)


async def test_an_error_names_its_code(server: ServerProcess) -> None:
    async with over_http(server, "reader") as session:
        with pytest.raises(TransportQueryError) as refused:
            await session.execute(
                request(INGEST, events=[{**numbered("x", range(1))[0], "eventType": "STATUS_CHANGE"}])
            )
    assert refused.value.errors
    assert refused.value.errors[0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_subscription_replays_and_goes_live(server: ServerProcess, producer: Producer, by_header: bool) -> None:
    permit = f"gql-live-{by_header}"
    await producer.send(numbered(permit, range(2)))
    async with over_socket(server, "reader", by_header=by_header) as session:
        replayed = await take(session, 2, permit=permit, after="earliest")
        assert ids(replayed) == [f"{permit}-0", f"{permit}-1"]
        live = asyncio.create_task(take(session, 2, permit=permit, after=replayed[-1]["cursor"]))
        await producer.send(numbered(permit, range(2, 4)))
        assert ids(await live) == [f"{permit}-2", f"{permit}-3"]


async def test_resumed_after_a_kill_nothing_is_lost_or_comes_twice(server: ServerProcess, producer: Producer) -> None:
    await producer.send(numbered("gql-killed", range(10)))
    got: list[dict[str, Any]] = []

    async def follow_until_it_breaks() -> None:
        async with over_socket(server, "reader") as session, asyncio.timeout(60):
            async for data in session.subscribe(request(FOLLOW, permit="gql-killed", after="earliest")):
                got.append(data["permitEvents"])
                if len(got) == 7:
                    server.kill()
                    await server.wait()

    with pytest.raises(TransportConnectionFailed):
        await follow_until_it_breaks()
    await server.start()
    await producer.send(numbered("gql-killed", range(10, 15)))
    async with over_socket(server, "reader") as session:
        got += await take(session, 15 - len(got), permit="gql-killed", after=got[-1]["cursor"])
    assert ids(got) == [f"gql-killed-{number}" for number in range(15)]
    assert got[-1]["permit"] == {"status": "status 14"}
