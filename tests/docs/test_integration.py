"""The integration guide, block by block, on a fresh server."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.clients.node import install
from tests.docs.blocks import Block, Reader, assert_alike, blocks, environment
from tests.process import ROOT, ServerProcess

PAGE = ROOT / "docs" / "integration.md"

FILES = {"onboarded.json"}
"""Files of whose content the page shows what a block did not print."""


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Where a reader works who has installed what the page says."""
    await asyncio.to_thread(install, ROOT / "examples")
    (tmp_path / "node_modules").symlink_to(ROOT / "examples" / "node_modules")
    return tmp_path


async def test_every_block_runs_as_it_is_written(folder: Path) -> None:
    outputs: dict[int, str] = {}
    async with ServerProcess() as server:
        reader = Reader(folder, environment(LAKEFRONT_URL=server.url, PATH=os.environ["PATH"]))
        printed, followers = "", []
        for block in blocks(PAGE):
            if block.language == "json":
                shown_file = next((name for name in FILES if f"`{name}` is now" in _before(block)), None)
                assert_alike(block.text, (folder / shown_file).read_text() if shown_file else printed, block.line)
                continue
            printed = outputs[block.line] = await reader.run(block)
            if "subscription" in block.text and block.language != "sh":
                followers.append(block)
        told = list(outputs.values())
        # What the page says in words: the followers go on where they were, both keys hold, the revoked one does not.
        for follower in followers:
            assert len(outputs[follower.line].splitlines()) == 4
            assert await reader.run(follower) == ""
        sent = Block("sh", next(block.text for block in blocks(PAGE) if "acme/PRM-1/filed" in block.text), 0)
        await reader.run(Block("sh", sent.text.replace("/PRM-1/", "/PRM-4/").replace('"PRM-1"', '"PRM-4"'), 0))
        for follower in followers:
            assert await reader.run(follower) == "PERMIT_FILED PRM-4 under review\nSTATUS_CHANGE PRM-4 under review\n"
    assert "200\n200\n" in told
    assert "401\n" in told
    assert told.count("True REVOKED\n") == 1
    assert told.count("true REVOKED\n") == 1
    assert any("permit_fled" in text or "eventType" in text for text in told[-1:])


def _before(block: Block) -> str:
    """The line of words before a block."""
    return PAGE.read_text().splitlines()[block.line - 3]


def test_the_readme_leads_to_it() -> None:
    assert "docs/integration.md" in (ROOT / "README.md").read_text()
