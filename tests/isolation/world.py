"""Two tenants with everything twice: the same ids in both, each one's marker in all that it has, and a server."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson

from lakefront.actor import Actor, system_actor
from lakefront.domain import permits
from lakefront.domain.services import Services
from lakefront.domain.tenants import onboarding
from lakefront.domain.tenants.configuration import Configuration
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.server.credentials import Credentials
from lakefront.server.express import Express
from lakefront.server.keys import mint
from lakefront.server.lifespan import running
from lakefront.settings import Settings
from tests.databases import Copies
from tests.isolation.leaks import MARKERS, other, tables
from tests.server.wired import Wired, wired

SHARED = tuple(f"P{number:02d}" for number in range(8))
"""Permits that both tenants have, with the same ids."""

HOURS = 3.0 * 3600
"""Seconds after which a server seals, or looks at alerts: later than any test ends; no row changes by itself."""


def alone_of(tenant: str) -> tuple[str, ...]:
    """Permits that ``tenant`` has and the other has not."""
    return tuple(f"{tenant[0].upper()}{number}" for number in range(2 + len(tenant)))


def settings_of(dsn: str, redis_url: str, folder: Path) -> Settings:
    """A server on that database, its objects in ``folder``."""
    return Settings(
        port=0,
        data=folder,
        database_url=dsn,
        redis_url=redis_url,
        rate_limits="off",
        seal_interval=HOURS,
        alert_interval=HOURS,
        shards=2,
    )


def events_of(tenant: str) -> list[dict[str, Any]]:
    """The tenant's events: the ids are the same in both where the permits are, the bodies never."""
    mark, made = MARKERS[tenant], []
    for number, permit in enumerate((*SHARED, *alone_of(tenant))):
        cost = 1000 + number if tenant == "acme" else 900_000 + number
        data = {
            "description": f"{mark} works at {permit}",
            "neighborhood": f"{mark} heights" if number % 2 else "Mission",
            "estimatedCost": cost,
            "filedAt": "2024-01-02T08:00:00Z",
            "addresses": [{"addressId": "A1", "block": mark, "lot": "7", "streetName": mark, "primary": True}],
        }
        common = {"permitId": permit, "correlationId": mark}
        made.append(
            {**common, "eventId": f"{permit}-filed", "eventType": "permit_filed", "timestamp": "2024-01-02T08:00:00Z"}
            | {"eventData": data}
        )
        change = {"previousStatus": "filed", "newStatus": f"{mark} approved", "changedBy": f"{mark} inspector"}
        made.append(
            {**common, "eventId": f"{permit}-change", "eventType": "status_change", "timestamp": "2024-02-02T08:00:00Z"}
            | {"eventData": {**change, "reason": mark}}
        )
    return made


async def onboard(services: Services, tenant: str) -> str:
    """Make the tenant as whoever manages tenants does: its API key."""
    mark, manager = MARKERS[tenant], system_actor()
    configuration = Configuration(tenant, f"{mark} incorporated", f"{mark}@example.com", "PROFESSIONAL")
    tried = await onboarding.dry_run(services, manager, configuration)
    assert tried.ok, tried
    made = await onboarding.onboard(services, manager, configuration)
    assert made.api_key is not None
    return made.api_key


