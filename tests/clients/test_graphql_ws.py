"""graphql-ws, the npm client of most web pages: asks, follows, and goes on after the server was killed (X1)."""

import asyncio
from typing import Any

from tests.clients.node import Script, running
from tests.clients.producer import Producer, numbered
from tests.process import ServerProcess


async def collect(script: Script, number: int) -> list[str]:
    """The ids of the next events, in the order in which the client got them."""
    return [(await event(script))["event"]["eventId"] for _ in range(number)]


async def event(script: Script) -> Any:
    return await script.until("event")


async def test_it_asks_and_follows(server: ServerProcess, producer: Producer) -> None:
    await producer.send(numbered("asked", range(3)))
    token = server.token("reader")
    async with running("follow.mjs", url=server.ws_url, token=token, after="earliest", permitIds=["asked"]) as script:
        asked: Any = await script.until("asked")
        assert asked["data"]["permits"]["totalCount"] >= 1
        first = await event(script)
        assert first["event"] == {"eventId": "asked-0", "permitId": "asked"}
        assert first["permit"]["permitId"] == "asked"
        assert await collect(script, 2) == ["asked-1", "asked-2"]
        await producer.send(numbered("other", range(1)) + numbered("asked", range(3, 4)))
        live = await event(script)
        assert live["event"]["eventId"] == "asked-3"
        assert live["permit"]["status"] == "status 3", "the permit is read after the event is in it"


async def test_a_token_that_does_not_hold_ends_it_at_once(server: ServerProcess) -> None:
    async with running("follow.mjs", url=server.ws_url, token="nonsense", after=None) as script:
        failed: Any = await script.until("failed")
        assert failed["code"] == 4403
        assert failed["reason"].startswith("Forbidden")


async def test_killed_and_restarted_nothing_is_lost_or_comes_twice(server: ServerProcess, producer: Producer) -> None:
    permits = [f"killed{number}" for number in range(4)]  # on both shards, most likely
    sent = [event["eventId"] for permit in permits for event in numbered(permit, range(50))]

    async def produce() -> None:
        for start in range(0, 50, 2):
            for permit in permits:
                await producer.send(numbered(permit, range(start, start + 2)))

    async def break_down() -> None:
        for _ in range(2):
            await asyncio.sleep(0.4)
            server.kill()
            await server.wait()
            await server.start()

    token = server.token("reader")
    async with running("follow.mjs", url=server.ws_url, token=token, after="earliest", permitIds=permits) as script:
        await script.until("asked")
        _, _, got = await asyncio.gather(produce(), break_down(), collect(script, len(sent)))
        assert sorted(got) == sorted(sent)
        for permit in permits:
            in_order = [name for name in got if name.startswith(f"{permit}-")]
            assert in_order == [f"{permit}-{number}" for number in range(50)]
        # Were anything twice, it would come before what is new.
        await producer.send(numbered("killed0", range(50, 51)))
        assert await collect(script, 1) == ["killed0-50"]
