"""How clients are told where they stand: ``X-RateLimit-*`` as the source document has them, and the IETF's fields.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/: structured fields, in which a policy has a
quota ``q`` and a window of ``w`` seconds, and its state ``r`` that remain until more do in ``t`` seconds.
"""

import time
from collections.abc import Sequence
from math import ceil
from typing import Final

from lakefront.server.limits.rooms import Standing

NAMES: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy")
"""The headers that tell it, as other origins' pages must be allowed to read them."""


def rate_limit_headers(standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """The headers for ``standings``, of which the tightest stands in ``X-RateLimit-*``; none for none.

    Those tell of requests, and of costs only where these are why a request is refused.
    """
    pairs = (line.partition(b": ") for line in rate_limit_lines(standings).splitlines())
    return [(name, value) for name, _, value in pairs]


def rate_limit_lines(standings: Sequence[Standing]) -> bytes:
    """The same as they are sent."""
    if not standings:
        return b""
    tightest = standings[0] if len(standings) == 1 else min(standings, key=_tightness)
    return _LINES % (
        tightest.policy.limit,
        tightest.remaining,
        ceil(time.time() + tightest.reset),
        b", ".join([it.policy.quota for it in standings]),
        b", ".join([b"%b%d;t=%d" % (it.policy.state, it.remaining, ceil(it.reset)) for it in standings]),
    )


_LINES: Final = b"".join(
    [
        b"x-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n",
        b"ratelimit-policy: %b\r\nratelimit: %b\r\n",
    ]
)


def _tightness(standing: Standing) -> tuple[bool, bool, int]:
    return standing.wait is None, standing.policy.bucket, standing.remaining
