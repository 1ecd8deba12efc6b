"""What becomes of those who wait for Redis when it fails in a way that nobody foresaw."""

import asyncio
import contextlib
from typing import Any

from redis.asyncio import Redis

from lakefront.server.limits.policies import Policy
from lakefront.server.limits.windows import Windows


class Broken(Redis):
    """A connection that was lost while it was written to: uvloop says so with a bare RuntimeError."""

    async def evalsha(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


async def test_nobody_waits_for_ever() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    windows = Windows(Broken())
    async with asyncio.timeout(5):
        standing = await windows.take(Policy.of("user", "60/minute"), "city/ada")
    assert standing.wait is None
    with contextlib.suppress(RuntimeError):
        await windows.close()
    asyncio.get_running_loop().set_exception_handler(None)
