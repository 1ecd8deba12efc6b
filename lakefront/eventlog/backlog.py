"""Whose log has something for a reader: one statement, however many tenants there are."""

from typing import Final

import msgspec

from lakefront.db.database import Database

_TENANTS: Final = """
SELECT coalesce(json_agg(DISTINCT h.tenant_id), '[]') FROM lakefront.heads h
LEFT JOIN lakefront.consumer_offsets c
  ON c.tenant_id = h.tenant_id AND c.consumer = $1 AND c.stream = h.stream AND c.shard = h.shard
WHERE h.next > coalesce(c.next, 0) AND ($2::text IS NULL OR h.stream = $2)
"""


class Backlog:
    """How far the readers of all tenants' logs are; asked under the role that sees all tenants (the provisioner's).

    It sees numbers alone: events are read tenant by tenant, under the application's role. Whether a tenant is suspended
    does not matter here: what was acknowledged is projected and sealed.
    """

    def __init__(self, provisioner: Database) -> None:
        self._provisioner = provisioner

    async def tenants(self, consumer: str, stream: str | None = None) -> list[str]:
        """The tenants with events (of ``stream``, if given) that ``consumer`` has not taken in, in order of their ids.

        Raises ``Unavailable``.
        """
        found: list[str] = msgspec.json.decode(await self._provisioner.text(_TENANTS, consumer, stream))
        return found
