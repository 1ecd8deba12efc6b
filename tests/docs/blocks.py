"""The code blocks of a page, and running them as a reader would: one shell, one folder, one after the other."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.clients.node import node_program

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATIENCE = 60.0
"""Seconds that a block may take."""


class Block(NamedTuple):
    """One block: its language, its text, and the line of the page on which it begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The page's blocks in their order."""
    text = page.read_text()
    return [Block(found[1], found[2], text[: found.start()].count("\n") + 1) for found in _BLOCK.finditer(text)]


class Reader:
    """Somebody who runs blocks in ``folder``; what the shell exports stays for the blocks that follow."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._exported = folder / "exported.sh"
        self._exported.touch()
        self._environment = dict(environment)

    async def run(self, block: Block) -> str:
        """What the block prints; raises AssertionError when it fails."""
        if block.language == "sh":
            script = f". ./{self._exported.name}\n{block.text}\nset +u; export -p > {self._exported.name}"
            command = ["sh", "-euac", script]
        elif block.language == "python":
            command = [*self._with_exports(), sys.executable, self._file(block, "py")]
        else:
            assert block.language == "js", f"line {block.line}: no reader runs {block.language}"
            command = [*self._with_exports(), node_program(), self._file(block, "mjs")]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        async with asyncio.timeout(_PATIENCE):
            output = (await process.communicate())[0].decode()
        assert process.returncode == 0, f"the block on line {block.line} failed:\n{output}"
        return output

    def _file(self, block: Block, suffix: str) -> str:
        path = self._folder / f"line{block.line}.{suffix}"
        path.write_text(block.text)
        return path.name

    def _with_exports(self) -> list[str]:
        return ["sh", "-euc", f'. ./{self._exported.name}; exec "$@"', "sh"]


def environment(**more: str) -> dict[str, str]:
    """This process' environment without Lakefront's settings, and with ``more``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAKEFRONT_")}
    return {**kept, "NO_PROXY": "127.0.0.1", **more}


def assert_alike(shown: str, printed: str, line: int) -> None:
    """Pass if what a block printed has the members, and those values, that the page shows.

    Values with an ellipsis, times and the further items of a list are the reader's own.
    """
    _alike(orjson.loads(shown), orjson.loads(printed), f"line {line}")


def _alike(shown: Any, printed: Any, where: str) -> None:
    if isinstance(shown, dict):
        assert isinstance(printed, dict), where
        assert shown.keys() == printed.keys(), f"{where}: {sorted(shown.keys() ^ printed.keys())}"
        for name, value in shown.items():
            if name != "timestamp":
                _alike(value, printed[name], f"{where}: {name}")
    elif isinstance(shown, list):
        assert len(shown) <= len(printed), where
        for number, value in enumerate(shown):
            _alike(value, printed[number], f"{where}[{number}]")
    elif isinstance(shown, str) and "…" in shown:
        assert str(printed).startswith(shown.partition("…")[0]), where
    else:
        assert shown == printed, f"{where}: the page shows {shown!r}, the server said {printed!r}"
