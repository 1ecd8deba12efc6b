"""What all servers took of providers' days (C11), in PostgreSQL: no loss of Redis, and no crash, exceeds a quota."""

from datetime import date, timedelta
from typing import Final

from lakefront.adapters.calls.quotas import Meter, Taken, advance
from lakefront.db.database import Database

KEPT: Final = timedelta(days=31)
"""For how long it is known what was used of a day."""

_ROW: Final = """
INSERT INTO lakefront.provider_quotas (tenant_id, provider, city, lane, day, used, quota)
VALUES ($1, $2, $3, $4, $5, 0, $6)
ON CONFLICT (tenant_id, provider, city, lane, day) DO UPDATE SET quota = EXCLUDED.quota, updated_at = now()
RETURNING used, xmax = 0
"""
# Whoever else wants of the same day waits until this transaction ends.

_USED: Final = """
UPDATE lakefront.provider_quotas SET used = $6
WHERE tenant_id = $1 AND provider = $2 AND city = $3 AND lane = $4 AND day = $5
"""
_OLD: Final = """
DELETE FROM lakefront.provider_quotas
WHERE tenant_id = $1 AND provider = $2 AND city = $3 AND lane = $4 AND day < $5
"""


class QuotaLedger:
    """``Ledger`` in ``provider_quotas``: a transaction for each advance, some hundred of a day and server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, meter: Meter, day: date, *, limit: int, wanted: int, back: int = 0) -> Taken:
        """See ``Ledger``. Raises ``Unavailable``."""
        which = (*meter.key, meter.lane)
        async with self._database.transaction(meter.key.tenant) as transaction:
            [(before, fresh)] = await transaction.fetch(_ROW, *which, day, limit)
            used = max(0, before - back)
            granted = advance(limit - used, wanted)
            await transaction.execute(_USED, *which, day, used + granted)
            if fresh:
                await transaction.execute(_OLD, *which, day - KEPT)
        return Taken(granted, used + granted)
