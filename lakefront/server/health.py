"""``/health`` and ``/ready`` (L13): PostgreSQL is critical, Redis is not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from redis.exceptions import RedisError

from lakefront.errors import LakefrontError

PATIENCE = 2.0
"""Seconds that a part may take to answer; a prober waits three (source document)."""

Check = Callable[[], Awaitable[Any]]


class Dependency(msgspec.Struct):
    """One part and whether it answers; ``latency_ms`` in milliseconds."""

    status: Literal["up", "down"]
    critical: bool
    latency_ms: float | None = None


class Readiness(msgspec.Struct):
    """``ready``: all parts answer; ``degraded``: an uncritical one does not; ``unavailable``: send no requests."""

    status: Literal["ready", "degraded", "unavailable"]
    dependencies: dict[str, Dependency]


async def readiness(critical: dict[str, Check], optional: dict[str, Check]) -> Readiness:
    """Ask all parts at once."""
    checks = [(name, check, True) for name, check in critical.items()]
    checks += [(name, check, False) for name, check in optional.items()]
    found = await asyncio.gather(*(_ask(check, is_critical=needed) for _, check, needed in checks))
    parts = {name: part for (name, _, _), part in zip(checks, found, strict=True)}
    down = [part for part in parts.values() if part.status == "down"]
    if any(part.critical for part in down):
        return Readiness("unavailable", parts)
    return Readiness("degraded" if down else "ready", parts)


async def _ask(check: Check, *, is_critical: bool) -> Dependency:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except (LakefrontError, RedisError, OSError, TimeoutError):
        return Dependency("down", is_critical)
    return Dependency("up", is_critical, round((time.perf_counter() - started) * 1000, 1))
