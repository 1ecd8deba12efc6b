"""What use-cases work with, as a server has it, on the databases of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lakefront.adapters.objects import LocalStore
from lakefront.db.database import Database
from lakefront.db.listener import Listener
from lakefront.domain.quotas import Quotas
from lakefront.domain.rights import Rights
from lakefront.domain.services import Services
from lakefront.domain.tenants import directory as tenants
from lakefront.domain.tenants.directory import Directory
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.postgres.append import CHANNEL as EVENTS_CHANNEL
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.eventlog.projections.progress import Progress
from lakefront.eventlog.projections.runner import CHANNEL as PROJECTIONS_CHANNEL
from lakefront.eventlog.projections.runner import ProjectionRunner
from lakefront.settings import Settings


@asynccontextmanager
async def working(
    database: Database, provisioner: Database, signing_in: Database, folder: Path
) -> AsyncIterator[Services]:
    """All of it until the block ends, its projection running, its objects in ``folder``; quotas are off."""
    settings, dsn = Settings(rate_limits="off"), database.dsn
    listener = Listener(dsn)
    log = PostgresLog(dsn, listener=listener, poll_interval=0.2)
    await log.open()
    progress = Progress(database)
    directory, rights = Directory(signing_in), Rights(database)
    await directory.load()
    await rights.load()
    runner = ProjectionRunner(database, PERMITS, Backlog(provisioner), poll=0.2)
    listener.on(tenants.CHANNEL, directory.changed)
    listener.watch(directory.watch)
    listener.on(EVENTS_CHANNEL, runner.notice)
    listener.on(PROJECTIONS_CHANNEL, lambda _: progress.note())
    await listener.open()
    running = asyncio.create_task(runner.run())
    objects = LocalStore(folder)
    await objects.open()
    quotas = Quotas(None, enabled=False)
    try:
        yield Services(settings, database, log, progress, quotas, objects, provisioner, signing_in, directory, rights)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await listener.close()
        await log.close()
