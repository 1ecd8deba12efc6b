"""Forgetting those who asked to be told of their request: it has ended, and they were told (C8, ADR 35).

The relay notes where the log has a request's end. Once the rules' reader is past it, all notices of it are there; once
none of them can be sent any more, nobody needs to know how the reporter is reached. Rows say all of it, so that every
server may do this at any time, and be killed.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

import msgspec

from lakefront.domain.notices.planning import CONSUMER
from lakefront.domain.service_requests import STREAM
from lakefront.domain.services import Services
from lakefront.errors import Unavailable

EVERY: Final = 60.0
"""Seconds between two looks."""

LONGEST: Final = timedelta(days=30)
"""How long after the end a notice is waited for that could not be sent yet."""

_TENANTS: Final = """
SELECT coalesce(json_agg(DISTINCT tenant_id), '[]') FROM lakefront.service_request_callers WHERE ended_at IS NOT NULL
"""

# Of notices to a reporter the recipient is known once they are sent; those to fixed addresses have it from the first.
_FORGET: Final = """
DELETE FROM lakefront.service_request_callers c WHERE tenant_id = $1 AND ended_at IS NOT NULL AND (
  ended_at < now() - $4::interval
  OR EXISTS (
    SELECT FROM lakefront.consumer_offsets o
    WHERE o.tenant_id = $1 AND o.consumer = $2 AND o.stream = $3 AND o.shard = ended_shard AND o.next > ended_offset)
  AND NOT EXISTS (
    SELECT FROM lakefront.notices n
    WHERE n.tenant_id = $1 AND n.about = c.request_id AND n.stream = $3 AND n.channel IN ('MAIL', 'SMS')
      AND n.recipient IS NULL AND n.state IN ('QUEUED', 'FAILED', 'UNCERTAIN')))
"""

_log = logging.getLogger(__name__)


class Reporters:
    """Every server has one."""

    def __init__(self, services: Services) -> None:
        """``services``: what the others work with, too."""
        self._services = services

    async def run(self) -> None:
        """Forget for ever; what fails is done by the next look."""
        while True:
            try:
                await self.step()
            except Unavailable:
                _log.info("reporters who were told are not forgotten: PostgreSQL is away")
            except Exception:  # noqa: BLE001 - the worker must outlive it
                _log.exception("forgetting reporters who were told failed")
            await asyncio.sleep(EVERY)

    async def step(self) -> None:
        """Forget all those, of every tenant, who were told of the end. Raises ``Unavailable``."""
        for tenant in msgspec.json.decode(await self._services.provisioner.text(_TENANTS), type=list[str]):
            async with self._services.database.transaction(tenant) as transaction:
                await transaction.execute(_FORGET, tenant, CONSUMER, STREAM, LONGEST)
