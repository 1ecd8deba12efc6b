"""What every outside system is: its routes, its limits, and how one gets in."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from lakefront.simulator.answers import as_json
from lakefront.simulator.city import City
from lakefront.simulator.limits import Exceeded

SUSPENDED: Final = "simulated-suspended-key"
"""A key that every system knows and refuses: 403 where a wrong one is 401."""


@dataclass(frozen=True, slots=True)
class Door:
    """How an adapter reaches a system: what a row of ``integrations`` says. ``path`` comes after the system's own."""

    api_version: str
    credentials: Mapping[str, str] = field(repr=False)
    city: str = ""
    path: str = ""


class System:
    """One outside system. Its routes are below ``/<name>``, so that a base URL is that, and a door's path."""

    name: ClassVar[str]
    """The provider's name, as in ``integrations``."""
    title: ClassVar[str]
    limits: ClassVar[Mapping[str, str]] = {}
    """Limits by name, unless the simulator is told others; the name is the system's, or a part's."""

    def __init__(self, city: City) -> None:
        self.city = city

    def routes(self) -> Sequence[BaseRoute]:
        """What it answers, below its own path."""
        raise NotImplementedError

    def doors(self) -> Sequence[Door]:
        """The ways in, today's form first, each with credentials that hold."""
        raise NotImplementedError

    def caller(self, request: Request) -> str:
        """By what a caller is counted: its key where it sends one, else its address."""
        return request.client.host if request.client else ""

    def limit(self, request: Request) -> str:
        """The name under which the request is counted; ``""`` for one that is not."""
        return self.name

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """How the system tells that a limit is reached; ``Retry-After`` is added to it."""
        return as_json({"message": f"Too many requests: at most {exceeded.rate.calls} a {exceeded.rate.per}."}, 429)

    def shows(self, presented: str | None, keys: Collection[str]) -> bool:
        """Whether what a caller presents is one of the keys."""
        return presented is not None and any(hmac.compare_digest(presented.encode(), key.encode()) for key in keys)


def waiting(response: Response, exceeded: Exceeded) -> Response:
    """The refusal, with the ``Retry-After`` that goes with it."""
    response.headers["retry-after"] = str(seconds(exceeded.wait))
    return response


def seconds(wait: float) -> int:
    """Whole seconds of a ``Retry-After``: never too few."""
    return max(1, ceil(wait))
