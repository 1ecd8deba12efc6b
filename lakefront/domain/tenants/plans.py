"""What each plan allows of a UTC day (T5): declared here, copied to a tenant's subscription when it gets the plan."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_GIB: Final = 2**30


class Plan(NamedTuple):
    """A plan's quotas: pipelines, events and requests of a UTC day, and bytes stored in the lake at any time."""

    daily_pipelines: int
    daily_events: int
    daily_requests: int
    storage_bytes: int


PLANS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "FREE": Plan(3, 100_000, 10_000, 1 * _GIB),
        "BASIC": Plan(10, 1_000_000, 100_000, 10 * _GIB),
        "PROFESSIONAL": Plan(25, 10_000_000, 1_000_000, 100 * _GIB),
        "ENTERPRISE": Plan(100, 100_000_000, 10_000_000, 1024 * _GIB),
    }
)
"""Plan -> quotas. The pipelines are the document's (seed 002); the rest grows tenfold a step: a FREE tenant can try
everything, and a BASIC one loads the city's permits of a year in a day. A subscription may have other quotas than its
plan, or none (NULL), as the city's has: the tenant of the installation itself is bound by its streams' rate (P6)."""
