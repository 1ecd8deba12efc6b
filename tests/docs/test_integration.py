"""The integration guide, block by block, on a fresh server."""

import asyncio
import os
import re
from importlib import import_module
from pathlib import Path

import pytest

from lakefront.errors import catalogue
from tests.clients.node import install
from tests.docs.blocks import Block, Reader, assert_alike, blocks, environment
from tests.process import ROOT, ServerProcess

PAGE = ROOT / "docs" / "integration.md"

PATIENCE = 30.0
"""Seconds until queries show what was sent, on a machine that is busy with other tests."""

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
        printed, followers, last = "", [], None
        for block in blocks(PAGE):
            if block.language == "json":
                shown_file = next((name for name in FILES if f"`{name}` is now" in _before(block)), None)
                if shown_file:
                    assert_alike(block.text, (folder / shown_file).read_text(), block.line)
                else:
                    assert last is not None
                    await _comes_to(reader, last, printed, block)
                continue
            last, printed = block, await reader.run(block)
            outputs[block.line] = printed
            if "subscription" in block.text and block.language != "sh":
                followers.append(block)
        told = list(outputs.values())
        # What the page says in words: the followers go on where they were, both keys hold, the revoked one does not.
        for follower in followers:
            assert len((await _goes_on(reader, follower, outputs[follower.line], 4)).splitlines()) == 4
            assert await reader.run(follower) == ""
        sent = Block("sh", next(block.text for block in blocks(PAGE) if "acme/PRM-1/filed" in block.text), 0)
        await reader.run(Block("sh", sent.text.replace("/PRM-1/", "/PRM-4/").replace('"PRM-1"', '"PRM-4"'), 0))
        for follower in followers:
            followed = await _goes_on(reader, follower, "", 2)
            assert followed == "PERMIT_FILED PRM-4 under review\nSTATUS_CHANGE PRM-4 under review\n"
    assert "200\n200\n" in told
    assert "401\n" in told
    assert told.count("True REVOKED\n") == 1
    assert told.count("true REVOKED\n") == 1
    assert any("permit_fled" in text or "eventType" in text for text in told[-1:])


async def test_programs_give_up_where_the_wait_is_long(folder: Path) -> None:
    refusal = b'{"error_code": "rate_limited", "details": [{"field": "daily_events"}]}'
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 40000\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head % len(refusal) + refusal)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = "http://{}:{}".format(*server.sockets[0].getsockname())
        reader = Reader(folder, environment(LAKEFRONT_URL=url, LAKEFRONT_API_KEY="a", PATH=os.environ["PATH"]))
        programs = [block for block in blocks(PAGE) if "Retry-After" in block.text and block.language != "sh"]
        assert [block.language for block in programs] == ["python", "js"]
        for program in programs:
            with pytest.raises(AssertionError, match=r"(?s)send it again in 40000 s\..*daily_events"):
                await reader.run(program)


async def _comes_to(reader: Reader, asked: Block, printed: str, shown: Block) -> None:
    """Pass if what ``asked`` printed is as ``shown``; a query is asked again until it is: events show in a moment."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert_alike(shown.text, printed, shown.line)
            except AssertionError:
                if '"query": "query' not in asked.text:
                    raise
                await asyncio.sleep(0.2)
                printed = await reader.run(asked)
            else:
                return


async def _goes_on(reader: Reader, follower: Block, printed: str, lines: int) -> str:
    """What the follower printed, run again until it has told so many lines: a slow second is a silent one to it."""
    async with asyncio.timeout(PATIENCE):
        while len(printed.splitlines()) < lines:
            printed += await reader.run(follower)
    return printed


def _before(block: Block) -> str:
    """The line of words before a block."""
    return PAGE.read_text().splitlines()[block.line - 3]


def test_the_readme_leads_to_it() -> None:
    assert "docs/integration.md" in (ROOT / "README.md").read_text()


def test_every_error_is_told() -> None:
    table = PAGE.read_text().partition("## 9.")[2].lower()
    told = {(int(status), code) for row in table.splitlines() for status, code in _errors(row)}
    import_module("lakefront.server.app")  # so that the doors' own errors are known, whichever tests ran before
    for error in catalogue():
        assert (error.status, error.code) in told or error.code in ("lagged", "cursor_expired"), error.code
    assert "`lagged`, `cursor_expired`" in table


def _errors(row: str) -> list[tuple[str, str]]:
    """Each status and each code of a row of the table."""
    cells = row.split("|")
    if len(cells) < 4:
        return []
    statuses, codes = re.findall(r"[0-9]{3}", cells[1]), re.findall(r"`([a-z_]+)`", cells[2])
    return [(status, code) for status in statuses for code in codes]
