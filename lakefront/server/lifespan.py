"""The life of a server process: its parts are started in order, wired, and stopped in reverse."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lakefront import tracing
from lakefront.adapters.calls import Calls
from lakefront.adapters.objects import ObjectStore, open_store
from lakefront.db.database import CONNECTION_LOST, PROVISIONER_ROLE, READING_THE_LOG, Database
from lakefront.db.embedded import EmbeddedError, EmbeddedParts
from lakefront.db.listener import Listener
from lakefront.db.migrate import migrate
from lakefront.domain import documents, integrations, rights
from lakefront.domain.answers import Answers
from lakefront.domain.documents import Documents, Modes, Registered, Trusted
from lakefront.domain.integrations import CredentialKeys, Endpoints, TokenCipher
from lakefront.domain.integrations.rotation import under_unknown_keys
from lakefront.domain.quota_ledger import QuotaLedger
from lakefront.domain.quotas import Quotas
from lakefront.domain.rights import Rights
from lakefront.domain.services import Services
from lakefront.domain.tenants import directory as tenants
from lakefront.domain.tenants.allowances import Allowances
from lakefront.domain.tenants.directory import Directory
from lakefront.errors import Unavailable
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.lake.manifest import CONSUMER as SEALER
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.eventlog.projections.progress import Progress
from lakefront.eventlog.projections.runner import CHANNEL as PROJECTIONS_CHANNEL
from lakefront.server import workers
from lakefront.server.auth import Authenticator, KeyRing
from lakefront.server.bodies import ByteBudget
from lakefront.server.keys import SigningKey
from lakefront.server.metrics import Metrics
from lakefront.server.rest.door import Doors
from lakefront.settings import Settings

REDIS_PATIENCE = 0.5
"""Seconds for a connection or an answer of Redis: it is not critical, so nobody waits for it."""

DATABASE_PATIENCE = 15.0
"""Seconds that a starting server waits for a PostgreSQL that does not answer yet: it may be starting, too."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server whose parts run."""

    settings: Settings
    doors: Doors
    redis: "Redis | None"
    key: SigningKey
    at_end: AsyncExitStack
    """What is to be done before the parts are stopped."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Start every part, migrate, and stop all of it at the end. To be called from the main thread.

    Raises ``EmbeddedError`` when an embedded part cannot start, ``Unavailable`` when an outside database is away.
    """
    async with AsyncExitStack() as stack:
        if settings.otlp_endpoint is not None:
            tracing.start(settings.otlp_endpoint)
            stack.push_async_callback(asyncio.to_thread, tracing.stop)
        dsn, redis_url = await _parts(settings, stack)
        await _migrated(dsn)
        key = SigningKey.load_or_create(settings.data)
        redis = await _redis(redis_url, stack)
        services, listener, sealer = await _services(settings, dsn, redis, stack)
        keys = KeyRing(key, services.database)
        await keys.register()
        authenticator = Authenticator(keys, services)
        authenticator.listen(listener)
        stack.push_async_callback(authenticator.close)
        await workers.start(settings, services, redis, listener, sealer, stack)
        doors = Doors(services, authenticator, ByteBudget(settings.body_budget), Metrics(services))
        yield Running(settings, doors, redis, key, stack)


