"""What ended long ago is forgotten, so that no table grows for ever: notices, alerts, imports (C5, C8, C13).

Their events stay in the log. Every server may do it, at any time; killed in between, the next look does the rest.
"""

import logging
from typing import Final

from lakefront.domain.services import Services
from lakefront.errors import Unavailable

NOTICES, ALERTS, IMPORTS = 90, 400, 90
"""Days for which what ended is kept: notices name (masked) people, alerts are compared with those of a year ago."""

STEP: Final = 1000
"""Rows of one transaction, so that none is long."""

_NOTICES: Final = f"""
WITH gone AS (
  DELETE FROM lakefront.notices WHERE tenant_id = $1 AND notice_id IN (
    SELECT notice_id FROM lakefront.notices WHERE tenant_id = $1 AND created_at < now() - interval '{NOTICES} days'
      AND ended_at < now() - interval '{NOTICES} days' ORDER BY created_at LIMIT $2) RETURNING 1)
SELECT count(*) FROM gone
"""  # noqa: S608 - constants

_ALERTS: Final = f"""
WITH old AS (
  SELECT alert_id FROM lakefront.alerts a WHERE tenant_id = $1 AND fired_at < now() - interval '{ALERTS} days'
    AND resolved_at < now() - interval '{ALERTS} days' AND NOT EXISTS (SELECT FROM lakefront.alert_changes c
      WHERE c.tenant_id = $1 AND c.alert_id = a.alert_id AND NOT c.published) ORDER BY fired_at LIMIT $2),
changes AS (
  DELETE FROM lakefront.alert_changes WHERE tenant_id = $1 AND alert_id IN (SELECT alert_id FROM old)),
gone AS (DELETE FROM lakefront.alerts WHERE tenant_id = $1 AND alert_id IN (SELECT alert_id FROM old) RETURNING 1)
SELECT count(*) FROM gone
"""  # noqa: S608 - constants

_SIGHTINGS: Final = """
WITH gone AS (
  DELETE FROM lakefront.alert_sightings WHERE tenant_id = $1 AND (metric, provider, city, replica) IN (
    SELECT metric, provider, city, replica FROM lakefront.alert_sightings
    WHERE tenant_id = $1 AND seen_at < now() - interval '1 day' LIMIT $2) RETURNING 1)
SELECT count(*) FROM gone
"""
# Of servers that were killed: they took nothing back.

_IMPORTS: Final = f"""
WITH gone AS (
  DELETE FROM lakefront.open_data_imports WHERE tenant_id = $1 AND import_id IN (
    SELECT import_id FROM lakefront.open_data_imports i WHERE tenant_id = $1 AND told >= version
      AND requested_at < now() - interval '{IMPORTS} days' AND ended_at < now() - interval '{IMPORTS} days'
      AND EXISTS (SELECT FROM lakefront.open_data_imports l WHERE l.tenant_id = $1 AND l.dataset = i.dataset
        AND l.city = i.city AND l.requested_at > i.requested_at) LIMIT $2) RETURNING 1)
SELECT count(*) FROM gone
"""  # noqa: S608 - constants
# The last one of each stays: it says where the next goes on.

_log = logging.getLogger(__name__)


async def forget(services: Services) -> int:
    """Delete what ended long ago, of all tenants; how many rows. Raises ``Unavailable``."""
    count = 0
    for tenant in services.directory.known():
        try:
            for statement in (_NOTICES, _ALERTS, _SIGHTINGS, _IMPORTS):
                count += await _forget(services, tenant, statement)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one tenant's must not keep the others' for ever
            _log.exception("what ended long ago could not be forgotten tenant=%s", tenant)
    return count


async def _forget(services: Services, tenant: str, statement: str) -> int:
    count = 0
    while True:
        async with services.database.transaction(tenant) as transaction:
            [(number,)] = await transaction.fetch(statement, tenant, STEP)
        gone = int(number)
        count += gone
        if gone < STEP:
            return count
