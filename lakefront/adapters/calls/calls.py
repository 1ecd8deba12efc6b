"""A call of an outside system, from the breaker to the DTO (C1)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from redis.asyncio import Redis

from lakefront.adapters.calls.exchange import Request, Response
from lakefront.adapters.calls.policy import Policy
from lakefront.errors import Unavailable

if TYPE_CHECKING:
    from lakefront.adapters.base import Adapter

T = TypeVar("T")


class Calls:
    """What all calls of a server process share: connections, breakers, bulkheads, quotas, metrics."""

    def __init__(self, redis: "Redis | None" = None, *, policy: Policy | None = None, loopback: bool = False) -> None:
        """``redis`` None: only this process counts. ``loopback``: this machine itself may be called (simulator)."""
        self._redis = redis
        self._policy = policy or Policy()
        self._loopback = loopback

    async def call(
        self, adapter: "Adapter", request: Request, read: Callable[[Response], T], *, idempotent: bool, trace_id: str
    ) -> T:
        """What ``read`` makes of the answer to ``request``.

        Raises ``UpstreamError``, ``UpstreamDenied``, ``UpstreamRejected``, ``RateLimited``, ``Unavailable`` while the
        breaker is open or the bulkhead full, and where not ``idempotent`` ``UpstreamUncertain``. Each names the
        provider and the next step, and holds neither credentials nor what the provider said.
        """
        raise Unavailable(f"{adapter.title} is not called yet.")

    async def close(self) -> None:
        """Close the connections."""
