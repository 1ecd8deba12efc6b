"""``lakefront import open-data``: asked for on the command line, carried out by whoever runs (C5)."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.domain.integrations import CredentialKeys, Endpoints
from lakefront.domain.services import Services
from lakefront.settings import Settings
from lakefront.simulator import Simulator
from tests.domain.calling import calling
from tests.domain.open_data.publishing import INSPECTIONS, running
from tests.server.forked import lakefront

Command = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
async def importing(services: Services, actor: Actor, tmp_path: Path) -> AsyncIterator[Services]:
    """Services that reach a simulated publisher; their keys are in the data folder, as a server's are."""
    endpoints = Endpoints(services.database, CredentialKeys.load_or_create(Settings(data=tmp_path)))
    async with (
        Simulator(seed=1, rows=30) as city,
        calling(replace(services, endpoints=endpoints), actor, city, "socrata") as made,
    ):
        yield made


@pytest.fixture
def command(dsn: str, tmp_path: Path) -> Command:
    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment: dict[str, Any] = {
            "COLUMNS": "300",
            "DATABASE_URL": dsn,
            "LAKEFRONT_DATA": str(tmp_path),
            "LAKEFRONT_LOOPBACK_INTEGRATIONS": "true",
        }
        return await asyncio.to_thread(partial(lakefront, "import", "open-data", *arguments, **environment))

    return run


async def test_a_data_set_is_imported(importing: Services, command: Command) -> None:
    dry = await command(INSPECTIONS, "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "30 rows would be read, by 2 calls.\n"), dry.stderr
    async with running(importing):
        waited = await command(INSPECTIONS, "--wait")
    assert waited.returncode == 0, waited.stderr
    assert "accepted          30" in waited.stdout
    queued = await command(INSPECTIONS, "--since", "2020-01-01")
    assert (queued.returncode, "a running server carries it out" in queued.stdout) == (0, True), queued.stderr
    second = await command(INSPECTIONS)
    assert (second.returncode, "under way already" in second.stderr) == (1, True)


async def test_what_cannot_be_is_told(importing: Services, command: Command) -> None:
    for arguments, told in (
        (("inspections",), "four-by-four"),
        ((INSPECTIONS, "--city", "bos"), "not set up"),
        ((INSPECTIONS, "--tenant", "nobody"), "no tenant 'nobody'"),
    ):
        failed = await command(*arguments)
        assert (failed.returncode, told in failed.stderr) == (1, True), failed.stderr
