"""Child processes: how they end, and that nothing outlives its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import uvloop

from lakefront.db.embedded import EmbeddedError
from lakefront.db.embedded.process import Child, Rights, tool
from tests.db.embedded.support import ROOT, gone, processes_of, until

# A child that makes no child of its own: one caught between fork and exec has its parent's name and outlives it.
ORPHAN = """
import os, signal, sys
from pathlib import Path
from lakefront.db.embedded.process import Child, Rights
folder = Path(sys.argv[1])
quiet = folder / "quiet"
quiet.touch()
Child(["tail", "-f", str(quiet)], folder=folder, log=folder / "log", lock=os.open(folder, os.O_RDONLY),
      death_signal=signal.SIGTERM, rights=Rights[sys.argv[2]])
os.kill(os.getpid(), signal.SIGKILL)
"""


def child(folder: Path, script: str) -> Child:
    lock = os.open(folder, os.O_RDONLY)
    try:
        return Child(["sh", "-c", script], folder=folder, log=folder / "log", lock=lock, death_signal=signal.SIGTERM)
    finally:
        os.close(lock)


async def test_many_may_wait_for_its_exit_code(tmp_path: Path) -> None:
    process = child(tmp_path, "sleep 0.1; exit 3")
    assert process.running()
    assert list(await asyncio.gather(process.wait(), process.wait())) == [3, 3]
    assert not process.running()
    assert await process.wait() == 3


async def test_end_goes_on_to_the_next_signal_after_its_patience(tmp_path: Path) -> None:
    process = child(tmp_path, "trap '' TERM; echo deaf; while :; do sleep 0.05; done")
    await until(lambda: "deaf" in (tmp_path / "log").read_text())
    assert await process.end(signal.SIGTERM, signal.SIGKILL, patience=0.2) == -signal.SIGKILL


def test_it_is_waited_for_by_any_event_loop(tmp_path: Path) -> None:
    async def end(process: Child) -> int:
        return await process.end(signal.SIGTERM, patience=5)

    process = child(tmp_path, "sleep 60")
    assert uvloop.run(end(process)) == -signal.SIGTERM
    assert asyncio.run(end(process)) == -signal.SIGTERM


async def test_its_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/elsewhere")
    await child(tmp_path, "env").wait()
    assert "PGDATA" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("rights", [Rights.OWN, Rights.NAMESPACE])
def test_a_parent_that_dies_at_once_leaves_no_child(tmp_path: Path, rights: Rights) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        for _ in range(5):
            subprocess.run([sys.executable, "-c", ORPHAN, folder, rights.name], cwd=ROOT, check=False)
        assert all(gone(pid) for pid in processes_of(Path(folder)))


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(EmbeddedError, match="need `no-such-tool`"):
        tool("no-such-tool")
