"""What there is of a tenant, wherever one looks."""

from lakefront.actor import CITY
from lakefront.db.database import Database
from lakefront.db.tenant_views import VIEWS

EVERYTHING = frozenset({"profile", "subscription", "key", "schema", "views"})

_TRACES = """
SELECT (SELECT count(*) FROM tenants.tenant_profiles WHERE tenant_id = $1),
  (SELECT count(*) FROM tenants.tenant_subscriptions WHERE tenant_id = $1),
  (SELECT count(*) FROM tenants.tenant_api_keys WHERE tenant_id = $1),
  (SELECT count(*) FROM pg_namespace WHERE nspname = $1),
  (SELECT count(*) FROM pg_views WHERE schemaname = $1)
"""


async def traces(provisioner: Database, tenant: str) -> set[str]:
    """profile, subscription, key, schema, views: none or all of them; one row each, and every view."""
    async with provisioner.transaction(CITY) as transaction:
        [counts] = await transaction.fetch(_TRACES, tenant)
    *ones, views = counts
    assert set(ones) <= {0, 1}
    assert views in (0, len(VIEWS))
    names = ("profile", "subscription", "key", "schema", "views")
    return {name for name, number in zip(names, counts, strict=True) if number}
