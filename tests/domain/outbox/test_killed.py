"""A server is killed (SIGKILL) while an outside system already did what it was asked: another one finds that out."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path

from redis.asyncio import Redis

from lakefront.domain.outbox import Job, record
from lakefront.domain.outbox.stream import GROUP, STREAM
from lakefront.domain.services import Services
from tests.domain.outbox.outside import Outside, put, results, rows, until, until_state, working, write
from tests.process import ROOT


class Finding(Outside):
    """Looks for the ticket where it is filed."""

    async def look_up(self, services: Services, job: Job) -> None:
        self.looked_up[job.key] += 1
        if "ticket" in (await results(services.database)).get(job.key, []):
            await record(services.database, job, lambda transaction: write(transaction, job))
        else:
            await self.run(services, job)


async def test_a_killed_servers_jobs_are_looked_up_by_another(
    dsn: str, desk: Services, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    keys = ["a", "b", "c"]
    ids = [await put(desk.database, key) for key in keys]
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig=SIGKILL", "--", sys.executable, "-m", "tests.domain.outbox.doomed"),
        *(dsn, redis_url, str(tmp_path)),
        cwd=ROOT,
        stdout=DEVNULL,
    )
    try:

        async def filed() -> bool:
            return len(await results(desk.database)) == len(keys)

        async with asyncio.timeout(60):
            while not await filed():
                await asyncio.sleep(0.1)
                assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert {row["state"] for row in await rows(desk.database, "SELECT state FROM lakefront.outbox")} == {"RUNNING"}
    other = Finding()
    async with working(desk, redis, other):
        for job_id in ids:
            await until_state(desk.database, job_id, "DONE")

        async def nothing_pending() -> bool:
            return bool((await redis.xpending(STREAM, GROUP))["pending"] == 0)

        await until(nothing_pending)
    assert await results(desk.database) == {key: ["ticket", "done"] for key in keys}
    assert other.tried == {}