_REST = """
INSERT INTO tenants.tenant_usage_quotas (tenant_id, usage_date, pipelines_started, events_before)
  VALUES ($1, '2024-01-02', 4711, 4711);
INSERT INTO tenants.tenant_api_keys (tenant_id, key_id, name, prefix, sha256, roles, created_at, created_by, expires_at)
  VALUES ($1, $3, $2, $2, sha256($2), ARRAY['service'], '2024-01-02', $2, '2030-01-02');
INSERT INTO tenants.tenant_pipeline_runs
  (tenant_id, run_id, provider, domain, template, status, user_id, parameters, started_at, error)
  VALUES ($1, $3, $2, $2, $2, 'FAILED', $2, jsonb_build_object('secret', $2::text), '2024-01-02', $2);
INSERT INTO tenants.tenant_step_logs (tenant_id, run_id, step, name, status, started_at, message)
  VALUES ($1, $3, 1, $2, 'FAILED', '2024-01-02', $2);
INSERT INTO tenants.tenant_dq_results
  (tenant_id, run_id, check_name, target, passed, rows_checked, rows_failed, checked_at)
  VALUES ($1, $3, $2, $2, false, 4711, 4711, '2024-01-02');
INSERT INTO lakefront.ingest_tokens (tenant_id, token_id, stream, sha256, created_at)
  VALUES ($1, $3, 'sf-permit-events', sha256(('ingest ' || $2)::bytea), '2024-01-02');
INSERT INTO lakefront.idempotency_keys (tenant_id, subject, operation, key, body, result, created_at)
  VALUES ($1, 'test', 'ingestPermitEvents', 'both', $3, jsonb_build_object('secret', $2::text), now());
INSERT INTO lakefront.pipeline_minutes
  (tenant_id, stream, minute, writer, requests, failed_requests, accepted, duplicates, rejected, seconds)
  VALUES ($1, 'sf-permit-events', '2024-01-02', $2, 4711, 4711, 4711, 4711, 4711, 4711);
INSERT INTO lakefront.cities (tenant_id, slug, name, created_at, updated_at)
  VALUES ($1, 'both', $2, '2024-01-02', '2024-01-02');
INSERT INTO lakefront.integrations
  (tenant_id, provider, city, base_url, api_version, credentials, key_id, credentials_set, quota_daily, enabled,
   version, created_at, updated_at, updated_by)
  -- The key's id is the server's own, which its log names.
  VALUES ($1, 'openweather', '', 'https://' || $2 || '.example', $2, repeat($2, 9)::bytea, '0123456789abcdef',
    jsonb_build_object('key', '2024-01-02T00:00:00+00:00', $2::text, '2024-01-02T00:00:00+00:00'), 4711, true,
    1, '2024-01-02', '2024-01-02', $2);
INSERT INTO lakefront.open_data_imports
  (tenant_id, import_id, dataset, city, state, place, rows_total, rows_read, problems, requested_at, requested_by,
   started_at, ended_at, updated_at, error_code, error_message, trace_id, told)
  VALUES ($1, 'both', '43nn-pn8j', $2, 'DONE', jsonb_build_object('after', $2::text), 4711, 4711,
    jsonb_build_array(jsonb_build_object('row', $2::text, 'field', $2::text, 'message', $2::text)),
    '2024-01-02', $2, '2024-01-02', '2024-01-02', '2024-01-02', $2, $2, $2, 1);
INSERT INTO lakefront.open_data_rows (tenant_id, dataset, row_key, digest, updated_at)
  VALUES ($1, '43nn-pn8j', $2, $3, '2024-01-02');
INSERT INTO lakefront.food_inspections
  (tenant_id, inspection_id, city, restaurant_id, restaurant_name, inspected_on, violation, score, updated_at)
  VALUES ($1, 'both', $2, $2, $2, '2024-01-02', $2, 4711, '2024-01-02');
INSERT INTO lakefront.webhooks
  (tenant_id, webhook_id, name, url, secrets, key_id, has_path, enabled, version, created_at, updated_at, updated_by)
  VALUES ($1, 'both', $2, 'https://' || $2 || '.example', repeat($2, 9)::bytea, '0123456789abcdef', false, false, 1,
    '2024-01-02', '2024-01-02', $2);
INSERT INTO lakefront.notice_rules
  (tenant_id, rule_id, name, stream, event_types, conditions, channel, recipient_kind, address, subject, text,
   most_daily, enabled, since, version, created_at, updated_at, updated_by)
  VALUES ($1, 'both', $2, 'sf-permit-events', ARRAY['status_change'],
    jsonb_build_array(jsonb_build_object('field', 'result', 'operator', 'IN', 'values', jsonb_build_array($2::text))),
    'MAIL', 'ADDRESS', $2 || '@example.com', $2, $2, 4711, false, '{}', 1, '2024-01-02', '2024-01-02', $2);
INSERT INTO lakefront.notices
  (tenant_id, notice_id, rule_id, rule_name, channel, recipient, stream, shard, "offset", event_id, event_type, about,
   state, reason, external_id, trace_id, created_at, ended_at)
  VALUES ($1, 'both', 'both', $2, 'MAIL', $2, 'sf-permit-events', 0, 0, $2, 'status_change', $2, 'SKIPPED', $2, $2,
    $2, '2024-01-02', '2024-01-02');
INSERT INTO lakefront.service_requests
  (tenant_id, request_id, city, provider, source, owner, state, state_at, external_id, external_token, external_status,
   agency, agency_name, service_code, complaint_type, descriptor, description, location_type, address, street_name,
   postal_code, borough, community_board, latitude, longitude, channel, resolution, reported_at, filed_at, closed_at,
   updated_at, version, test, error_code, error_message, trace_id, attributes, media_url)
  VALUES ($1, 'both', $2, 'open311', 'lakefront', $2, 'CLOSED', '2024-01-02', $2, $2, $2, $2, $2, $2, $2, $2, $2, $2,
    $2, $2, $2, $2, $2, 40.7, -74.0, $2, $2, '2024-01-02', '2024-01-02', '2024-01-02', '2024-01-02', 1, false, $2, $2,
    $2, jsonb_build_object('secret', jsonb_build_array($2::text)), $2);
INSERT INTO lakefront.service_request_changes
  (tenant_id, request_id, version, event_type, changed_at, cause, changed_by, on_behalf_of, owner, previous_state,
   state, fields, payload, trace_id)
  VALUES ($1, 'both', 1, 'service_request_closed', '2024-01-02', 'CITY', $2, $2, $2, 'OPEN', 'CLOSED', ARRAY['state'],
    jsonb_build_object('secret', $2::text), $2);
INSERT INTO lakefront.service_request_callers (tenant_id, request_id, first_name, last_name, phone, email)
  VALUES ($1, 'both', $2, $2, $2, $2);
INSERT INTO lakefront.service_request_relay (tenant_id, request_id, version) VALUES ($1, 'both', 1);
INSERT INTO lakefront.outbox
  (tenant_id, job_id, kind, key, provider, city, payload, trace_id, state, attempts, error_code, error_message)
  VALUES ($1, $3, $2, 'both', 'openweather', $2, jsonb_build_object('secret', $2::text), $2, 'DEAD', 4711, $2, $2);
INSERT INTO lakefront.dead_letters
  (tenant_id, letter_id, job_id, kind, key, provider, city, uncertain, error_code, error_message, attempts, trace_id,
   excerpt, died_at)
  VALUES ($1, $3, $3, $2, 'both', 'openweather', $2, true, $2, $2, 4711, $2, $2, '2024-01-02');
INSERT INTO lakefront.alert_rules
  (tenant_id, rule_id, metric, comparison, threshold, for_seconds, level, provider, enabled, version, updated_at,
   updated_by)
  VALUES ($1, $2, 'DEAD_LETTERS', 'GT', 4711, 4711, 3, $2, false, 1, '2024-01-02', $2);
INSERT INTO lakefront.alerts
  (tenant_id, alert_id, dedup_key, rule_id, metric, provider, city, level, summary, state, value, threshold, fired_at,
   acknowledged_at, acknowledged_by, resolved_at, resolved_by, updated_at, version)
  VALUES ($1, 'both', $2, $2, 'DEAD_LETTERS', $2, $2, 3, $2, 'RESOLVED', 4711, 4711, '2024-01-02', '2024-01-02', $2,
    '2024-01-02', $2, '2024-01-02', 3);
INSERT INTO lakefront.alert_changes
  (tenant_id, alert_id, version, state, value, changed_at, changed_by, trace_id, published)
  VALUES ($1, 'both', 3, 'RESOLVED', 4711, '2024-01-02', $2, $2, true);
INSERT INTO lakefront.alert_turns (tenant_id, rule_id, provider, city, since)
  VALUES ($1, $2, $2, $2, '2024-01-02');
INSERT INTO lakefront.alert_sightings (tenant_id, metric, provider, city, replica, value, seen_at)
  VALUES ($1, 'CREDENTIALS_REFUSED', $2, $2, $2, 4711, '2024-01-02');
INSERT INTO lakefront.provider_quotas (tenant_id, provider, city, lane, day, used, quota, updated_at)
  VALUES ($1, $2, $2, $2, '2024-01-02', 4711, 4711, '2024-01-02');
INSERT INTO lakefront.integration_changes
  (tenant_id, provider, city, version, changed_at, changed_by, on_behalf_of, changed)
  VALUES ($1, 'openweather', '', 1, '2024-01-02', $2, $2, ARRAY[$2])
"""


