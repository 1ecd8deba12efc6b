"""What the life of a call costs over a bare httpx call: CPU per call, beside each other, with the ratio (C1).

``python -m bench.adapters``: a server of a few lines in a process of its own answers one geocode. All sides send the
same request and read the same answer; rounds alternate, so that a busy machine slows all. Goal: under 0.3 ms more.
"""

import asyncio
import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import httpx
import orjson
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.providers.geoclient import Geoclient
from lakefront.db.embedded import EmbeddedRedis

ROUNDS: Final = 25
CALLS: Final = 200
"""Of one side in a round."""

GOAL: Final = 0.3
"""Milliseconds of CPU."""

ANSWER: Final = orjson.dumps(
    {
        "status": "OK",
        "input": "260 Broadway",
        "results": [
            {
                "level": "0",
                "status": "EXACT_MATCH",
                "response": {
                    "houseNumber": "260",
                    "firstStreetNameNormalized": "BROADWAY",
                    "firstBoroughName": "MANHATTAN",
                    "boroughCode1In": "1",
                    "zipCode": "10007",
                    "latitude": 40.713,
                    "longitude": -74.0066,
                    **{f"attribute{number}": "x" * 12 for number in range(60)},
                },
            }
        ],
    }
)

Ask = Callable[[], Awaitable[Any]]


class _Answers(asyncio.Protocol):
    """Answers every request alike, as soon as its head is whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is, but does not inherit it
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
        self._answer = head.encode() + ANSWER

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self._transport.write(self._answer)


def _serve(told: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Answers, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def main() -> None:
    """Print the table."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(sending,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{await asyncio.to_thread(receiving.recv)}"
    try:
        with tempfile.TemporaryDirectory(prefix="lf-") as folder:
            redis = EmbeddedRedis(Path(folder))
            await redis.start()
            try:
                async with Redis.from_url(redis.url) as client:
                    _print(await _measure(await _sides(url, client)))
            finally:
                await redis.stop()
    finally:
        server.terminate()
        server.join()


async def _sides(url: str, redis: Redis) -> dict[str, Ask]:
    """What is measured, by its name; the first is the floor."""
    bare = httpx.AsyncClient(timeout=10.0)
    headers = {"Ocp-Apim-Subscription-Key": "key"}
    target = f"{url}/geoclient/v2/search"

    async def floor() -> Any:
        return (await bare.get(target, params={"input": "260 Broadway"}, headers=headers)).json()

    def life(quota: int | None, rate: str | None) -> Ask:
        calls = Calls(redis, loopback=True)
        kind = type("Rated", (Geoclient,), {"rate": rate})
        adapter = kind(Endpoint("city", "geoclient", "nyc", url, "v2", {"key": "key"}, quota, 1), calls)
        return lambda: adapter.geocode("260 Broadway")

    return {
        "bare httpx, JSON parsed": floor,
        "whole life, to a DTO": life(None, None),
        "… with a quota": life(10_000_000, None),
        "… with quota and rate": life(10_000_000, "90000/second"),
    }


async def _measure(sides: dict[str, Ask]) -> dict[str, list[float]]:
    """Milliseconds of this process's CPU per call, by side and round."""
    for ask in sides.values():
        for _ in range(50):
            await ask()
    gc.collect()
    gc.freeze()
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, ask in sides.items():
            started = time.process_time()
            for _ in range(CALLS):
                await ask()
            found[name].append((time.process_time() - started) / CALLS * 1000)
    return found


def _print(found: dict[str, list[float]]) -> None:
    table = Table("call", "CPU ms", "over httpx", "ratio", title="The life of a call")
    floor, *_ = found.values()
    for name, times in found.items():
        # Each round's own floor: what slowed the one slowed the other.
        over = statistics.median(mine - theirs for mine, theirs in zip(times, floor, strict=True))
        ratio = statistics.median(mine / theirs for mine, theirs in zip(times, floor, strict=True))
        verdict = "" if times is floor else " ok" if over < GOAL else f" past the goal of {GOAL}"
        table.add_row(name, f"{statistics.median(times):.3f}", f"{over:+.3f}{verdict}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    uvloop.run(main())
