"""A server that takes jobs and files their tickets, but never comes to say so: ``python -m … DSN REDIS_URL FOLDER``."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.domain.outbox import Job
from lakefront.domain.services import Services
from tests.domain.outbox.outside import QUICK, Outside, working
from tests.services import working as services_working


class Doomed(Outside):
    """Files the ticket, and hangs."""

    async def run(self, services: Services, job: Job) -> None:
        """The ticket is there; nobody here will ever know."""
        async with services.database.transaction(job.tenant) as transaction:
            await transaction.execute("INSERT INTO lakefront.results VALUES ($1, $2, 'ticket')", job.tenant, job.key)
        await asyncio.Event().wait()


async def main(dsn: str, redis_url: str, folder: str) -> None:
    """Work until killed."""
    database = Database(dsn)
    provisioner, signing_in = (Database(dsn, pool_size=2, role=PROVISIONER_ROLE) for _ in range(2))
    for each in (database, provisioner, signing_in):
        await each.open()
    async with (
        Redis.from_url(redis_url) as redis,
        services_working(database, provisioner, signing_in, Path(folder)) as services,
        working(services, redis, Doomed(), pace=replace(QUICK, longest=600.0)),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
