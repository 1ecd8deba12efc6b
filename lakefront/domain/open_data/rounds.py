"""Rounds by the clock: data sets that were imported once are kept up, where the operator wants that (C5)."""

from typing import Final

import msgspec

from lakefront import tracing
from lakefront.actor import system_actor
from lakefront.domain.open_data.datasets import DATA_SETS
from lakefront.domain.open_data.imports import queue
from lakefront.domain.services import Services
from lakefront.errors import Conflict

_DUE: Final = """
SELECT coalesce(json_agg(json_build_array(tenant_id, dataset, city)), '[]') FROM (
  SELECT DISTINCT ON (tenant_id, dataset, city) tenant_id, dataset, city, state, ended_at
  FROM lakefront.open_data_imports ORDER BY tenant_id, dataset, city, requested_at DESC, import_id DESC) latest
WHERE state IN ('DONE', 'FAILED') AND ended_at <= now() - make_interval(secs => $1)
"""


async def queue_due(services: Services, every: float) -> None:
    """Queue an import of each data set whose last one ended ``every`` seconds ago, unless somebody cancelled it.

    Any server may; one import of a data set is under way at a time. Raises ``Unavailable``.
    """
    found = await services.provisioner.text(_DUE, every)
    for tenant, dataset, city in msgspec.json.decode(found, type=list[tuple[str, str, str]]):
        if dataset not in DATA_SETS or not services.directory.serves(tenant):
            continue
        try:
            async with services.database.transaction(tenant) as transaction:
                by, trace_id = system_actor(tenant).subject, tracing.new_trace_id()
                await queue(transaction, tenant, DATA_SETS[dataset], city, None, by=by, trace_id=trace_id)
        except Conflict:
            continue  # another server was first
