"""How many alerts are open, of all tenants: numbers alone."""

from typing import Final

import msgspec

from lakefront.db.database import Database

_OPEN: Final = """
SELECT json_object_agg(level, (SELECT count(*) FROM lakefront.alerts a WHERE a.level = levels.level
  AND state <> 'RESOLVED')) FROM generate_series(1, 3) AS levels (level)
"""


async def open_by_level(provisioner: Database) -> dict[int, int]:
    """Level -> how many are not over; asked under the role that sees all tenants. Raises ``Unavailable``."""
    return msgspec.json.decode(await provisioner.text(_OPEN), type=dict[int, int])
