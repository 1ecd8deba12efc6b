"""How often somebody may ask (C11): moving windows of the library ``limits``, shared by all servers through Redis.

``policies`` says what is counted under which limit, ``windows`` counts, ``meter`` is what the doors hold for one
request, ``headers`` tells the client. ADR 0020 has the reasons.
"""

from lakefront.server.limits.meter import Meter, RateLimits, meter_of

__all__ = ["Meter", "RateLimits", "meter_of"]
