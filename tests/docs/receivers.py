"""The receivers of ``docs/webhooks.md``, as they run."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.clients.node import node_program
from tests.docs.blocks import blocks, environment
from tests.process import ROOT

PAGE = ROOT / "docs" / "webhooks.md"


class Receiver(NamedTuple):
    """One of the page's programs, as it runs."""

    url: str
    told: asyncio.StreamReader

    async def line(self) -> str:
        """What it prints next."""
        return (await asyncio.wait_for(self.told.readline(), 60)).decode().strip()


@asynccontextmanager
async def running(folder: Path, language: str, secrets: str) -> AsyncIterator[Receiver]:
    """The page's program in that language, which knows ``secrets`` (separated by spaces)."""
    (program,) = [block.text for block in blocks(PAGE) if block.language == language]
    path = folder / {"python": "receiver.py", "js": "receiver.mjs"}[language]
    path.write_text(program)
    process = await asyncio.create_subprocess_exec(
        sys.executable if language == "python" else node_program(),
        path,
        env=environment(LAKEFRONT_WEBHOOK_SECRETS=secrets),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        yield Receiver(f"http://127.0.0.1:{port}/hooks/city", process.stdout)
    finally:
        process.kill()
        await process.wait()
