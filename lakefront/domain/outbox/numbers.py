"""How much waits for outside systems, of all tenants together: what metrics show and alerts look at (C13)."""

from typing import Final

import msgspec

from lakefront.db.database import Database

_MEASURE: Final = """
SELECT json_build_object(
  'jobs', (SELECT coalesce(json_agg(each), '[]') FROM (
    SELECT provider, count(*) AS waiting,
      coalesce(extract(epoch FROM now() - min(round_at) FILTER (WHERE round_at <= now())), 0)::float8 AS oldest
    FROM lakefront.outbox WHERE due_at IS NOT NULL AND state <> 'DEAD' GROUP BY provider) each),
  'letters', (SELECT coalesce(json_agg(each), '[]') FROM (
    SELECT provider, uncertain, count(*) AS waiting, extract(epoch FROM now() - min(died_at))::float8 AS oldest
    FROM lakefront.dead_letters WHERE state = 'WAITING' GROUP BY provider, uncertain) each))
"""


class Jobs(msgspec.Struct, frozen=True):
    """Jobs of a provider that are not done; ``oldest``: seconds that the oldest has been due, or under way."""

    provider: str
    waiting: int
    oldest: float


class Letters(msgspec.Struct, frozen=True):
    """Dead letters of a provider that nobody decided on; ``oldest``: seconds since the first of them died."""

    provider: str
    uncertain: bool
    waiting: int
    oldest: float


class Numbers(msgspec.Struct, frozen=True):
    """By provider; those of which nothing waits are left out."""

    jobs: list[Jobs]
    letters: list[Letters]


async def measure(provisioner: Database) -> Numbers:
    """What waits now. Asked under the role that sees ids and times of all tenants. Raises ``Unavailable``."""
    return msgspec.json.decode(await provisioner.text(_MEASURE), type=Numbers)
