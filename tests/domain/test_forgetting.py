"""What ended long ago goes; what is open, waits, or says where to go on stays."""

from collections.abc import Iterable

import asyncpg
import pytest

from lakefront.domain import forgetting
from lakefront.domain.services import Services

_NOTICE = """
INSERT INTO lakefront.notices (tenant_id, notice_id, rule_id, rule_name, channel, stream, shard, "offset", event_id,
  event_type, about, state, trace_id, created_at, ended_at)
VALUES ('city', '{id}', 'r', 'r', 'MAIL', 's', 0, 0, 'e', 't', 'a', '{state}', 't', now() - interval '{days} days',
  {ended})
"""
_ALERT = """
INSERT INTO lakefront.alerts (tenant_id, alert_id, dedup_key, rule_id, metric, provider, city, level, summary, state,
  value, threshold, fired_at, resolved_at, updated_at, version)
VALUES ('city', '{id}', 'k', 'r', 'DEAD_LETTERS', '{id}', '', 1, 's', '{state}', 1, 1, now() - interval '{days} days',
  {ended}, now(), 1)
"""
_CHANGE = """
INSERT INTO lakefront.alert_changes (tenant_id, alert_id, version, state, value, changed_at, changed_by, trace_id,
  published)
VALUES ('city', '{id}', 1, 'FIRING', 1, now(), 'lakefront', 't', {published})
"""
_SIGHTING = """
INSERT INTO lakefront.alert_sightings (tenant_id, metric, provider, city, replica, value, seen_at)
VALUES ('city', 'BREAKER_OPEN_SECONDS', 'p', '', '{id}', 1, now() - interval '{hours} hours')
"""
_IMPORT = """
INSERT INTO lakefront.open_data_imports (tenant_id, import_id, dataset, city, state, place, requested_at, requested_by,
  ended_at, trace_id, told)
VALUES ('city', '{id}', '43nn-pn8j', '{city}', 'DONE', '{{}}', now() - interval '{days} days', 'x',
  now() - interval '{days} days', 't', {told})
"""


def ago(days: int) -> str:
    return f"now() - interval '{days} days'"


async def put(services: Services, statements: Iterable[str]) -> None:
    """As the operator of the database."""
    connection = await asyncpg.connect(services.database.dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def left(services: Services, table: str, column: str) -> list[str]:
    async with services.database.transaction("city") as transaction:
        rows = await transaction.fetch(f"SELECT {column} FROM lakefront.{table} ORDER BY 1")
    return [value for (value,) in rows]


async def test_what_ended_long_ago_goes(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "STEP", 2)
    await put(
        services,
        [
            *(_NOTICE.format(id=f"old-{n}", state="SENT", days=100, ended=ago(100)) for n in range(5)),
            _NOTICE.format(id="late", state="SENT", days=100, ended=ago(1)),
            _NOTICE.format(id="waiting", state="QUEUED", days=100, ended="NULL"),
            *(_ALERT.format(id=name, state="RESOLVED", days=500, ended=ago(450)) for name in ("old", "untold")),
            _ALERT.format(id="open", state="FIRING", days=500, ended="NULL"),
            *(_CHANGE.format(id=name, published=name != "untold") for name in ("old", "untold", "open")),
            _SIGHTING.format(id="dead", hours=30),
            _SIGHTING.format(id="alive", hours=0),
            _IMPORT.format(id="first", city="nyc", days=200, told=1),
            _IMPORT.format(id="untold", city="nyc", days=180, told=0),
            _IMPORT.format(id="last", city="nyc", days=150, told=1),
            _IMPORT.format(id="only", city="bos", days=200, told=1),
        ],
    )
    assert await forgetting.forget(services) == 5 + 1 + 1 + 1
    assert await left(services, "notices", "notice_id") == ["late", "waiting"]
    assert await left(services, "alerts", "alert_id") == ["open", "untold"]
    assert await left(services, "alert_changes", "alert_id") == ["open", "untold"]
    assert await left(services, "alert_sightings", "replica") == ["alive"]
    assert await left(services, "open_data_imports", "import_id") == ["last", "only", "untold"]
    assert await forgetting.forget(services) == 0