def key_id_of(tenant: str) -> UUID:
    """The id of the tenant's API key, ingest token and run."""
    return UUID(bytes=tenant.encode().ljust(16, b"."))


async def furnish(admin: "asyncpg.Connection[Any]", tenant: str) -> None:
    """A row of the tenant's in every table that nothing else has filled."""
    for statement in _REST.split(";\n"):
        for place, value in (("$1", tenant), ("$2", MARKERS[tenant]), ("$3", str(key_id_of(tenant)))):
            statement = statement.replace(place, f"'{value}'")  # noqa: PLW2901 - constants of this file
        await admin.execute(statement)


async def seed(dsn: str, redis_url: str, folder: Path) -> dict[str, str]:
    """Both tenants, their events ingested, projected and sealed by the server's own parts: their API keys."""
    admin = await asyncpg.connect(dsn)
    try:
        async with running(settings_of(dsn, redis_url, folder)) as parts:
            services = parts.doors.services
            keys = {tenant: await onboard(services, tenant) for tenant in MARKERS}
            await services.directory.load()  # as a request of theirs would have it
            for tenant in MARKERS:
                sent = [orjson.dumps(event) for event in events_of(tenant)]
                report = await permits.ingest(services, system_actor(tenant), sent)
                assert report.accepted == len(sent), report
            await projected(admin)
        # The end of ``running`` has sealed all of it.
        for tenant in MARKERS:
            await furnish(admin, tenant)
        for table in (await tables(admin))[0]:
            missing = [tenant for tenant in MARKERS if not await _rows(admin, table, tenant)]
            assert not missing, f"{table} has no row of {missing}: add one to tests/isolation/world.py"
        for _ in range(2):  # what workers make of these rows, and of that, is made before anybody looks
            async with running(settings_of(dsn, redis_url, folder)):
                await still(admin)
    finally:
        await admin.close()
    return keys