async def _migrated(dsn: str) -> None:
    """Migrate; a database that is starting, or restarts just now, is waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DATABASE_PATIENCE
    while True:
        try:
            return await migrate(dsn)
        except CONNECTION_LOST as away:
            if loop.time() > deadline:
                told = f"PostgreSQL does not answer ({away}). Check DATABASE_URL, and that it runs."
                raise Unavailable(told) from away
            _log.info("waiting for PostgreSQL: %s", away)
            await asyncio.sleep(1)


async def _parts(settings: Settings, stack: AsyncExitStack) -> tuple[str, str | None]:
    """The database's DSN and Redis' URL, ours or the ones that were set."""
    if not settings.embedded_postgres and not settings.embedded_redis:
        assert settings.database_url is not None
        return settings.database_url, settings.redis_url
    parts = EmbeddedParts(settings.data, postgres=settings.embedded_postgres, redis=settings.embedded_redis)
    await parts.start()
    stack.push_async_callback(parts.stop)
    dsn = settings.database_url or (parts.postgres.dsn() if parts.postgres else "")
    return dsn, settings.redis_url or (parts.redis.url if parts.redis else None)


async def _redis(url: str | None, stack: AsyncExitStack) -> "Redis | None":
    if url is None:
        return None
    client: Redis = Redis.from_url(
        url,
        socket_timeout=REDIS_PATIENCE,
        socket_connect_timeout=REDIS_PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    stack.push_async_callback(client.aclose)
    return client


async def _services(
    settings: Settings, dsn: str, redis: "Redis | None", stack: AsyncExitStack
) -> tuple[Services, Listener, Sealer]:
    database = Database(dsn, pool_size=settings.pool_size, statement_timeout=settings.graphql_timeout)
    await database.open()
    stack.push_async_callback(database.close)
    provisioner, signing_in = [Database(dsn, pool_size=2, role=PROVISIONER_ROLE) for _ in range(2)]
    for pool in (provisioner, signing_in):
        await pool.open()
        stack.push_async_callback(pool.close)
    listener = Listener(dsn)
    directory, granted = await _access(settings, database, signing_in, listener)
    objects = await _objects(settings, stack)
    log = PostgresLog(
        dsn,
        shards=lambda stream: settings.stream(stream).shards,
        group_rows=settings.group_rows,
        follower_buffer=settings.follower_buffer,
        poll_interval=settings.poll_interval,
        listener=listener,
        history=History(database, objects),
        consumers={PERMITS.stream: (PERMITS.name, SEALER)},
    )
    # Before the log is opened, and so closed after it: then it seals what the log took in to its very end.
    sealer = await _sealer(settings, objects, log, provisioner, stack)
    await log.open()
    stack.push_async_callback(log.close)
    progress = Progress(database)
    listener.on(PROJECTIONS_CHANNEL, lambda _: progress.note())
    quotas, allowances = Quotas(redis, enabled=settings.limits_on), Allowances(redis)
    stack.push_async_callback(allowances.close)
    keys = await _credential_keys(settings, provisioner)
    calls = Calls(
        redis,
        loopback=settings.loopback_integrations,
        networks=settings.integration_networks,
        cipher=TokenCipher(keys),
        ledger=QuotaLedger(database),
    )
    stack.push_async_callback(calls.close)
    answers = Answers(redis)
    stack.push_async_callback(answers.close)
    services = Services(
        *(settings, database, log, progress, quotas, objects, provisioner, signing_in, directory, granted),
        allowances=allowances,
        documents=_documents(settings, database, redis, listener),
        endpoints=_endpoints(database, keys, listener),
        calls=calls,
        answers=answers,
    )
    return services, listener, sealer


async def _access(
    settings: Settings, database: Database, signing_in: Database, listener: Listener
) -> tuple[Directory, Rights]:
    """Which tenants there are, and what their roles may do: read now, and again whenever they change."""
    directory, granted = Directory(signing_in), Rights(database)
    listener.on(tenants.CHANNEL, directory.changed)
    listener.watch(directory.watch)
    listener.on(rights.CHANNEL, granted.changed)
    listener.watch(granted.watch)
    await directory.load()
    await granted.load()
    unknown = set(settings.persisted_documents_by_role) - (await granted.policy()).roles
    if unknown:
        names = ", ".join(sorted(unknown))
        _log.warning("LAKEFRONT_PERSISTED_DOCUMENTS_BY_ROLE names roles that no rule gives anything to: %s", names)
    return directory, granted


def _documents(settings: Settings, database: Database, redis: "Redis | None", listener: Listener) -> Documents:
    """Persisted documents: which are trusted is read when somebody asks, and anew whenever one comes or goes."""
    trusted = Trusted(database)
    listener.damp(documents.CHANNEL)
    listener.on(documents.CHANNEL, trusted.changed)
    listener.watch(trusted.watch)
    return Documents(Modes.of_settings(settings), trusted, Registered(redis, ttl=settings.persisted_documents_ttl))


async def _credential_keys(settings: Settings, provisioner: Database) -> CredentialKeys:
    """The keys of outside systems' credentials; that some are missing is told, and keeps nobody from starting."""
    keys = CredentialKeys.load_or_create(settings)
    if unreadable := await under_unknown_keys(provisioner, keys):
        _log.warning(
            "%d integrations cannot be read with the keys of this server: see LAKEFRONT_CREDENTIAL_KEYS", unreadable
        )
    return keys


def _endpoints(database: Database, keys: CredentialKeys, listener: Listener) -> Endpoints:
    """Where outside systems are: read when somebody asks, and anew whenever an integration changes."""
    endpoints = Endpoints(database, keys)
    listener.damp(integrations.CHANNEL)
    listener.on(integrations.CHANNEL, endpoints.changed)
    listener.watch(endpoints.watch)
    return endpoints


async def _objects(settings: Settings, stack: AsyncExitStack) -> ObjectStore:
    try:
        objects = open_store(settings.object_store_url, settings.data)
    except ValueError as wrong:
        raise EmbeddedError(str(wrong)) from wrong
    await objects.open()
    stack.push_async_callback(objects.close)
    return objects


async def _sealer(
    settings: Settings, objects: ObjectStore, log: PostgresLog, provisioner: Database, stack: AsyncExitStack
) -> Sealer:
    database = Database(provisioner.dsn, pool_size=2, planner=READING_THE_LOG)
    await database.open()
    stack.push_async_callback(database.close)
    sealer = Sealer(
        database,
        objects,
        Backlog(provisioner),
        stream=settings.stream,
        poll=settings.poll_interval,
        busy=log.appending,
    )
    stack.push_async_callback(sealer.close)
    stack.push_async_callback(sealer.seal_now)
    return sealer
