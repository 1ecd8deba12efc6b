"""Rows that may be read in a second by who has no app token: held by all servers together, through Redis (C5)."""

import asyncio
from typing import Final

from lakefront.adapters.providers.socrata import ROWS_A_SECOND, Socrata
from lakefront.domain.quotas import Quotas
from lakefront.errors import RateLimited

_BUCKET: Final = "open-data-rows"


async def wait_for_rows(quotas: Quotas, adapter: Socrata, rows: int) -> None:
    """Return when so many may be read: a page takes all of it at once, and the next waits until that is paid off.

    The publisher counts by address: all tenants that have no token share one allowance.
    """
    waiting = not adapter.has_token
    while waiting:
        try:
            await quotas.take(_BUCKET, rows, rate=ROWS_A_SECOND)
            waiting = False
        except RateLimited as early:
            await asyncio.sleep(early.retry_after or 1.0)
