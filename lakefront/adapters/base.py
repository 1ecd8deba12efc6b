"""What every adapter is: data about a provider, and methods that make requests of it (C1).

A subclass is one screen: its class attributes say what is special about the provider, its methods validate what they
are given, make a ``Request``, and hand ``Calls`` a function that normalises the ``Response`` to a DTO.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from lakefront import tracing
from lakefront.adapters.calls import Calls, Request, Response
from lakefront.adapters.endpoint import Endpoint
from lakefront.errors import UpstreamDenied, ValidationError

T = TypeVar("T")


class Adapter(ABC):
    """One outside system, as one tenant reaches it; cheap to make, holds nothing but its endpoint."""

    provider: ClassVar[str]
    """Its name: that of its file, of the rows in ``integrations``, and in metrics and spans."""
    title: ClassVar[str]
    """What people call it."""
    default_base_url: ClassVar[str]
    api_versions: ClassVar[tuple[str, ...]]
    """The forms of its API that are spoken; the first is the default."""
    credentials: ClassVar[Mapping[str, str]] = {}
    """Name to what it is, as ``add-city`` asks for it. All of them are secret."""
    optional_credentials: ClassVar[frozenset[str]] = frozenset()
    """Those of them that may be left out."""
    quota_daily: ClassVar[int | None] = None
    """Requests a UTC day unless the row says otherwise."""
    rate: ClassVar[str | None] = None
    """Requests in a time, ``10/second``: held through Redis by all servers together."""
    city_bound: ClassVar[bool] = False
    """Whether it is of a city, so that each city has a row of its own."""
    tells: ClassVar[frozenset[str]] = frozenset()
    """Members of its answers whose codes may be logged; of all others the log has the form alone."""

    traced: ClassVar[bool] = False
    """Whether it is told our trace (``traceparent``): where it is the tenant's own, whose traces may join ours. Others
    could tell by it which requests belong together."""

    def __init__(self, endpoint: Endpoint, calls: Calls) -> None:
        """Raises ``ValidationError`` where the endpoint is another provider's, or of a version that is not spoken."""
        if endpoint.provider != self.provider:
            raise ValidationError(f"This is the adapter of {self.provider}, not of {endpoint.provider}.")
        if endpoint.api_version not in self.api_versions:
            known = ", ".join(self.api_versions)
            raise ValidationError(f"{self.title} is spoken in the versions {known}. Set api_version to one of them.")
        self.endpoint = endpoint
        self._calls = calls

    @abstractmethod
    async def test(self) -> None:
        """A harmless call, to see whether base URL and credentials hold; raises as a call does."""

    def credential(self, name: str) -> str:
        """The credential; raises ``UpstreamDenied`` where the row lacks it."""
        if value := self.endpoint.credentials.get(name):
            return value
        raise UpstreamDenied(
            f"{self.title} cannot be called without the credential {name} ({self.credentials[name]}): set it with "
            "upsertIntegration."
        )

    async def _call(
        self, request: Request, read: Callable[[Response], T], *, trace_id: str = "", idempotent: bool = True
    ) -> T:
        """See ``Calls.call``; without a ``trace_id`` the call has one of its own."""
        return await self._calls.call(
            self, request, read, idempotent=idempotent, trace_id=trace_id or tracing.new_trace_id()
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r})"
