"""What is counted under which limit: users and keys, addresses, the lake's paths (C11), fields and costs (L16)."""

from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem, parse

from lakefront.settings import Settings

LAKE_PATHS: Final = ("/api/v1/lake/", "/lake/")
"""Where the paths of the lake begin: moving files takes many requests, so they count by the hour."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit with the name under which clients and Redis know it.

    Requests are counted one by one in a moving window. Costs are taken from a ``bucket`` that holds the item's amount
    and fills again, evenly, over its time: of amounts in thousands, each at its time, no window could be kept.
    """

    name: str
    item: RateLimitItem
    bucket: bool = False

    @classmethod
    def of(cls, name: str, rate: str) -> "Policy":
        """The policy ``name`` with a ``rate`` like ``60/minute``."""
        return cls(name, parse(rate))


class Policies:
    """The policies that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self.user = Policy.of("user", settings.rate_limit_user)
        self.address = Policy.of("address", settings.rate_limit_anonymous)
        self.lake = Policy.of("lake", settings.rate_limit_lake)
        self.cost = Policy("cost", parse(settings.rate_limit_cost), bucket=True)

    def of_path(self, path: str) -> Policy:
        """The policy by which whoever signed in is counted at ``path``."""
        return self.lake if path.startswith(LAKE_PATHS) else self.user
