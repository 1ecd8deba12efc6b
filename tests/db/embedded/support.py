"""What several tests of the embedded parts need: a server to kill, a folder others can reach, processes to look for."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
FAST = {"fsync": "off", "shared_buffers": "16MB"}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


def start_server(
    data: Path, *wanted: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start the parts in another process and return it with what it said."""
    server = subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.db.embedded.server", str(data), *wanted],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, f"the server ended with {server.wait()} and said nothing"
    return server, json.loads(line)


@contextmanager
def server_on(
    data: Path, *wanted: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """A server that is stopped in good order at the end."""
    server, said = start_server(data, *wanted, prefix=prefix, environment=environment)
    assert "refused" not in said, said["refused"]
    with server:
        try:
            yield said
        finally:
            server.terminate()


@contextmanager
def open_folder(owner: int = 0) -> Iterator[Path]:
    """A temporary folder of `owner`'s whose parents everybody may enter (pytest's are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="lakefront-test-"))
    try:
        folder.chmod(0o755)
        os.chown(folder, owner, -1)
        yield folder
    finally:
        shutil.rmtree(folder)


def as_user(uid: int) -> list[str]:
    """The prefix that runs a command as user `uid`, who may enter closed folders only if Python itself is in one."""
    ordinary = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    for extra in ([], ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]):
        prefix = [*ordinary, *extra, "--"]
        probe = [*prefix, sys.executable, "-c", "import tests, lakefront.db.embedded"]
        if subprocess.run(probe, cwd=ROOT, capture_output=True, check=False).returncode == 0:
            return prefix
    pytest.skip(f"user {uid} cannot reach {sys.executable} or {ROOT}: a parent folder is closed")


def without_namespaces(folder: Path) -> list[str]:
    """The prefix that runs a command where the kernel forbids user namespaces, as it does in a chroot."""
    script = 'mount --rbind / "$0" && exec chroot "$0" sh -c \'cd "$0" && exec "$@"\' "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, str(folder), str(ROOT)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount, to make a place without user namespaces")
    return prefix


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return once the condition holds; raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


def processes_of(folder: Path) -> list[int]:
    """Processes with the folder in their command line: postmaster, initdb, Redis."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                words = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in words and b"tests.db.embedded" not in words:
                found.append(int(process.name))
    return found


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether the process has ended within `seconds`; a zombie has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False
