"""What is counted under which limit: users and keys, addresses, the lake's paths (C11), fields and costs (L16)."""

from typing import Final

from limits import RateLimitItem, parse

from lakefront.redis_scripts import AHEAD
from lakefront.settings import Settings

LAKE_PATHS: Final = ("/api/v1/lake/", "/lake/")
"""Where the paths of the lake begin: moving files takes many requests, so they count by the hour."""


class Policy:
    """A limit with the name under which clients and Redis know it; immutable.

    Requests are counted one by one in a moving window. Costs are taken from a ``bucket`` that holds the item's amount
    and fills again, evenly, over its time: of amounts in thousands, each at its time, no window could be kept.
    """

    __slots__ = ("ahead", "bucket", "each", "item", "limit", "name", "plenty", "quota", "seconds", "state")

    def __init__(self, name: str, item: RateLimitItem, bucket: bool = False) -> None:
        self.name = name
        self.item = item
        self.bucket = bucket
        self.limit = item.amount
        self.seconds: int = item.get_expiry()
        self.each = self.seconds / self.limit if bucket else 0.0
        """Seconds until what was taken of a bucket is back in it."""
        self.ahead = self.limit // AHEAD
        """What a process may have let in that Redis has not heard of."""
        self.plenty = (self.limit + 1) // 2
        """What must be left for anything to be let in before Redis hears of it."""
        unit = b';qu="cost"' if bucket else b""  # the registry of units has none for costs
        self.quota = b'"%b";q=%d%b;w=%d' % (name.encode("latin-1"), self.limit, unit, self.seconds)
        self.state = b'"%b";r=' % name.encode("latin-1")
        """The policy, and how the state of somebody in it begins, as ``headers`` tells them."""

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