async def projected(admin: "asyncpg.Connection[Any]") -> None:
    """Wait until the projections have caught up with the log."""
    behind = (
        "SELECT count(*) FROM lakefront.heads h LEFT JOIN lakefront.consumer_offsets c "
        "ON (c.tenant_id, c.stream, c.shard, c.consumer) = (h.tenant_id, h.stream, h.shard, 'permits') "
        "WHERE h.next > coalesce(c.next, 0)"
    )
    async with asyncio.timeout(30):
        while await admin.fetchval(behind):  # noqa: ASYNC110 - workers' progress
            await asyncio.sleep(0.02)


async def still(admin: "asyncpg.Connection[Any]") -> None:
    """Wait until no worker has moved a consumer, or told the log anything, for a second."""
    standing = "SELECT (SELECT count(*) FROM lakefront.events), (SELECT array_agg(c) FROM lakefront.consumer_offsets c)"
    async with asyncio.timeout(30):
        before, now = None, await admin.fetchrow(standing)
        while before != now:
            await asyncio.sleep(1)
            before, now = now, await admin.fetchrow(standing)


async def _rows(admin: "asyncpg.Connection[Any]", table: str, tenant: str) -> int:
    rows: int = await admin.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant)
    return rows


@dataclass
class World:
    """A served application with both tenants, and for each tenant a reading of what it would see were it alone."""

    served: Wired
    dsn: str
    admin: "asyncpg.Connection[Any]"
    alone: Mapping[str, Operations]
    keys: Mapping[str, str]
    """tenant -> its API key"""

    @cached_property
    def tokens(self) -> Mapping[str, str]:
        """Tenant -> a token of its administrator."""
        return {name: self.token(name, "admin") for name in MARKERS}

    @cached_property
    def operations(self) -> Operations:
        """What the served application runs operations with, for its counts."""
        express: Express = self.served.app.state.express
        return express.operations

    def token(self, tenant: str, role: str) -> str:
        """A token of somebody of ``tenant`` who has ``role``."""
        parts = self.served.parts
        return mint(parts.key, parts.settings, f"{tenant}'s {role}", role, tenant, 3600)

    def headers(self, tenant: str, *, by_key: bool = False) -> dict[str, str]:
        """How ``tenant`` signs in: by its token, or by its API key."""
        if by_key:
            return {"X-API-Key": self.keys[tenant]}
        return {"Authorization": f"Bearer {self.tokens[tenant]}"}

    async def actor(self, tenant: str, role: str = "admin") -> Actor:
        """Who somebody of ``tenant`` with ``role`` is by a token."""
        credentials = Credentials(authorization=f"Bearer {self.token(tenant, role)}")
        return await self.served.parts.doors.authenticator.authenticate(credentials)

    async def ask(self, tenant: str, document: str) -> httpx.Response:
        """The answer to a document, asked by ``tenant`` over HTTP."""
        return await self.served.client.post("/graphql", json={"query": document}, headers=self.headers(tenant))


async def leave_alone(dsn: str, tenant: str) -> None:
    """Take every row of the other tenant out of the database: what is left is what ``tenant`` may know of."""
    admin = await asyncpg.connect(dsn)
    try:
        for table in (await tables(admin))[0]:
            await admin.execute(f"DELETE FROM {table} WHERE tenant_id = $1", other(tenant))
    finally:
        await admin.close()


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Operations]:
    """GraphQL in process on a database that nobody else works on."""
    async with running(settings) as parts:
        yield Operations(build_schema(), parts.doors.services, Context.for_operation, permission)


@asynccontextmanager
async def opened(
    copies: Copies, seeded: str, keys: Mapping[str, str], redis_url: str, source: Path, to: Path
) -> AsyncIterator[World]:
    """A world on a copy of the database ``seeded`` and of its server's data folder ``source``."""
    shutil.copytree(source, to, dirs_exist_ok=True)
    async with AsyncExitStack() as stack:
        alone = {}
        for tenant in MARKERS:
            dsn = await stack.enter_async_context(copies.of(seeded, f"{seeded}_{tenant}"))
            await leave_alone(dsn, tenant)
            alone[tenant] = await stack.enter_async_context(reading(settings_of(dsn, redis_url, to)))
        dsn = await stack.enter_async_context(copies.of(seeded, f"{seeded}_both"))
        admin = await asyncpg.connect(dsn)
        stack.push_async_callback(admin.close)
        served = await stack.enter_async_context(wired(settings_of(dsn, redis_url, to)))
        yield World(served, dsn, admin, alone, keys)
