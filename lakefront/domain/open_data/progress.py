"""How imports get on, as events of the log, so that whoever follows them resumes by its cursors (C5, X1).

The row is the truth; its event is appended after the commit, by whoever comes first, with an id of its version: killed
anywhere, it is appended again and is a duplicate. Of several versions in a row the last one is told.
"""

from datetime import datetime
from typing import Any, Final

import orjson

from lakefront.actor import LAKE_MANAGE, system_actor
from lakefront.domain.services import Services
from lakefront.eventlog.events import NewEvent

STREAM: Final = "import-events"
"""The log's stream of imports' progress."""

SCOPE: Final = LAKE_MANAGE
"""Who may follow it."""

_MOST: Final = 200

_UNTOLD: Final = """
SELECT import_id, version, updated_at, trace_id, dataset, city, state, rows_total, rows_read, accepted, duplicates,
  rejected, error_code
FROM lakefront.open_data_imports WHERE tenant_id = $1 AND told < version ORDER BY updated_at LIMIT $2
"""

_TOLD: Final = """
UPDATE lakefront.open_data_imports i SET told = greatest(i.told, t.version)
FROM unnest($2::text[], $3::bigint[]) AS t(import_id, version) WHERE i.tenant_id = $1 AND i.import_id = t.import_id
"""


async def tell(services: Services, tenant: str) -> None:
    """Append what the log does not have of the tenant's imports. Raises ``Unavailable``."""
    async with services.database.transaction(tenant) as transaction:
        rows = await transaction.fetch(_UNTOLD, tenant, _MOST)
    if not rows:
        return
    await services.log.append(system_actor(tenant), STREAM, [_event(row) for row in rows])
    told = ([row["import_id"] for row in rows], [row["version"] for row in rows])
    async with services.database.transaction(tenant) as transaction:
        await transaction.execute(_TOLD, tenant, *told)


def _event(row: Any) -> NewEvent:
    occurred_at: datetime = row["updated_at"]
    payload = {
        "importId": row["import_id"],
        "version": row["version"],
        "dataset": row["dataset"],
        "city": row["city"],
        "state": row["state"],
        "rowsTotal": row["rows_total"],
        "rowsRead": row["rows_read"],
        "accepted": row["accepted"],
        "duplicates": row["duplicates"],
        "rejected": row["rejected"],
        "errorCode": row["error_code"],
    }
    return NewEvent(
        event_id=f"{row['import_id']}:{row['version']}",
        event_type=f"import_{row['state'].lower()}",
        partition_key=row["import_id"],
        occurred_at=occurred_at,
        payload=orjson.dumps(payload, option=orjson.OPT_SORT_KEYS),
        trace_id=row["trace_id"],
    )
