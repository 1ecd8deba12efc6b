"""The scripts' runner as the domain knows it; the adapters, a floor below, use it as well."""

from lakefront.redis_scripts import AHEAD, AWAY_PAUSE, FRESH, MOMENT, RedisScript

__all__ = ["AHEAD", "AWAY_PAUSE", "FRESH", "MOMENT", "RedisScript"]
