"""Event streams by npm clients: graphql-sse, and an EventSource that resumes by itself, killed servers or not (X1)."""

import asyncio
from typing import Any

from tests.clients.node import Script, running
from tests.clients.producer import Producer, numbered
from tests.process import ServerProcess

FOLLOW = """
subscription ($after: String, $filter: PermitEventSubscriptionFilter) {
  told: permitEvents(after: $after, filter: $filter) { event { eventId } }
}
"""


async def collect(script: Script, number: int) -> list[str]:
    """The ids of the next events that graphql-sse tells, in order."""
    found = []
    for _ in range(number):
        told: Any = await script.until("event")
        found.append(told["event"]["eventId"])
    return found


async def listen(script: Script, number: int) -> list[str]:
    """The ids of the next events that the EventSource tells, in order; that it was reconnected is no event."""
    found: list[str] = []
    while len(found) < number:
        line: Any = await script.line()
        assert "failed" not in line, line
        if "errors" in line.get("next", {}):
            assert [error["extensions"]["code"] for error in line["next"]["errors"]] == ["UNAVAILABLE"]
        elif "next" in line:
            assert line["id"], "each event has the cursor as its id, though none was selected"
            found.append(line["next"]["data"]["told"]["event"]["eventId"])
    return found


async def produce(producer: Producer, permits: list[str], numbers: range) -> None:
    """Send the events of each permit, two at a time."""
    for start in range(numbers.start, numbers.stop, 2):
        for permit in permits:
            await producer.send(numbered(permit, range(start, min(start + 2, numbers.stop))))


async def break_down(server: ServerProcess) -> None:
    """Kill the server twice, and stop it once as it should be."""
    for _ in range(2):
        await asyncio.sleep(0.4)
        server.kill()
        await server.wait()
        await server.start()
    await server.restart()


async def test_graphql_sse_asks_and_follows(server: ServerProcess, producer: Producer) -> None:
    await producer.send(numbered("sse", range(3)))
    options = {"url": f"{server.url}/graphql", "token": server.token("reader"), "after": "earliest"}
    async with running("follow_sse.mjs", **options, permitIds=["sse"]) as script:
        asked: Any = await script.until("asked")
        assert asked["data"]["permits"]["totalCount"] >= 1
        assert await collect(script, 3) == ["sse-0", "sse-1", "sse-2"]
        assert await script.until("heartbeat")
        await producer.send(numbered("other", range(1)) + numbered("sse", range(3, 4)))
        live: Any = await script.until("event")
        assert live["event"] == {"eventId": "sse-3", "permitId": "sse"}
        assert live["permit"]["status"] == "status 3", "the permit is read after the event is in it"


async def test_a_token_that_does_not_hold_ends_both_at_once(server: ServerProcess) -> None:
    async with running("follow_sse.mjs", url=f"{server.url}/graphql", token="nonsense", after=None) as script:
        failed: Any = await script.until("failed")
        assert failed["status"] == 401
    options = {"url": f"{server.url}/graphql", "query": FOLLOW, "variables": {}}
    async with running("event_source.mjs", **options, token="nonsense") as script:
        assert await script.until("failed") == 401


async def test_graphql_sse_goes_on_after_kills(server: ServerProcess, producer: Producer) -> None:
    permits = [f"sse-killed{number}" for number in range(4)]
    sent = [event["eventId"] for permit in permits for event in numbered(permit, range(30))]
    options = {"url": f"{server.url}/graphql", "token": server.token("reader"), "after": "earliest"}
    async with running("follow_sse.mjs", **options, permitIds=permits) as script:
        await script.until("asked")
        writing, breaking = produce(producer, permits, range(30)), break_down(server)
        _, _, got = await asyncio.gather(writing, breaking, collect(script, len(sent)))
    assert sorted(got) == sorted(sent)


async def test_an_event_source_resumes_by_itself(server: ServerProcess, producer: Producer) -> None:
    permits = [f"source-killed{number}" for number in range(4)]
    sent = [event["eventId"] for permit in permits for event in numbered(permit, range(30))]
    # It follows what is new: what is written while it is away comes only because it tells its last id.
    options = {"url": f"{server.url}/graphql", "query": FOLLOW, "variables": {"filter": {"permitIds": permits}}}
    async with running("event_source.mjs", **options, token=server.token("reader")) as script:
        await script.until("open")
        await asyncio.sleep(0.5)  # until it knows where it began, which it tells nobody
        writing, breaking = produce(producer, permits, range(30)), break_down(server)
        _, _, got = await asyncio.gather(writing, breaking, listen(script, len(sent)))
        assert sorted(got) == sorted(sent)
        for permit in permits:
            assert [name for name in got if name.startswith(f"{permit}-")] == [f"{permit}-{n}" for n in range(30)]
        await producer.send(numbered(permits[0], range(30, 31)))
        assert await listen(script, 1) == [f"{permits[0]}-30"]
