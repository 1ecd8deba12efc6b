"""What one server process knows of one integration: the way to it, its breaker, its bulkhead, its retries."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from lakefront.adapters.calls.breaker import Breaker
from lakefront.adapters.calls.bulkhead import Bulkhead
from lakefront.adapters.calls.connections import Origin
from lakefront.adapters.calls.exchange import Request
from lakefront.adapters.calls.policy import Policy
from lakefront.adapters.calls.retry_budget import RetryBudget
from lakefront.adapters.endpoint import Endpoint, Key, checked_base_url

MOST_LINES: Final = 10_000
"""Integrations that a process remembers; past that the one that was used longest ago is forgotten."""

_PORTS: Final = {"http": 80, "https": 443}


class Line:
    """The line to one endpoint, as it was at one version: a changed row begins anew."""

    def __init__(self, endpoint: Endpoint, policy: Policy, *, loopback: bool) -> None:
        """Raises ``ValidationError`` for a base URL that may not be called."""
        parts = urlsplit(checked_base_url(endpoint.base_url, loopback=loopback))
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._path = parts.path
        self.host = parts.netloc
        """As the header Host has it: an IPv6 address in brackets."""
        self.version = endpoint.version
        self.breaker = Breaker(policy)
        self.bulkhead = Bulkhead(policy.at_once, waiting=policy.waiting, patience=policy.bulkhead_patience)
        self.budget = RetryBudget(policy.retry_ratio)
        self.denied = 0
        """How many calls in a row were refused for their credentials."""
        self._hushed: dict[str, float] = {}

    def origin(self, *, fresh: bool) -> Origin:
        """Whose connections a request takes."""
        return Origin(self._scheme, self._host, self._port, fresh)

    def target(self, request: Request) -> bytes:
        """The path and query that are sent."""
        query = urlencode(request.query, quote_via=quote)
        return f"{self._path}{request.path}{'?' if query else ''}{query}".encode("ascii")

    def hush(self, lane: str, seconds: float) -> None:
        """The provider wants to hear nothing more by the key ``lane`` for so long."""
        self._hushed[lane] = max(self._hushed.get(lane, 0.0), time.monotonic() + seconds)

    def hushed(self, lane: str) -> float:
        """For how many seconds it wants to hear nothing."""
        return max(0.0, self._hushed[lane] - time.monotonic()) if lane in self._hushed else 0.0


class Lines:
    """All lines of a server process."""

    def __init__(self, policy: Policy, *, loopback: bool) -> None:
        self._policy = policy
        self._loopback = loopback
        self._lines: OrderedDict[Key, Line] = OrderedDict()

    def to(self, endpoint: Endpoint) -> Line:
        """The line to ``endpoint``; raises ``ValidationError`` for a base URL that may not be called."""
        key = endpoint.key
        line = self._lines.get(key)
        if line is None or line.version != endpoint.version:
            line = self._lines[key] = Line(endpoint, self._policy, loopback=self._loopback)
            if len(self._lines) > MOST_LINES:
                self._lines.popitem(last=False)
        self._lines.move_to_end(key)
        return line

    def __iter__(self) -> Iterator[tuple[Key, Line]]:
        """All that are remembered."""
        yield from self._lines.items()
