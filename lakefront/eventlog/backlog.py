"""Whose log has something for a reader: one statement, however many tenants there are."""

from typing import Final, NamedTuple

import msgspec

from lakefront.db.database import Database

_TENANTS: Final = """
SELECT coalesce(json_object_agg(tenant_id, mark), '{}') FROM (
  SELECT h.tenant_id, sum(h.next + coalesce(c.next, 0)) AS mark FROM lakefront.heads h
  LEFT JOIN lakefront.consumer_offsets c
    ON c.tenant_id = h.tenant_id AND c.consumer = $1 AND c.stream = h.stream AND c.shard = h.shard
  WHERE h.next > coalesce(c.next, 0) AND ($2::text IS NULL OR h.stream = $2) GROUP BY h.tenant_id) q
"""


_SIZE: Final = """
SELECT json_build_array(count(DISTINCT h.tenant_id), coalesce(sum(h.next - coalesce(c.next, 0)), 0))
FROM lakefront.heads h LEFT JOIN lakefront.consumer_offsets c
  ON c.tenant_id = h.tenant_id AND c.consumer = $1 AND c.stream = h.stream AND c.shard = h.shard
WHERE h.next > coalesce(c.next, 0) AND h.stream = $2
"""


class Size(NamedTuple):
    """How many tenants have events that a reader has not taken in, and how many events these are."""

    tenants: int
    events: int


class Backlog:
    """How far the readers of all tenants' logs are; asked under the role that sees all tenants (the provisioner's).

    It sees numbers alone: events are read tenant by tenant, under the application's role. Whether a tenant is suspended
    does not matter here: what was acknowledged is projected and sealed.
    """

    def __init__(self, provisioner: Database) -> None:
        self._provisioner = provisioner

    async def tenants(self, consumer: str, stream: str | None = None) -> dict[str, int]:
        """The tenants with events (of ``stream``, if given) that ``consumer`` has not taken in.

        Each with a mark that is another as soon as an event of these is appended or taken in. Raises ``Unavailable``.
        """
        found: dict[str, int] = msgspec.json.decode(await self._provisioner.text(_TENANTS, consumer, stream))
        return found

    async def size(self, consumer: str, stream: str) -> Size:
        """What ``consumer`` has before it of ``stream``, of all tenants together. Raises ``Unavailable``."""
        return msgspec.json.decode(await self._provisioner.text(_SIZE, consumer, stream), type=Size)
