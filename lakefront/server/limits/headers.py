"""How clients are told where they stand: ``X-RateLimit-*`` as the source document has them, and the IETF's fields.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/: structured fields, in which a policy has a
quota ``q`` and a window of ``w`` seconds, and its state ``r`` that remain until more do in ``t`` seconds.
"""

import time
from collections.abc import Sequence
from math import ceil
from typing import Final

from lakefront.server.limits.windows import Standing

NAMES: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy")
"""The headers that tell it, as other origins' pages must be allowed to read them."""


def rate_limit_headers(standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """The headers for ``standings``, of which the tightest stands in ``X-RateLimit-*``; none for none.

    Those tell of requests, and of costs only where these are why a request is refused.
    """
    if not standings:
        return []
    tightest = min(standings, key=lambda it: (it.wait is None, it.policy.bucket, it.remaining))
    policies = ", ".join(
        f'"{it.policy.name}";q={it.policy.item.amount}{_unit(it)};w={it.policy.item.get_expiry()}' for it in standings
    )
    states = ", ".join(f'"{it.policy.name}";r={it.remaining};t={ceil(it.reset)}' for it in standings)
    return [
        (b"x-ratelimit-limit", b"%d" % tightest.policy.item.amount),
        (b"x-ratelimit-remaining", b"%d" % tightest.remaining),
        (b"x-ratelimit-reset", b"%d" % ceil(time.time() + tightest.reset)),
        (b"ratelimit-policy", policies.encode("latin-1")),
        (b"ratelimit", states.encode("latin-1")),
    ]


def _unit(standing: Standing) -> str:
    """The quota's unit, where it is not requests; the registry of units has none for costs."""
    return ';qu="cost"' if standing.policy.bucket else ""
