"""What an attacker may have heard of: ids, cursors and keys of both tenants, to be tried everywhere."""

from typing import Any

from lakefront.domain.permits import STREAM
from lakefront.eventlog import cursors
from tests.isolation.documents import Values
from tests.isolation.leaks import MARKERS, other
from tests.isolation.world import SHARED, World, alone_of, key_id_of

_EVERYTHING = """{
  byStatus: permits(first: 30, orderBy: [{status: DESC}]) { edges { cursor node { id } } }
  permits(first: 30) {
    pageInfo { startCursor endCursor }
    edges { cursor node { id permitId events(first: 9) { edges { cursor node { id eventId } } } } } }
  permitEvents(first: 50) { edges { cursor node { id } } }
  lakeObjects(stream: "sf-permit-events", first: 9) { edges { cursor node { key } } } }"""


async def loot(world: World, attacker: str) -> Values:
    """Values for documents: what ``attacker`` has, and what the other one has."""
    pools: dict[str, set[str]] = {"cursor": set(), "id": set(), "key": set()}
    for tenant in MARKERS:
        answer = (await world.ask(tenant, _EVERYTHING)).json()
        assert "errors" not in answer, answer
        _collect(answer["data"], pools)
    heads = await world.admin.fetch("SELECT shard, next FROM lakefront.heads WHERE tenant_id = $1", other(attacker))
    live = [cursors.encode(STREAM, 1, {row["shard"]: row["next"] - back for row in heads}) for back in (0, 1, 3)]
    victim = other(attacker)
    return {
        "after": ["earliest", *live, *sorted(pools["cursor"])],
        "before": sorted(pools["cursor"]),
        "id": sorted(pools["id"]),
        "ids": sorted(pools["id"]),
        "stream": [STREAM],
        "from": ["2024-01-02T08:00:00+00:00", "2020-01-01T00:00:00Z"],
        "to": ["2030-01-01T00:00:00Z"],
        "permitId": [*SHARED, *alone_of(victim), *alone_of(attacker)],
        "tenantId": [victim, attacker, "city", "nobody"],
        "provider": ["openweather"],
        "city": ["", "both"],
        "slug": ["both"],
        "keyId": [str(key_id_of(victim))],
        "idempotencyKey": ["both", "mine"],
        "ID": [*SHARED[:3], *alone_of(victim)[:3], "P01-filed", STREAM, victim, str(key_id_of(victim))],
        "String": ["Mission", "%", "P", "", "filed", "1", victim, alone_of(victim)[0]],
    }


def _collect(value: Any, pools: dict[str, set[str]]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, pools)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                pool = pools.get("cursor" if name.endswith("ursor") else name)
                if pool is not None:
                    pool.add(item)
            else:
                _collect(item, pools)
